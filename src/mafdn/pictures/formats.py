"""Finding the format of a picture: by content, by file name, or by its own name."""

import stat
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn.errors import DamagedError, PictureError, UnsupportedError, UsageError
from mafdn.pictures.codecs import FORMATS, codec_of
from mafdn.pictures.codecs.foreign.unsupported import LONGEST, claimed_kind, unsupported_kind
from mafdn.pictures.picture import Format

__all__ = ["FORMATS", "SUFFIXES", "WRITABLE", "Format", "format_called", "format_of_name", "sniff"]

SUFFIXES = frozenset(suffix for f in FORMATS.values() for suffix in f.suffixes)
"""File name endings of all formats, in lower case."""
WRITABLE = {f.suffixes[0][1:] if " " in f.name else f.name.lower(): f for f in FORMATS.values() if f.bits}
"""Formats that can be written, by the name that `format_called` and the command line know them by."""
OTHER_NAMES = {name: f for f in WRITABLE.values() for name in (f.name.lower(), *(end[1:] for end in f.suffixes))}
"""Further names that are understood: with spaces, and file name endings."""


def sniff(path: Path) -> Format:
    """Detect the format of a file by its first bytes; its name only counts for formats without a signature.

    Raises:
        DamagedError: The file is empty or of no known format.
        UnsupportedError: The file is of a format that is known, but not read.
        PictureError: The file is missing or not a regular file.
    """
    name = printable(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise PictureError(f"{name} is a folder; give one picture")
        if not stat.S_ISREG(mode):  # opening a FIFO would wait forever
            raise PictureError(f"{name} is not a regular file; give a picture file")
        with path.open("rb") as file:
            start = file.read(LONGEST)
    except OSError as error:
        raise PictureError.from_os_error(f"cannot read {name}", error) from None
    except ValueError as error:  # a NUL in the name
        raise PictureError(f"cannot read {name}: {error}") from None
    if not start:
        raise DamagedError(f"{name} is empty; it holds no picture")
    kind = unsupported_kind(start, path)
    if kind is None:
        for known in FORMATS.values():
            if any(_begins(start, magic) for magic in known.magic):
                return known
            if not known.magic and codec_of(known).recognizes(start, path):
                return known
        kind = claimed_kind(path)
    if kind:
        raise UnsupportedError(f"{name} is {kind}")
    claim = ", whatever its name says" if path.suffix.lower() in SUFFIXES else ""
    raise DamagedError(f"{name} is not a picture in a known format ({', '.join(FORMATS)}){claim}")


def format_of_name(path: Path) -> Format:
    """The format that a file name asks for; raises `UsageError` if it names none that can be written."""
    for known in WRITABLE.values():
        if path.suffix.lower() in known.suffixes:
            return known
    endings = ", ".join(sorted(s for f in WRITABLE.values() for s in f.suffixes))
    raise UsageError(f"cannot tell a format from the name {printable(path.name)}; end it in one of {endings}")


def format_called(name: str) -> Format:
    """The format of this name (`jpeg`, `png` and so on, or `jpg`, in any case); raises `UsageError` for others."""
    found = WRITABLE.get(name.lower()) or OTHER_NAMES.get(name.lower())
    if found is None:
        raise UsageError(f"unknown format {name!r}; choose from {', '.join(WRITABLE)}")
    return found


def _begins(start: bytes, magic: bytes) -> bool:
    """Whether `start` begins with `magic`, in which `?` stands for any byte."""
    return len(start) >= len(magic) and all(m in (s, ord("?")) for s, m in zip(start, magic, strict=False))
