"""The picture formats this package reads and writes, told apart by content.

Public names: :class:`Format`, :data:`FORMATS`, :data:`SUFFIXES`, :func:`sniff`, :func:`format_of_name`.
"""

from dataclasses import dataclass
from pathlib import Path

from mafdn.errors import PictureError, UsageError


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format: how its files begin, how they are named, and what its encoder can hold."""

    name: str
    magic: tuple[bytes, ...]
    """Beginnings of a file; ``?`` stands for any byte."""
    suffixes: tuple[str, ...]
    largest_side: int
    depth16: bool
    alpha: bool
    metadata: frozenset[str]
    """Which of EXIF, XMP and IPTC its encoder writes whole (libvips cuts IPTC short in TIFF)."""


FORMATS = {
    f.name: f
    for f in (
        Format(
            name="JPEG",
            magic=(b"\xff\xd8\xff",),
            suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
            largest_side=65_535,
            depth16=False,
            alpha=False,
            metadata=frozenset({"EXIF", "XMP", "IPTC"}),
        ),
        Format(
            name="PNG",
            magic=(b"\x89PNG\r\n\x1a\n",),
            suffixes=(".png",),
            largest_side=2**31 - 1,
            depth16=True,
            alpha=True,
            metadata=frozenset({"EXIF", "XMP"}),
        ),
        Format(
            name="WebP",
            magic=(b"RIFF????WEBP",),
            suffixes=(".webp",),
            largest_side=16_383,
            depth16=False,
            alpha=True,
            metadata=frozenset({"EXIF", "XMP"}),
        ),
        Format(
            name="TIFF",
            magic=(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
            suffixes=(".tif", ".tiff"),
            largest_side=2**31 - 1,
            depth16=True,
            alpha=True,
            metadata=frozenset({"XMP"}),
        ),
    )
}
SUFFIXES = frozenset(suffix for f in FORMATS.values() for suffix in f.suffixes)
KNOWN = ", ".join(FORMATS)


def sniff(path: Path) -> Format:
    """The format of a file by its first bytes, whatever its name.

    Raises :class:`PictureError` when the file is missing, empty, no regular file or of no known format.
    """
    try:
        if path.is_dir():
            raise PictureError(f"{path} is a folder; give one picture")
        if path.exists() and not path.is_file():
            raise PictureError(f"{path} is not a regular file; give a picture file")
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise PictureError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the name
        raise PictureError(f"cannot read {path!r}: {error}") from None
    if not start:
        raise PictureError(f"{path} is empty; it holds no picture")
    for known in FORMATS.values():
        if any(_begins(start, magic) for magic in known.magic):
            return known
    raise PictureError(f"{path} is not a picture in a known format ({KNOWN}), whatever its name says")


def format_of_name(path: Path) -> Format:
    """The format that a file name asks for; raises :class:`UsageError` when it names none."""
    for known in FORMATS.values():
        if path.suffix.lower() in known.suffixes:
            return known
    raise UsageError(f"cannot tell a format from the name {path.name}; end it in one of {', '.join(sorted(SUFFIXES))}")


def _begins(start: bytes, magic: bytes) -> bool:
    return len(start) >= len(magic) and all(m in (s, ord("?")) for s, m in zip(start, magic, strict=False))
