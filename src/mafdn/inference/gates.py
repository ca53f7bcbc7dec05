"""Where a picture is looked at to find its channel gates.

Public names: :data:`WHOLE`, :class:`Windows`, :func:`sample_windows`, :func:`spread_windows`.

The gates depend on the picture alone: not on tiles, memory, engine or threads. A small picture is looked at whole. Of
a larger one, windows on a fixed grid are taken, in as many pixels however large it is: they lie in a few rows of
the grid, so one pass over the picture is enough to have them. ``docs/tiles.md`` has what was measured.
"""

import math
from dataclasses import dataclass

WHOLE = 512 * 512
"""Area in input pixels up to which the whole picture is the sample."""
WINDOW = 64
"""Side of a window; a thinner picture has longer ones."""
AREA = 32 * WINDOW**2
"""Input pixels in all windows together."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows of one size, one at each of ``tops`` x ``lefts``, in input pixels."""

    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    height: int
    width: int
    all: bool = False
    """Whether they are one window of the whole picture."""


def sample_windows(height: int, width: int) -> Windows:
    """The windows by which the gates of a picture of this size are found; one for all of it when it is small."""
    if height * width <= WHOLE:
        return Windows(tops=(0,), lefts=(0,), height=height, width=width, all=True)
    return spread_windows(height, width, area=AREA, side=WINDOW)


def spread_windows(height: int, width: int, *, area: int, side: int) -> Windows:
    """Windows of ``side``, less where the picture is thinner, evenly over it; no more than ``area`` pixels in all."""
    high, wide = min(height, side), min(width, side)
    count = area // (high * wide)
    rows = min(max(1, round(math.sqrt(count * height / width))), count, height // high)
    columns = min(count // rows, width // wide)
    return Windows(tops=_spread(height, high, rows), lefts=_spread(width, wide, columns), height=high, width=wide)


def _spread(length: int, size: int, count: int) -> tuple[int, ...]:
    """Starts of ``count`` windows, each in the middle of its share of ``length``."""
    return tuple(((2 * i + 1) * length - count * size) // (2 * count) for i in range(count))
