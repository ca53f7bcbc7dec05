"""The format and sizes of a result, determined before any work."""

from dataclasses import dataclass, replace
from pathlib import Path

from mafdn.pictures.formats import FORMATS, Format
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import PictureHeader
from mafdn.upscaling.output import Output, choose_format
from mafdn.upscaling.several import Sizes, find_sizes
from mafdn.upscaling.size import Size

JPEG, PNG = FORMATS["JPEG"], FORMATS["PNG"]


@dataclass(frozen=True, kw_only=True)
class Intended:
    """A result that does not exist yet.

    Attributes:
        kind: Its format.
        sizes: The pictures and their results.
        notes: Why the format is not that of the picture, if it is too large for that.
    """

    kind: Format
    sizes: Sizes
    notes: tuple[str, ...] = ()


def intended_result(
    header: PictureHeader, target: Path | None, output: Output, size: Size, *, limits: Limits, frame: int | None
) -> Intended:
    """Determine format and sizes of a result.

    A result that is too large for the format of its picture becomes a JPEG or PNG file, unless a format was asked for.

    Args:
        header: The opened picture.
        target: Path of the result, or a name with its ending; `None` if the picture decides.
        output: How it is written.
        size: The requested size.
        limits: Limits for all pictures of the file together.
        frame: The number of the only frame or page to upscale, from 1; `None` for all, or the first.

    Raises:
        PictureError: As `find_sizes`.
        UsageError: As `choose_format`.
    """
    kind = choose_format(header, target, output)
    sizes = find_sizes(header, size, kind, limits=limits, frame=frame)
    if target is not None or output.format is not None or sizes.largest_side <= kind.largest_side:
        return Intended(kind=kind, sizes=sizes)
    other = _larger_format(header, kind, sizes, output)
    if other is None:
        return Intended(kind=kind, sizes=sizes)
    note = f"{kind.name} holds at most {kind.largest_side:,} pixels a side: the result was written as {other.name}"
    return Intended(kind=other, sizes=sizes, notes=(note,))


def _larger_format(header: PictureHeader, kind: Format, sizes: Sizes, output: Output) -> Format | None:
    """Return the format for a result that is too large for `kind`; `None` if none holds it as `output` wants it."""
    points = header.code_points
    ordinary = points is None or (points.full_range and not points.hdr)
    plain = header.bits == 8 and header.channels in (1, 3) and ordinary
    if plain and kind.lossy and not output.lossless and sizes.count == 1 and sizes.largest_side <= JPEG.largest_side:
        return JPEG
    return PNG if output.quality is None and sizes.largest_side <= PNG.largest_side else None


def result_of_many(
    header: PictureHeader, name: Path | None, output: Output, size: Size, *, limits: Limits, frame: int | None
) -> tuple[Intended, Output]:
    """Return what becomes of one of many pictures, and its output: the quality is for those whose format has one.

    Arguments and errors are those of `intended_result`; `output` is that of all pictures.
    """
    intended = intended_result(header, name, replace(output, quality=None), size, limits=limits, frame=frame)
    return intended, output if intended.kind.lossy else replace(output, quality=None)
