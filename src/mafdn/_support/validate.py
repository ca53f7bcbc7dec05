"""Argument validation for the public API: functions return the validated value or raise `UsageError`."""

import os
import re
from fractions import Fraction
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar, cast

from mafdn._support.atomic import printable
from mafdn.errors import UsageError

MOST_THREADS = 1024
"""Maximum number of threads of an engine; each thread takes memory."""
LONGEST = 40
"""Maximum length, in characters, of an invalid value quoted in a message."""
URL = re.compile(r"(?i)([a-z][a-z0-9+.-]+)://|data:[\w.+-]+[/;,]")
"""How URLs begin; a scheme of one letter is a drive."""
DOWNLOADABLE = frozenset({"http", "https", "ftp"})
"""Schemes of what a browser can download."""
LONGEST_URL = 100
"""Characters of a URL that a message quotes."""
Kind = TypeVar("Kind")


def as_path(name: str, value: object, *, wanted: str = "a path") -> Path:
    """A path. An empty string, which `Path` would take for the current folder, and a URL are refused.

    Args:
        name: What to call the argument in messages.
        value: A string or path-like object.
        wanted: What messages say is expected.
    """
    text = os.fspath(cast(Any, value)) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str):
        raise UsageError(f"{name} must be {wanted}, not {_described(value)}")
    if not text:
        raise UsageError(f"{name} is an empty string (an unset shell variable?); use . for the current folder")
    if "\0" in text:
        raise UsageError(f"{name} {printable(text)} is not a valid path: it contains a NUL character")
    refuse_url(text)
    return Path(text)


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; `False` for names that the system rejects."""
    try:
        return path.is_dir()
    except OSError:  # a name that is too long
        return False


def check_place(path: Path) -> None:
    """Raise `UsageError` if a file cannot be written because it is a folder, or its folder does not exist."""
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {path.parent}")


def refuse_url(text: str) -> None:
    """Raise `UsageError` for a URL, unless there is a file of that name."""
    found = URL.match(text)
    if found is None or os.path.lexists(text):
        return
    shown = printable(text if len(text) <= LONGEST_URL else f"{text[:LONGEST_URL]}...")
    scheme = (found[1] or "data").lower()
    advice = "download it first" if scheme in DOWNLOADABLE else "give the path of a file"
    raise UsageError(f"{shown}: URLs are not read; {advice}")


def as_number(name: str, value: object, *, least: float | None = None, most: float | None = None) -> float:
    """A number of any type but bool, between `least` and `most` if both are set; `float32(1.1)` becomes 1.1."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UsageError(f"{name} must be a number, not {_described(value)}")
    if isinstance(value, int | float):
        number = value
    else:
        try:
            number = int(value) if isinstance(value, Integral) else float(Fraction(str(value)))
        except (ValueError, OverflowError):
            raise UsageError(f"{name} must be a number, not {_described(value)}") from None
    if least is not None and most is not None and not least <= number <= most:
        raise UsageError(f"{name} must be between {least:g} and {most:g}, not {number}")
    return number


def as_whole(name: str, value: object, *, least: int | None = None, most: int | None = None) -> int:
    """A whole number of any type; arguments as for `as_number`."""
    number = as_number(name, value, least=least, most=most)
    if number % 1 != 0:
        raise UsageError(f"{name} must be a whole number, not {number}")
    return int(number)


def as_kind(name: str, value: object, kind: type[Kind]) -> Kind:
    """An instance of the class `kind`."""
    if not isinstance(value, kind):
        wanted = kind.__name__ if kind.__module__ == "builtins" else f"mafdn.{kind.__name__}"
        raise UsageError(f"{name} must be a {wanted}, not {_described(value)}")
    return value


def _described(value: object) -> str:
    """A value of the wrong type, for a message."""
    text = printable(repr(value))
    return f"the {type(value).__name__} {text}" if len(text) <= LONGEST else f"the {type(value).__name__} passed"
