"""Where a result goes, in which format, and whether it can.

Public names: :class:`Output`, :func:`default_target`, :func:`choose_format`, :func:`check_room`.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from mafdn._support.atomic import shown
from mafdn._support.machine import available_mib
from mafdn._support.validate import as_kind, as_whole
from mafdn.errors import PictureError, UsageError
from mafdn.inference.tiles import row_height
from mafdn.pictures.encoding import EncodeOptions
from mafdn.pictures.formats import FORMATS, Format, format_called, format_of_name
from mafdn.pictures.reading import PictureHeader
from mafdn.upscaling.folder.naming import Pattern
from mafdn.upscaling.size import Size

LEAST_SHARE = {"lossless": 1 / 8, "lossy": 1 / 40}
"""Of a picture's plain bytes, what its file takes at the very least; a flat graphic takes less, but is small anyway."""


BANDS = 3
"""Rows of tiles of a result that are in memory: one is made, one waits and one is encoded."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """How results are written. Raises :class:`UsageError` for a combination that makes no sense."""

    format: str | None = None
    """jpeg, png, webp, tiff, avif, gif or ppm; not given: what the result's name ends in, else the picture's."""
    quality: int | None = None
    """1 to 100, for JPEG, WebP and AVIF; what :mod:`mafdn.pictures.encoding` takes when not given."""
    lossless: bool = False
    strip_metadata: bool = False
    """Leave out EXIF, XMP, IPTC and texts; the color profile stays."""
    keep_print_size: bool = False
    """Raise the print resolution with the size in pixels."""

    def __post_init__(self) -> None:
        if self.format is not None:
            format_called(as_kind("format", self.format, str))
        if self.quality is not None:
            object.__setattr__(self, "quality", as_whole("quality", self.quality, least=1, most=100))
        if self.quality is not None and self.lossless:
            raise UsageError("give a quality or lossless, not both")

    @property
    def options(self) -> EncodeOptions:
        """What the encoder is told of it."""
        return EncodeOptions(quality=self.quality, lossless=self.lossless, strip=self.strip_metadata)

    def check(self, kind: Format) -> None:
        """Raise :class:`UsageError` when ``kind`` cannot be written this way."""
        if self.lossless and not kind.lossless:
            raise UsageError(f"{kind.name} is never lossless; choose PNG, WebP, TIFF or AVIF")
        if self.quality is not None and not kind.lossy:
            raise UsageError(f"{kind.name} has no quality; leave it out, or choose JPEG, WebP or AVIF")


def choose_format(stated: PictureHeader, target: Path | None, output: Output) -> Format:
    """The format of a result: the one asked for, else the one ``target`` names, else the picture's own.

    Of PNM's endings it has those that tell the truth of this picture. Raises :class:`UsageError` when ``target`` names
    none, or another than was asked for.
    """
    if output.format is not None:
        kind = format_called(output.format)
        if target is not None and target.suffix.lower() not in kind.suffixes:
            raise UsageError(f"{shown(target)} does not end in {' or '.join(kind.suffixes)}, as {kind.name} files do")
    elif target is not None:
        kind = format_of_name(target)
    else:
        kind = stated.format if stated.format.written_as is None else FORMATS[stated.format.written_as]
    output.check(kind)
    return _honest_pnm(kind, target, color=stated.channels > 2) if kind.name == "PPM" else kind


def _honest_pnm(kind: Format, target: Path | None, *, color: bool) -> Format:
    """Without the endings that are for grey pictures only, or for one bit; a grey picture may be called ``.ppm``."""
    ending = "" if target is None else target.suffix.lower()
    if color and ending in (".pgm", ".pbm"):
        raise UsageError(f"{shown(target or '')} is a name for grey pictures, and this one has color; end it in .ppm")
    if ending == ".pbm":
        raise UsageError(f"{shown(target or '')} is a name for pictures of one bit; end it in .pgm")
    return replace(kind, suffixes=(".ppm", ".pnm")) if color else kind


def default_target(source: Path, size: Size, new_size: tuple[int, int], kind: Format) -> Path:
    """The name a result gets when none is given: ``photo_x4.jpg`` beside ``photo.jpg``.

    For a size in pixels it is ``photo_640x480.jpg``. The ending is the source's own where it fits the result's format.
    A name that would be too long loses the end of its stem.
    """
    return source.with_name(Pattern.usual(size).name(source, size, new_size, kind))


def check_room(
    source: Path,
    target: Path,
    *,
    stated: PictureHeader,
    scale: int,
    new_size: tuple[int, int],
    kind: Format,
    lossless: bool,
) -> None:
    """Raise :class:`PictureError` when memory or the disk of ``target`` will clearly not do."""
    sample, before = stated.bits // 8, stated.pixel_bytes
    after = new_size[0] * new_size[1] * stated.channels * sample
    waiting = before if stated.spills_to_disk else 0  # beside the result
    rows = BANDS * row_height(stated.width) * scale * stated.width * scale * stated.channels * sample
    decoded = before if stated.format.whole or not waiting else 0
    need = decoded + min(rows, after) + (after if kind.whole else 0)
    free = available_mib()
    if free is not None and need / 2**20 > free:
        raise PictureError(
            f"{shown(source)} at {new_size[0]}x{new_size[1]} needs some {need / 2**20:,.0f} MiB of memory and "
            f"{free:,.0f} are free; use a smaller size"
        )
    share = 1.0 if kind.raw else LEAST_SHARE["lossy" if kind.lossy and not lossless else "lossless"]
    least = waiting + after // sample * min(sample, max(kind.bits) // 8) * share
    try:
        room = shutil.disk_usage(target.parent).free
    except OSError:  # said better when the file is made
        return
    if least > room:
        raise PictureError(
            f"cannot write {shown(target)}: it takes at least {least / 1e6:,.0f} MB and {room / 1e6:,.0f} are free"
        )
