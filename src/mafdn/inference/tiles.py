"""Cutting a picture into overlapping tiles and joining them again.

Public names: :class:`Tiling`, :class:`Span`, :func:`plan`, :func:`ramp`.

All tiles of a picture have one size, so an engine compiles one graph. Neighbors overlap, and in the
middle of the overlap one fades into the other, because the channel attention of every tile sees that
tile alone and neighbors may differ by a little over their whole area: a fade leaves no edge to see.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import UsageError

MARGIN = 8
"""Input pixels on each side of a fade that are computed and not used: there a tile's own padding shows."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How a picture is cut, in input pixels.

    A picture of at most ``tile**2`` pixels is taken whole; a larger one in tiles of ``tile`` x ``tile``
    whose neighbors share at least ``overlap``. Raises :class:`UsageError` for sizes that cannot work.
    """

    tile: int = 256
    overlap: int = 32

    def __post_init__(self) -> None:
        if not 2 * MARGIN < self.overlap <= self.tile // 3:
            raise UsageError(
                f"the tile must be at least {3 * self.overlap} for an overlap of {self.overlap}, which must itself "
                f"be over {2 * MARGIN}; the tile is {self.tile}"
            )

    @property
    def fade(self) -> int:
        """Width of a fade in input pixels."""
        return self.overlap - 2 * MARGIN


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
    if height * width <= tiling.tile**2:
        return [Span(0, height, 0, 0)], [Span(0, width, 0, 0)]
    return plan_axis(height, tiling), plan_axis(width, tiling)


def plan_axis(length: int, tiling: Tiling) -> list[Span]:
    """Spans of one size, evenly spread, that cover ``[0, length)``."""
    tile, overlap = tiling.tile, tiling.overlap
    if length <= tile:
        return [Span(0, length, 0, 0)]
    count = -(-(length - overlap) // (tile - overlap))
    starts = [round(i * (length - tile) / (count - 1)) for i in range(count)]
    shared = [a + tile - b for a, b in pairwise(starts)]
    return [
        Span(start, tile, before, after)
        for start, before, after in zip(starts, [0, *shared], [*shared, 0], strict=True)
    ]


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
    position = (np.arange(shared * scale) + 0.5) / scale
    return np.clip((position - (shared - fade) / 2) / fade, 0.0, 1.0).astype(np.float32)
