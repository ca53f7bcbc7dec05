"""Whether a result fits its format, memory and disk, checked before any work."""

import shutil
from math import ceil
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn._support.machine import available_mib
from mafdn.errors import PictureError
from mafdn.inference.tiles import row_height
from mafdn.pictures.formats import FORMATS, Format
from mafdn.pictures.reading import PictureHeader
from mafdn.pictures.spill import LARGE
from mafdn.upscaling.several import Sizes

LEAST_SHARE = {"lossless": 1 / 8, "lossy": 1 / 40}
"""Least share of its raw bytes that an encoded picture takes; flat graphics take less, but are small anyway."""
BANDS_IN_MEMORY = 3
"""Rows of tiles of a result in memory: one is computed, one waits and one is encoded."""
LARGE_FORMATS = ("JPEG", "PNG", "TIFF")
"""Formats that are recommended for results that are too large for another."""


def check_encodable(path: Path, kind: Format, *, width: int, height: int) -> None:
    """Raise `PictureError` if `kind` cannot store a picture of this size."""
    side = max(width, height)
    if side > kind.largest_side:
        fitting = [name for name in LARGE_FORMATS if FORMATS[name].largest_side >= side]
        raise PictureError(
            f"cannot write {printable(path)}: {width}x{height} is beyond {kind.name}'s limit of {kind.largest_side} "
            f"pixels a side; choose a smaller size, {', '.join(fitting[:-1])} or {fitting[-1]}"
        )


def check_room(
    header: PictureHeader, target: Path, *, scale: int, tile: int, sizes: Sizes, kind: Format, lossless: bool
) -> None:
    """Raise `PictureError` if memory or the disk of `target` clearly does not suffice.

    Args:
        header: Header of the picture.
        target: Path of the result.
        scale: Scale of the network.
        tile: Side of its tiles in input pixels.
        sizes: The pictures and their results; frames and pages are in memory one at a time, but all on disk.
        kind: Format of the result.
        lossless: Whether the result is written losslessly.
    """
    sample, total = header.bits // 8, header.bytes_of(sizes.pixels_before)
    before, after = max(header.bytes_of(w * h) for w, h in sizes.before), max(w * h for w, h in sizes.after)
    new_size, after = sizes.after[0], after * header.channels * sample
    waiting = total if header.spills_to_disk or (sizes.count > 1 and total > LARGE) else 0  # beside the result
    width = max(width for width, _ in sizes.before)
    rows = BANDS_IN_MEMORY * row_height(width, tile) * scale * width * scale * header.channels * sample
    decoded = before if header.format.whole or not waiting else 0
    need = decoded + min(rows, after) + (after if kind.whole else 0)
    free = available_mib()
    if free is not None and need / 2**20 > free:
        raise PictureError(
            f"{printable(header.path)} at {new_size[0]}x{new_size[1]} needs about {need / 2**20:,.0f} MiB of memory, "
            f"and only {free:,.0f} are free; use a smaller size"
        )
    share = 1.0 if kind.raw else LEAST_SHARE["lossy" if kind.lossy and not lossless else "lossless"]
    all_after = sizes.pixels_after * header.channels * sample
    least = waiting + all_after // sample * min(sample, max(kind.bits) // 8) * share
    try:
        room = shutil.disk_usage(target.parent).free
    except OSError:  # reported when the file is created
        return
    if least > room:
        raise PictureError(
            f"cannot write {printable(target)}: it needs at least {ceil(least / 1e6):,} MB, "
            f"and only {room / 1e6:,.0f} are free"
        )
