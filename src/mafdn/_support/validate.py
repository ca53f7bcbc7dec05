"""What callers give, looked at before any work: each function returns it as its own type or raises ``UsageError``.

Public names: :func:`as_path`, :func:`as_number`, :func:`as_whole`, :func:`as_kind`, :data:`MOST_THREADS`.
"""

import os
from fractions import Fraction
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar, cast

from mafdn._support.atomic import shown
from mafdn.errors import UsageError

MOST_THREADS = 1024
"""What no machine gains by; engines take memory for each."""
LONGEST = 40
Kind = TypeVar("Kind")


def as_path(name: str, value: object, *, wanted: str = "a path") -> Path:
    """A path; an empty one, which :class:`Path` takes for the current folder, is none."""
    text = os.fspath(cast(Any, value)) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str):
        raise UsageError(f"{name} is {wanted}, not {_told(value)}")
    if not text:
        raise UsageError(f"{name} is empty, as a variable that is not set would be; give a name, or . for this folder")
    if "\0" in text:
        raise UsageError(f"{name} {shown(text)} is no file name: it holds a NUL")
    return Path(text)


def as_number(name: str, value: object, *, least: float | None = None, most: float | None = None) -> float:
    """A number of any type but bool, within bounds where both are given; ``float32(1.1)`` is meant as 1.1."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UsageError(f"{name} is a number, not {_told(value)}")
    if isinstance(value, int | float):
        number = value
    else:
        try:
            number = int(value) if isinstance(value, Integral) else float(Fraction(str(value)))
        except (ValueError, OverflowError):
            raise UsageError(f"{name} is a number, not {_told(value)}") from None
    if least is not None and most is not None and not least <= number <= most:
        raise UsageError(f"{name} {number} is not between {least:g} and {most:g}")
    return number


def as_whole(name: str, value: object, *, least: int | None = None, most: int | None = None) -> int:
    """A whole number of any type, as for :func:`as_number`."""
    number = as_number(name, value, least=least, most=most)
    if number % 1 != 0:
        raise UsageError(f"{name} is a whole number, not {number}")
    return int(number)


def as_kind(name: str, value: object, kind: type[Kind]) -> Kind:
    """An object of this class."""
    if not isinstance(value, kind):
        wanted = kind.__name__ if kind.__module__ == "builtins" else f"mafdn.{kind.__name__}"
        raise UsageError(f"{name} is a {wanted}, not {_told(value)}")
    return value


def _told(value: object) -> str:
    """A value of the wrong type, for one line."""
    text = shown(repr(value))
    return f"the {type(value).__name__} {text}" if len(text) <= LONGEST else f"the {type(value).__name__} given"
