"""Transparency: colors below it that leave no fringe, and edges of it that stay where they are.

Public names: :func:`extended`, :func:`settle_alpha`.
"""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mafdn.pixels.rows import Rows, pieces

NEAR = 8
"""Pixels next to visible ones take the mean of their neighbors, ring by ring; farther ones that of wide blocks."""
LEVELS = 4
BLOCK = 2**LEVELS
"""Side of the smallest blocks that are known of the whole picture; smaller ones are found where they are needed."""
SNAP = 1 / 64
"""Next to exactly opaque or clear pixels, what is as near to it as this becomes it: less than an eye sees."""
Floats = NDArray[np.float32]


def extended(planes: Rows) -> Rows:
    """``planes`` (H, W, C), the last of them alpha, the colors of visible pixels carried on into transparent ones.

    What lies there is arbitrary, mostly black or white; a network would mix it into the edges. Visible pixels and alpha
    stay as they are. Nothing changes where all or nothing is visible.
    """
    hidden, visible = False, False
    for _, piece in pieces(planes):
        clear = piece[..., -1] == 0
        hidden, visible = hidden or bool(clear.any()), visible or not clear.all()
    return _ExtendedRows(planes) if hidden and visible else planes


class _ExtendedRows:
    """The rows of :func:`extended`, found as they are asked for; only the wide blocks are known beforehand."""

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
            planes[..., :-1][hidden] = np.rint(colors[hidden]).astype(self.dtype)
        return planes[start - top : stop - top]


def settle_alpha(larger: NDArray[Any], top: int, alpha: Rows, size: tuple[int, int]) -> None:
    """Make ``larger`` (h, W'), the rows from ``top`` on of an alpha upscaled to ``size`` (H', W'), clear or opaque.

    That is done in place, and exactly where the last channel of ``alpha`` (H, W, C) is. Both are integers over their
    full range. It holds inside areas that are wholly the one or the other; next to their edges the values that all but
    reach an end of the range are put there.
    """
    full = int(np.iinfo(alpha.dtype).max)
    limit = int(np.iinfo(larger.dtype).max)
    snap = round(limit * SNAP)
    above, below = _around_of(np.arange(top, top + len(larger)), alpha.shape[0], size[0])
    before, behind = _around_of(np.arange(size[1]), alpha.shape[1], size[1])
    first = int(above[0])
    values = alpha[first : int(below[-1])][..., -1]
    for value, end in ((0, 0), (full, limit)):
        down = _summed(values == value, 0)
        for start in range(0, len(larger), 256):  # counts of the result's size would weigh as much as it
            band, lines = larger[start : start + 256], slice(start, start + 256)
            across = _summed(down[below[lines] - first] - down[above[lines] - first], 1)
            count = across[:, behind] - across[:, before]
            inside = count == (below - above)[lines, None] * (behind - before)
            almost = band <= snap if end == 0 else band >= limit - snap
            band[inside | (almost & (count > 0))] = end


def _around_of(places: NDArray[Any], length: int, larger: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """From where to where pixels of ``length`` make those at ``places`` of ``larger``, a neighbor on either side."""
    first, last = places * length // larger, -(-(places + 1) * length // larger)
    return np.maximum(first - 1, 0), np.minimum(last + 1, length)


def _summed(values: NDArray[Any], axis: int) -> NDArray[np.int64]:
    """Sums of all that come before each place along ``axis``, and of all."""
    pad = [(1, 0) if axis == a else (0, 0) for a in (0, 1)]
    return np.cumsum(np.pad(values, pad), axis, np.int64)


def _weighted(planes: NDArray[Any]) -> tuple[Floats, Floats]:
    """Colors with zeros where nothing is visible, and how much each pixel counts."""
    alpha = planes[..., -1]
    colors = planes[..., :-1].astype(np.float32)
    colors[alpha == 0] = 0
    # Faint pixels hold little of their color and much of its rounding: stronger neighbors count for more.
    weight = np.maximum(alpha.astype(np.float32) / np.iinfo(alpha.dtype).max, 1e-3)
    return colors, np.where(alpha > 0, weight, 0).astype(np.float32)


def _filled(planes: NDArray[Any], wide: Floats) -> Floats:
    """The colors of ``planes``, carried on: ring by ring near visible pixels, else those of blocks.

    ``wide`` has the colors of the blocks of :data:`BLOCK` pixels. What lies :data:`NEAR` rows from the first and the
    last that are not the picture's can be wrong.
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
    """The sum of the 3x3 values around every pixel of (H, W, C), zeros outside."""
    down = values.copy()
    down[1:] += values[:-1]
    down[:-1] += values[1:]
    total = down.copy()
    total[:, 1:] += down[:, :-1]
    total[:, :-1] += down[:, 1:]
    return total


def _blocks(planes: NDArray[Any]) -> tuple[Floats, Floats]:
    """The weighted sums of the colors in blocks of :data:`BLOCK` pixels, (h, w, C), and of the weights, (h, w)."""
    colors, weight = _weighted(planes)
    sums, weights = colors * weight[..., None], weight[..., None]
    for _ in range(LEVELS):
        sums, weights = _halved(sums), _halved(weights)
    return sums, weights[..., 0]


def _pull(sums: Floats, weights: Floats, *, coarse: Floats | None = None) -> Floats:
    """Every pixel's color as the weighted mean of the smallest block of 2^k pixels' side that has any weight.

    ``sums`` (h, w, C) are of colors times ``weights`` (h, w). ``coarse`` has the colors of blocks of :data:`BLOCK`; not
    given, blocks grow until there is only one.
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
    height, width = values.shape[:2]
    padded = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    return padded[0::2, 0::2] + padded[1::2, 0::2] + padded[0::2, 1::2] + padded[1::2, 1::2]
