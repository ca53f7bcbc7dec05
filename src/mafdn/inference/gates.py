"""The windows of a picture from which its channel gates are computed.

The gates depend on the picture alone, not on tiles, memory, engine or threads. A small picture is used whole. Of a
larger one, windows on a fixed grid are used, with a fixed number of pixels in all. They lie in a few rows of the grid,
so one pass over the picture collects them all. `docs/tiles.md` has the measurements.
"""

import math
from dataclasses import dataclass

WHOLE_AREA = 512 * 512
"""Area, in input pixels, up to which the whole picture is the sample."""
WINDOW_SIDE = 64
"""Side of a window, in input pixels; narrower pictures have windows of their own width or height."""
SAMPLE_AREA = 32 * WINDOW_SIDE**2
"""Total number of input pixels in all windows."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows of one size, one at each of `tops` x `lefts`, in input pixels."""

    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    height: int
    width: int
    whole: bool = False
    """Whether the only window is the whole picture."""


def sample_windows(height: int, width: int) -> Windows:
    """Return the windows for the gates of a picture of this size; a single one if the picture is small."""
    if height * width <= WHOLE_AREA:
        return Windows(tops=(0,), lefts=(0,), height=height, width=width, whole=True)
    return spread_windows(height, width, area=SAMPLE_AREA, side=WINDOW_SIDE)


def spread_windows(height: int, width: int, *, area: int, side: int) -> Windows:
    """Return evenly spread windows with sides of at most `side` and at most `area` pixels in total."""
    high, wide = min(height, side), min(width, side)
    count = area // (high * wide)
    rows = min(max(1, round(math.sqrt(count * height / width))), count, height // high)
    columns = min(count // rows, width // wide)
    return Windows(tops=_spread(height, high, rows), lefts=_spread(width, wide, columns), height=high, width=wide)


def _spread(length: int, size: int, count: int) -> tuple[int, ...]:
    """Return the starts of `count` windows, each in the middle of its share of `length`."""
    return tuple(((2 * i + 1) * length - count * size) // (2 * count) for i in range(count))
