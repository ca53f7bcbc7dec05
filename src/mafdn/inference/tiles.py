"""Cutting a picture into overlapping tiles and joining them again.

Public names: :class:`Tiling`, :class:`Span`, :func:`plan`, :func:`row_height`, :func:`kept`, :func:`ramp`,
:data:`TILE`.

All tiles of a picture have one size, so an engine compiles one graph. Where what lies near a tile's edge is all that
tells it from the whole picture, tiles overlap by twice that margin and are cut in its middle: nothing differs there.
Where a network looks at all of its input, neighbors may differ by a little over their whole area; then one fades
into the other, and a fade leaves no edge to see.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import UsageError

TILE = 512
"""The side of a tile where none is asked for, in input pixels."""
ROW = 5 * TILE**2
"""Input pixels in a row of tiles, of which results are in memory: tiles of a wide picture are lower, and wider."""
LOWEST = 192
"""The least such height: a halo above and below takes a sixth of it."""
STEP = 8
"""Sides of tiles are multiples of it: pictures of many sizes then share compiled graphs."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How a picture is cut, in input pixels.

    A picture of at most ``tile**2`` pixels is taken whole; a larger one in tiles of at most as many. They are square,
    but lower and wider where the picture is wide and they are cut.
    Neighbors share at least ``overlap``: a ``fade`` in the middle (0 for a cut) and a ``margin`` on each side of it,
    which is computed and not used. Raises :class:`UsageError` for sizes that cannot work.
    """

    tile: int
    margin: int
    fade: int = 0

    def __post_init__(self) -> None:
        least = 2 * self.overlap + self.fade  # so that one fade ends before the next begins
        if self.margin < 1 or self.fade < 0 or self.tile < least:
            raise UsageError(
                f"the tile must be at least {least} where tiles overlap by {self.overlap}; it is {self.tile}"
            )

    @property
    def overlap(self) -> int:
        return 2 * self.margin + self.fade


@dataclass(frozen=True)
class Span:
    """One tile along one axis, in input pixels: it covers ``[start, start + size)``.

    It shares ``before`` pixels with its predecessor and ``after`` with its successor; 0 at the picture's edges.
    """

    start: int
    size: int
    before: int
    after: int


def plan(height: int, width: int, tiling: Tiling) -> tuple[list[Span], list[Span]]:
    """Rows and columns of tiles for a picture of this size; one of each when it is taken whole."""
    tile = tiling.tile
    if height * width <= tile**2:
        return [Span(0, height, 0, 0)], [Span(0, width, 0, 0)]
    high = tile if tiling.fade else row_height(width, tile)
    return plan_axis(height, tiling, high), plan_axis(width, tiling, tile**2 // high)


def row_height(width: int, tile: int = TILE) -> int:
    """The most input rows in a row of cut tiles of a picture so wide."""
    return min(tile, max(LOWEST, ROW // width))


def plan_axis(length: int, tiling: Tiling, tile: int) -> list[Span]:
    """Spans of one size, at most ``tile``, as few and then as small as will do, that cover ``[0, length)`` evenly.

    The first begins and the last ends at the picture's edge: there the network's own padding belongs.
    """
    overlap = tiling.overlap
    if length <= tile:
        return [Span(0, length, 0, 0)]
    count = -(-(length - overlap) // (tile - overlap))
    needed = -(-(length + (count - 1) * overlap) // count)
    size = min(tile, -(-needed // STEP) * STEP)
    starts = [round(i * (length - size) / (count - 1)) for i in range(count)]
    shared = [a + size - b for a, b in pairwise(starts)]
    return [
        Span(start, size, before, after)
        for start, before, after in zip(starts, [0, *shared], [*shared, 0], strict=True)
    ]


def kept(span: Span, scale: int) -> range:
    """Which of a span's ``scale * size`` output pixels are used where it is cut in the middle of what it shares."""
    return range(-(-span.before * scale // 2), span.size * scale - span.after * scale // 2)


def ramp(span: Span, scale: int, fade: int) -> NDArray[np.float32]:
    """The weight of each of a span's ``scale * size`` output pixels; over all spans they sum to 1."""
    weights = np.ones(span.size * scale, np.float32)
    if span.before:
        weights[: span.before * scale] *= _rise(span.before, scale, fade)
    if span.after:
        weights[-span.after * scale :] *= 1.0 - _rise(span.after, scale, fade)
    return weights


def _rise(shared: int, scale: int, fade: int) -> NDArray[np.float32]:
    """From 0 to 1 over the middle ``fade`` of ``shared`` input pixels."""
    position = (np.arange(shared * scale) + 0.5) / scale - shared / 2
    return np.clip(position / fade + 0.5, 0.0, 1.0).astype(np.float32)
