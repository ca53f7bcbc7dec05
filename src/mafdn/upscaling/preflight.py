"""Whether a result fits its format, memory and disk, checked before any work."""

import shutil
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn._support.machine import available_mib
from mafdn.errors import PictureError
from mafdn.inference.tiles import row_height
from mafdn.pictures.formats import Format
from mafdn.pictures.reading import PictureHeader

LEAST_SHARE = {"lossless": 1 / 8, "lossy": 1 / 40}
"""Least share of its raw bytes that an encoded picture takes; flat graphics take less, but are small anyway."""
BANDS_IN_MEMORY = 3
"""Rows of tiles of a result in memory: one is computed, one waits and one is encoded."""


def check_encodable(path: Path, kind: Format, *, width: int, height: int) -> None:
    """Raise `PictureError` if `kind` cannot store a picture of this size."""
    if max(width, height) > kind.largest_side:
        raise PictureError(
            f"cannot write {printable(path)}: {width}x{height} is beyond {kind.name}'s limit of {kind.largest_side} "
            "pixels a side; choose PNG or TIFF"
        )


def check_room(
    header: PictureHeader, target: Path, *, scale: int, new_size: tuple[int, int], kind: Format, lossless: bool
) -> None:
    """Raise `PictureError` if memory or the disk of `target` clearly does not suffice.

    Args:
        header: Header of the picture.
        target: Path of the result.
        scale: Scale of the network.
        new_size: Width and height of the result.
        kind: Format of the result.
        lossless: Whether the result is written losslessly.
    """
    sample, before = header.bits // 8, header.pixel_bytes
    after = new_size[0] * new_size[1] * header.channels * sample
    waiting = before if header.spills_to_disk else 0  # beside the result
    rows = BANDS_IN_MEMORY * row_height(header.width) * scale * header.width * scale * header.channels * sample
    decoded = before if header.format.whole or not waiting else 0
    need = decoded + min(rows, after) + (after if kind.whole else 0)
    free = available_mib()
    if free is not None and need / 2**20 > free:
        raise PictureError(
            f"{printable(header.path)} at {new_size[0]}x{new_size[1]} needs about {need / 2**20:,.0f} MiB of memory, "
            f"and only {free:,.0f} are free; use a smaller size"
        )
    share = 1.0 if kind.raw else LEAST_SHARE["lossy" if kind.lossy and not lossless else "lossless"]
    least = waiting + after // sample * min(sample, max(kind.bits) // 8) * share
    try:
        room = shutil.disk_usage(target.parent).free
    except OSError:  # reported when the file is created
        return
    if least > room:
        raise PictureError(
            f"cannot write {printable(target)}: it needs at least {least / 1e6:,.0f} MB, "
            f"and only {room / 1e6:,.0f} are free"
        )
