"""Cut a picture into overlapping tiles and join the results.

All tiles of a picture have the same size, so an engine compiles one graph. If the result
of a tile differs from that of the whole picture only near its edges, tiles overlap by twice that margin and are cut in
the middle of the overlap, where they are equal. If a network depends on all of its input, neighboring tiles may differ
slightly everywhere; then one fades into the other, which leaves no visible seam.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import UsageError

DEFAULT_TILE = 512
"""Default side of a tile, in input pixels."""
ROW_AREA = 5 * DEFAULT_TILE**2
"""Input pixels in a row of tiles. Their results are held in memory, so tiles of a wide picture are lower and wider."""
LEAST_HEIGHT = 192
"""Minimum height of such a tile, in input pixels; it is at least three overlaps high as far as its area permits."""
SIDE_MULTIPLE = 8
"""Tile sides are multiples of this, in input pixels, so that pictures of many sizes share compiled graphs."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How a picture is cut into tiles; all lengths in input pixels.

    Args:
        tile: Largest side of a square tile. A picture of at most `tile**2` pixels is not cut. Without a fade, tiles of
            a wide picture are lower and wider, with at most `tile**2` pixels.
        margin: Pixels on each side of an overlap that are computed but not used.
        fade: Pixels in the middle of an overlap over which tiles fade into each other; 0 for a cut.

    Raises:
        UsageError: If the tile is too small for its overlap.
    """

    tile: int
    margin: int
    fade: int = 0

    def __post_init__(self) -> None:
        least = 2 * self.overlap + self.fade  # so that one fade ends before the next begins
        if self.margin < 1 or self.fade < 0 or self.tile < least:
            raise UsageError(
                f"the tile must be at least {least} because tiles overlap by {self.overlap}; it is {self.tile}"
            )

    @property
    def overlap(self) -> int:
        """Minimum number of pixels that neighboring tiles share."""
        return 2 * self.margin + self.fade


@dataclass(frozen=True)
class Span:
    """One tile along one axis, in input pixels: it covers `[start, start + size)`.

    It shares `before` pixels with its predecessor and `after` with its successor; 0 at the picture's edges.
    """

    start: int
    size: int
    before: int
    after: int


def plan(height: int, width: int, tiling: Tiling) -> tuple[list[Span], list[Span]]:
    """Return the rows and columns of tiles for a picture of this size; a single tile if it is not cut."""
    tile = tiling.tile
    if height * width <= tile**2:
        return [Span(0, height, 0, 0)], [Span(0, width, 0, 0)]
    high = tile if tiling.fade else min(tile, max(row_height(width, tile), 3 * tiling.overlap))
    return plan_axis(height, tiling, high), plan_axis(width, tiling, tile**2 // high)


def row_height(width: int, tile: int = DEFAULT_TILE) -> int:
    """Return the most input rows of a row of cut tiles with a small overlap, for a picture of this width."""
    return min(tile, max(LEAST_HEIGHT, ROW_AREA // width))


def plan_axis(length: int, tiling: Tiling, tile: int) -> list[Span]:
    """Return equal spans of at most `tile` pixels that cover `[0, length)` evenly: as few, then as small as possible.

    The first starts and the last ends at the picture's edge, where the network's own padding applies.
    """
    overlap = tiling.overlap
    if length <= tile:
        return [Span(0, length, 0, 0)]
    count = -(-(length - overlap) // (tile - overlap))
    needed = -(-(length + (count - 1) * overlap) // count)
    size = min(tile, -(-needed // SIDE_MULTIPLE) * SIDE_MULTIPLE)
    starts = [round(i * (length - size) / (count - 1)) for i in range(count)]
    shared = [a + size - b for a, b in pairwise(starts)]
    return [
        Span(start, size, before, after)
        for start, before, after in zip(starts, [0, *shared], [*shared, 0], strict=True)
    ]


def kept(span: Span, scale: int) -> range:
    """Return which of a span's `scale * size` output pixels are used if it is cut in the middle of its overlaps."""
    return range(-(-span.before * scale // 2), span.size * scale - span.after * scale // 2)


def ramp(span: Span, scale: int, fade: int) -> NDArray[np.float32]:
    """Return the weight of each of a span's `scale * size` output pixels; over all spans they sum to 1."""
    weights = np.ones(span.size * scale, np.float32)
    if span.before:
        weights[: span.before * scale] *= _rise(span.before, scale, fade)
    if span.after:
        weights[-span.after * scale :] *= 1.0 - _rise(span.after, scale, fade)
    return weights


def _rise(shared: int, scale: int, fade: int) -> NDArray[np.float32]:
    """Rise from 0 to 1 over the middle `fade` of `shared` input pixels."""
    position = (np.arange(shared * scale) + 0.5) / scale - shared / 2
    return np.clip(position / fade + 0.5, 0.0, 1.0).astype(np.float32)
