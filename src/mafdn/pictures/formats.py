"""The picture formats this package reads and writes, told apart by content.

Public names: :class:`Format`, :data:`FORMATS`, :data:`SUFFIXES`, :func:`sniff`, :func:`damaged`,
:func:`format_of_name`, :func:`format_called`.
"""

import stat
from dataclasses import dataclass
from pathlib import Path

from mafdn._support.atomic import shown
from mafdn.errors import DamagedError, PictureError, UsageError


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format: how its files begin, how they are named, and what its encoder can hold."""

    name: str
    magic: tuple[bytes, ...]
    """Beginnings of a file; ``?`` stands for any byte."""
    suffixes: tuple[str, ...]
    largest_side: int
    alpha: bool
    metadata: frozenset[str]
    """Which of ICC, EXIF, XMP and IPTC its encoder writes whole (libvips cuts IPTC short in TIFF)."""
    bits: tuple[int, ...] = (8, 16)
    """The depths its encoder writes."""
    lossless: bool = True
    """Whether its encoder can keep every pixel as it is."""
    lossy: bool = False
    """Whether its encoder takes a quality."""
    grey: bool = True
    """Whether its encoder writes one channel as one."""
    whole: bool = False
    """Whether its codec has all pixels in memory at once; the others take and give rows."""
    written_as: str | None = None
    """The format results get by default where this one can only be read."""


HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
UNREADABLE = {
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
"""Pictures that are known and not read, and what to do about them."""
FORMATS = {
    f.name: f
    for f in (
        Format(
            name="JPEG",
            magic=(b"\xff\xd8\xff",),
            suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
            largest_side=65_535,
            alpha=False,
            metadata=frozenset({"ICC", "EXIF", "XMP", "IPTC"}),
            bits=(8,),
            lossless=False,
            lossy=True,
        ),
        Format(
            name="PNG",
            magic=(b"\x89PNG\r\n\x1a\n",),
            suffixes=(".png",),
            largest_side=2**31 - 1,
            alpha=True,
            metadata=frozenset({"ICC", "EXIF", "XMP"}),
        ),
        Format(
            name="WebP",
            magic=(b"RIFF????WEBP",),
            suffixes=(".webp",),
            largest_side=16_383,
            alpha=True,
            metadata=frozenset({"ICC", "EXIF", "XMP"}),
            bits=(8,),
            grey=False,
            lossy=True,
            whole=True,
        ),
        Format(
            name="TIFF",
            magic=(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
            suffixes=(".tif", ".tiff"),
            largest_side=2**31 - 1,
            alpha=True,
            metadata=frozenset({"ICC", "XMP"}),
        ),
        Format(
            name="AVIF",
            magic=(b"????ftypavif", b"????ftypavis"),
            suffixes=(".avif",),
            largest_side=16_384,
            alpha=True,
            metadata=frozenset({"ICC", "EXIF", "XMP"}),
            bits=(8, 10, 12),
            grey=False,
            lossy=True,
            whole=True,
        ),
        Format(
            name="GIF",
            magic=(b"GIF87a", b"GIF89a"),
            suffixes=(".gif",),
            largest_side=65_535,
            alpha=True,
            metadata=frozenset(),
            bits=(8,),
            lossless=False,
            whole=True,
        ),
        Format(
            name="PPM",
            magic=tuple(b"P%d%c" % (n, space) for n in range(1, 7) for space in b" \t\n\r"),
            suffixes=(".ppm", ".pgm", ".pbm", ".pnm"),
            largest_side=2**31 - 1,
            alpha=False,
            metadata=frozenset(),
        ),
        Format(
            name="HEIC",
            magic=tuple(b"????ftyp" + brand for brand in HEIC_BRANDS),
            suffixes=(".heic", ".heif", ".hif"),
            largest_side=0,
            alpha=True,
            metadata=frozenset(),
            bits=(),
            whole=True,
            written_as="AVIF",
        ),
    )
}
SUFFIXES = frozenset(suffix for f in FORMATS.values() for suffix in f.suffixes)
KNOWN = ", ".join(FORMATS)
WRITABLE = {f.name.lower(): f for f in FORMATS.values() if f.bits}


def sniff(path: Path) -> Format:
    """The format of a file by its first bytes, whatever its name.

    Raises :class:`DamagedError` when the file is empty or of no known format, and :class:`PictureError` when it is
    missing, no regular file or known and not read.
    """
    name = shown(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise PictureError(f"{name} is a folder; give one picture")
        if not stat.S_ISREG(mode):  # opening a FIFO would wait for ever
            raise PictureError(f"{name} is not a regular file; give a picture file")
        with path.open("rb") as file:
            start = file.read(32)
    except OSError as error:
        raise PictureError.from_os_error(f"cannot read {name}", error) from None
    except ValueError as error:  # a NUL in the name
        raise PictureError(f"cannot read {name}: {error}") from None
    if not start:
        raise DamagedError(f"{name} is empty; it holds no picture")
    if start[4:8] == b"ftyp" and start[8:12] in (b"mif1", b"msf1") and b"avif" in start[16:]:
        return FORMATS["AVIF"]  # whose main brand is the container's
    for known in FORMATS.values():
        if any(_begins(start, magic) for magic in known.magic):
            return known
    for magic, advice in UNREADABLE.items():
        if start.startswith(magic):
            raise PictureError(f"{name} is {advice}")
    raise DamagedError(f"{name} is not a picture in a known format ({KNOWN}), whatever its name says")


def damaged(path: Path, reason: str) -> DamagedError:
    """The error for a file of a known format whose content is not as it should be."""
    return DamagedError(f"{shown(path)} seems damaged or incomplete ({reason})")


def format_of_name(path: Path) -> Format:
    """The format that a file name asks for; raises :class:`UsageError` when it names none that is written."""
    for known in WRITABLE.values():
        if path.suffix.lower() in known.suffixes:
            return known
    endings = ", ".join(sorted(s for f in WRITABLE.values() for s in f.suffixes))
    raise UsageError(f"cannot tell a format from the name {shown(path.name)}; end it in one of {endings}")


def format_called(name: str) -> Format:
    """The format of this name (``jpeg``, ``png`` and so on); raises :class:`UsageError` when none is."""
    if name.lower() not in WRITABLE:
        raise UsageError(f"unknown format {name!r}; there are: {', '.join(WRITABLE)}")
    return WRITABLE[name.lower()]


def _begins(start: bytes, magic: bytes) -> bool:
    return len(start) >= len(magic) and all(m in (s, ord("?")) for s, m in zip(start, magic, strict=False))
