"""What callers give, looked at before any work: each function returns it as its own type or raises ``UsageError``.

Public names: :func:`as_path`.
"""

import os
from pathlib import Path
from typing import Any, cast

from mafdn.errors import UsageError
from mafdn.files import shown


def as_path(name: str, value: object) -> Path:
    """A path; an empty one, which :class:`Path` takes for the current folder, is none."""
    if not isinstance(value, str | os.PathLike) or not isinstance(text := os.fspath(cast(Any, value)), str):
        raise UsageError(f"{name} is a path, not {value!r:.80}")
    if not text:
        raise UsageError(f"{name} is empty, as a variable that is not set would be; give a name, or . for this folder")
    if "\0" in text:
        raise UsageError(f"{name} {shown(text)} is no file name: it holds a NUL")
    return Path(text)
