"""Finding the format of a picture: by content, by file name, or by its own name."""

import stat
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn.errors import DamagedError, PictureError, UsageError
from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.picture import Format

__all__ = ["FORMATS", "SUFFIXES", "Format", "format_called", "format_of_name", "sniff"]

SUFFIXES = frozenset(suffix for f in FORMATS.values() for suffix in f.suffixes)
"""File name endings of all formats, in lower case."""
WRITABLE = {f.name.lower(): f for f in FORMATS.values() if f.bits}
"""Formats that can be written, by lower-case name."""
HEAD = 32
"""First bytes of a file that formats are told apart by."""
UNSUPPORTED = {
    b"\xff\x0a": "JPEG XL; convert it to PNG first (djxl in.jxl out.png)",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL; convert it to PNG first (djxl in.jxl out.png)",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000; convert it to PNG or TIFF first",
    b"\xff\x4f\xff\x51": "JPEG 2000; convert it to PNG or TIFF first",
    b"P7\n": "a PAM picture; convert it to PNG first",
    b"PF\n": "a picture of floating-point numbers (PFM); convert it to 16-bit TIFF first",
    b"Pf\n": "a picture of floating-point numbers (PFM); convert it to 16-bit TIFF first",
    b"BM": "a BMP picture; convert it to PNG first",
    b"8BPS": "a Photoshop document; export it as TIFF or PNG first",
    b"%PDF": "a PDF document; export its pages as pictures first",
}
"""How files of known but unsupported formats begin, and what to do about them."""


def sniff(path: Path) -> Format:
    """Detect the format of a file by its first bytes, whatever its name.

    Raises:
        DamagedError: The file is empty or of no known format.
        PictureError: The file is missing, not a regular file, or of an unsupported format.
    """
    name = printable(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise PictureError(f"{name} is a folder; give one picture")
        if not stat.S_ISREG(mode):  # opening a FIFO would wait forever
            raise PictureError(f"{name} is not a regular file; give a picture file")
        with path.open("rb") as file:
            start = file.read(HEAD)
    except OSError as error:
        raise PictureError.from_os_error(f"cannot read {name}", error) from None
    except ValueError as error:  # a NUL in the name
        raise PictureError(f"cannot read {name}: {error}") from None
    if not start:
        raise DamagedError(f"{name} is empty; it holds no picture")
    for known in FORMATS.values():
        if any(_begins(start, magic) for magic in known.magic):
            return known
    for magic, advice in UNSUPPORTED.items():
        if start.startswith(magic):
            raise PictureError(f"{name} is {advice}")
    raise DamagedError(f"{name} is not a picture in a known format ({', '.join(FORMATS)}), whatever its name says")


def format_of_name(path: Path) -> Format:
    """The format that a file name asks for; raises `UsageError` if it names none that can be written."""
    for known in WRITABLE.values():
        if path.suffix.lower() in known.suffixes:
            return known
    endings = ", ".join(sorted(s for f in WRITABLE.values() for s in f.suffixes))
    raise UsageError(f"cannot tell a format from the name {printable(path.name)}; end it in one of {endings}")


def format_called(name: str) -> Format:
    """The format of this name (`jpeg`, `png` and so on, in any case); raises `UsageError` for others."""
    if name.lower() not in WRITABLE:
        raise UsageError(f"unknown format {name!r}; choose from {', '.join(WRITABLE)}")
    return WRITABLE[name.lower()]


def _begins(start: bytes, magic: bytes) -> bool:
    return len(start) >= len(magic) and all(m in (s, ord("?")) for s, m in zip(start, magic, strict=False))
