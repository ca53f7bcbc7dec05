"""Transparency around upscaling: no fringes from hidden colors, no haze around opaque and clear areas."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mafdn.pixels.rows import Rows, pieces

NEAR = 8
"""Distance in pixels up to which hidden pixels take the mean of their neighbors, ring by ring, not that of blocks."""
LEVELS = 4
"""Halvings from pixels to the smallest blocks that are computed for the whole picture."""
BLOCK = 2**LEVELS
"""Side of those blocks in pixels; smaller ones are computed where they are needed."""
SNAP = 1 / 64
"""Alpha within this distance of 0 or full (1) is snapped to it next to exactly clear or opaque pixels: invisible."""
MIN_WEIGHT = 1e-3
"""Weight of the faintest visible pixels, relative to opaque ones."""
Floats = NDArray[np.float32]


def bleed_colors(planes: Rows) -> Rows:
    """Extend the colors of visible pixels into fully transparent ones.

    The colors stored there are arbitrary, mostly black or white, and a network would mix them into the edges.

    Args:
        planes: (H, W, C) uint8, uint16 or float32, the last channel alpha.

    Returns:
        Rows of the same shape; visible pixels and alpha are unchanged, and so is all if every or no pixel is visible.
    """
    hidden, visible = False, False
    for _, piece in pieces(planes):
        clear = piece[..., -1] == 0
        hidden, visible = hidden or bool(clear.any()), visible or not clear.all()
    return _BledRows(planes) if hidden and visible else planes


class _BledRows:
    """The result of `bleed_colors`, computed when rows are read; only the blocks are computed beforehand."""

    def __init__(self, planes: Rows) -> None:
        self.shape, self.dtype, self._planes = planes.shape, planes.dtype, planes
        levels = [_blocks(piece) for _, piece in pieces(planes, multiple=BLOCK)]
        sums, weights = (np.concatenate(parts) for parts in zip(*levels, strict=True))
        self._wide = _pull(sums, weights)

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        start, stop, _ = rows.indices(self.shape[0])
        top = max(0, start - NEAR) // BLOCK * BLOCK
        bottom = min(self.shape[0], -(-(stop + NEAR) // BLOCK) * BLOCK)
        planes = self._planes[top:bottom]
        hidden = planes[..., -1] == 0
        if hidden.any():
            colors = _filled(planes, self._wide[top // BLOCK : -(-bottom // BLOCK)])
            planes = planes.copy()
            found = colors[hidden]
            planes[..., :-1][hidden] = (found if self.dtype.kind == "f" else np.rint(found)).astype(self.dtype)
        return planes[start - top : stop - top]


def snap_alpha(resized: NDArray[Any], top: int, original: Rows, shape: tuple[int, int]) -> None:
    """Make resized alpha exactly clear or opaque, in place, where the original is.

    Inside clear and opaque areas of the original all values are replaced. Next to their edges, values within `SNAP` of
    clear or opaque are.

    Args:
        resized: (h, W') rows of the resized alpha: unsigned integers over their full range, or float32 in [0, 1].
        top: Number of the first of these rows.
        original: (H, W, C) picture with alpha as its last channel, of the same kind.
        shape: (H', W') of the whole resized alpha.
    """
    full, limit = opaque(original.dtype), opaque(resized.dtype)
    snap = limit * SNAP if resized.dtype.kind == "f" else round(limit * SNAP)
    above, below = _around_of(np.arange(top, top + len(resized)), original.shape[0], shape[0])
    before, behind = _around_of(np.arange(shape[1]), original.shape[1], shape[1])
    first = int(above[0])
    values = original[first : int(below[-1])][..., -1]
    for value, end in ((0, 0), (full, limit)):
        down = _summed(values == value, 0)
        for start in range(0, len(resized), 256):  # counts of the result's size would weigh as much as it
            band, lines = resized[start : start + 256], slice(start, start + 256)
            across = _summed(down[below[lines] - first] - down[above[lines] - first], 1)
            count = across[:, behind] - across[:, before]
            inside = count == (below - above)[lines, None] * (behind - before)
            almost = band <= snap if end == 0 else band >= limit - snap
            band[inside | (almost & (count > 0))] = end


def opaque(dtype: np.dtype[Any]) -> float:
    """Return the alpha value of opaque pixels, which is also the value of white."""
    return 1.0 if dtype.kind == "f" else int(np.iinfo(dtype).max)


def _around_of(places: NDArray[Any], length: int, resized: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Start and stop of the original pixels that positions along a resized axis depend on.

    `length` and `resized` are the axis's lengths; a neighbor on either side is included.
    """
    first, last = places * length // resized, -(-(places + 1) * length // resized)
    return np.maximum(first - 1, 0), np.minimum(last + 1, length)


def _summed(values: NDArray[Any], axis: int) -> NDArray[np.int64]:
    """Cumulative sums along `axis`, starting with 0."""
    pad = [(1, 0) if axis == a else (0, 0) for a in (0, 1)]
    return np.cumsum(np.pad(values, pad), axis, np.int64)


def _weighted(planes: NDArray[Any]) -> tuple[Floats, Floats]:
    """(h, w, C - 1) colors, zero where hidden, and the (h, w) weight of each pixel."""
    alpha = planes[..., -1]
    colors = planes[..., :-1].astype(np.float32)
    colors[alpha == 0] = 0
    # The colors of faint pixels are mostly rounding error: stronger neighbors count for more.
    weight = np.maximum(alpha.astype(np.float32) / opaque(alpha.dtype), MIN_WEIGHT)
    return colors, np.where(alpha > 0, weight, 0).astype(np.float32)


def _filled(planes: NDArray[Any], wide: Floats) -> Floats:
    """(h, w, C - 1) colors of `planes`, extended ring by ring near visible pixels, else by blocks.

    `wide` holds the colors of the blocks of side `BLOCK`. Up to `NEAR` rows from a cut edge of the picture can be
    wrong.
    """
    filled, weight = _weighted(planes)
    known = (weight > 0).astype(np.float32)
    blocks = _pull(filled * weight[..., None], weight, coarse=wide)
    for _ in range(NEAR):
        total = _around(filled * weight[..., None])
        share = _around(weight[..., None])[..., 0]
        new = (known == 0) & (share > 0)
        if not new.any():
            break
        filled[new] = total[new] / share[new][:, None]
        known[new] = 1
        weight[new] = share[new] / 9
    rest = known == 0
    filled[rest] = blocks[rest]
    return filled


def _around(values: Floats) -> Floats:
    """The sum of the 3x3 values around every pixel of (h, w, C), zeros outside."""
    down = values.copy()
    down[1:] += values[:-1]
    down[:-1] += values[1:]
    total = down.copy()
    total[:, 1:] += down[:, :-1]
    total[:, :-1] += down[:, 1:]
    return total


def _blocks(planes: NDArray[Any]) -> tuple[Floats, Floats]:
    """Weighted color sums (h / BLOCK, w / BLOCK, C - 1) and weight sums (h / BLOCK, w / BLOCK) of blocks."""
    colors, weight = _weighted(planes)
    sums, weights = colors * weight[..., None], weight[..., None]
    for _ in range(LEVELS):
        sums, weights = _halved(sums), _halved(weights)
    return sums, weights[..., 0]


def _pull(sums: Floats, weights: Floats, *, coarse: Floats | None = None) -> Floats:
    """Every pixel's color as the weighted mean of the smallest block, of side 2^k, with any weight.

    Args:
        sums: (h, w, C) colors times weights.
        weights: (h, w) weights.
        coarse: Colors of the blocks of side `BLOCK`; `None` to let blocks grow until there is only one.
    """
    levels = [(sums, weights)]
    while len(levels) <= LEVELS if coarse is not None else max(levels[-1][1].shape) > 1:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1][..., None])[..., 0]))
    total, share = levels.pop()
    result = coarse if coarse is not None else total / np.maximum(share, 1e-30)[..., None]
    for total, share in reversed(levels):
        wide = result.repeat(2, 0).repeat(2, 1)[: share.shape[0], : share.shape[1]]
        result = np.where(share[..., None] > 0, total / np.maximum(share, 1e-30)[..., None], wide)
    return cast(Floats, result)


def _halved(values: Floats) -> Floats:
    """Sums of 2x2 values, zeros beyond the edge."""
    height, width = values.shape[:2]
    padded = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    return padded[0::2, 0::2] + padded[1::2, 0::2] + padded[0::2, 1::2] + padded[1::2, 1::2]
