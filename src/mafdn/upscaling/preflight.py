"""Whether there is enough memory and disk space for a result, checked before any work."""

import shutil
from pathlib import Path

from mafdn._support.atomic import shown
from mafdn._support.machine import available_mib
from mafdn.errors import PictureError
from mafdn.inference.tiles import row_height
from mafdn.pictures.formats import Format
from mafdn.pictures.reading import Stated, waits_in_file

LEAST_SHARE = {"lossless": 1 / 8, "lossy": 1 / 40}
"""Least share of its raw bytes that an encoded picture takes; flat graphics take less, but are small anyway."""
BANDS_IN_MEMORY = 3
"""Rows of tiles of a result in memory: one is computed, one waits and one is encoded."""


def check_room(
    source: Path, target: Path, *, stated: Stated, scale: int, new_size: tuple[int, int], kind: Format, lossless: bool
) -> None:
    """Raise `PictureError` if memory or the disk of `target` clearly does not suffice.

    Args:
        source: The picture.
        target: Path of the result.
        stated: Header of the picture.
        scale: Scale of the network.
        new_size: Width and height of the result.
        kind: Format of the result.
        lossless: Whether the result is written losslessly.
    """
    sample, before = stated.bits // 8, stated.plain_bytes
    after = new_size[0] * new_size[1] * stated.channels * sample
    waiting = before if waits_in_file(stated) else 0  # beside the result
    rows = BANDS_IN_MEMORY * row_height(stated.width) * scale * stated.width * scale * stated.channels * sample
    decoded = before if stated.format.whole or not waiting else 0
    need = decoded + min(rows, after) + (after if kind.whole else 0)
    free = available_mib()
    if free is not None and need / 2**20 > free:
        raise PictureError(
            f"{shown(source)} at {new_size[0]}x{new_size[1]} needs about {need / 2**20:,.0f} MiB of memory, and only "
            f"{free:,.0f} are free; use a smaller size"
        )
    share = 1.0 if kind.name == "PPM" else LEAST_SHARE["lossy" if kind.lossy and not lossless else "lossless"]
    least = waiting + after // sample * min(sample, max(kind.bits) // 8) * share
    try:
        room = shutil.disk_usage(target.parent).free
    except OSError:  # reported when the file is created
        return
    if least > room:
        raise PictureError(
            f"cannot write {shown(target)}: it needs at least {least / 1e6:,.0f} MB, "
            f"and only {room / 1e6:,.0f} are free"
        )
