"""Transparency: colors below it that leave no fringe, and edges of it that stay where they are.

Public names: :func:`extend_colors`, :func:`settle_alpha`.
"""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mafdn.pictures.picture import Pixels

NEAR = 8
"""Pixels next to visible ones take the mean of their neighbors, ring by ring; farther ones that of wide blocks."""
SNAP = 1 / 64
"""Next to exactly opaque or clear pixels, what is as near to it as this becomes it: less than an eye sees."""


def extend_colors(color: Pixels, alpha: Pixels) -> Pixels:
    """``color`` (H, W, C) with the colors of visible pixels carried on into wholly transparent ones.

    What lies there is arbitrary, mostly black or white; a network would mix it into the edges. Visible pixels stay
    as they are. Nothing changes where all or nothing is visible.
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return color
    filled = color.astype(np.float32)
    filled[hidden] = 0
    known = (~hidden).astype(np.float32)
    # Faint pixels hold little of their color and much of its rounding: stronger neighbors count for more.
    weight = known * np.maximum(alpha.astype(np.float32) / np.iinfo(alpha.dtype).max, 1e-3)
    wide = _pull(filled, weight)
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
    filled[rest] = wide[rest]
    result = color.copy()
    result[hidden] = np.rint(filled[hidden]).astype(color.dtype)
    return result


def settle_alpha(larger: NDArray[Any], alpha: Pixels) -> None:
    """Make ``larger`` (H', W'), upscaled from ``alpha`` (H, W), exactly clear or opaque where ``alpha`` is; in place.

    Both are integers over their full range. That holds inside areas that are wholly the one or the other; next to their
    edges the values that all but reach an end of the range are put there.
    """
    top = int(np.iinfo(alpha.dtype).max)
    limit = int(np.iinfo(larger.dtype).max)
    snap = round(limit * SNAP)
    rows = np.arange(larger.shape[0]) * alpha.shape[0] // larger.shape[0]
    columns = np.arange(larger.shape[1]) * alpha.shape[1] // larger.shape[1]
    for value, end in ((0, 0), (top, limit)):
        exact = alpha == value
        inside, near = _eroded(exact), ~_eroded(~exact)
        for start in range(0, larger.shape[0], 256):  # masks of the result's size would weigh as much as it
            band = larger[start : start + 256]
            lines = rows[start : start + 256]
            almost = band <= snap if end == 0 else band >= limit - snap
            band[inside[lines][:, columns] | (almost & near[lines][:, columns])] = end


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where ``mask`` holds in all 3x3 pixels around; the outside of the picture counts as its border."""
    for axis in (0, 1):
        pad = [(1, 1) if axis == a else (0, 0) for a in (0, 1)]
        padded = np.pad(mask, pad, mode="edge")
        size = mask.shape[axis]
        mask = padded.take(range(size), axis) & mask & padded.take(range(2, size + 2), axis)
    return mask


def _around(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sum of the 3x3 values around every pixel of (H, W, C), zeros outside."""
    down = values.copy()
    down[1:] += values[:-1]
    down[:-1] += values[1:]
    total = down.copy()
    total[:, 1:] += down[:, :-1]
    total[:, :-1] += down[:, 1:]
    return total


def _pull(color: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every pixel's color as the weighted mean of the smallest block of 2^k pixels' side that has any weight."""
    sums, shares = [color * weight[..., None]], [weight]
    while max(shares[-1].shape) > 1:
        sums.append(_halved(sums[-1]))
        shares.append(_halved(shares[-1][..., None])[..., 0])
    result = sums[-1] / np.maximum(shares[-1], 1e-30)[..., None]
    for total, share in zip(sums[-2::-1], shares[-2::-1], strict=True):
        coarse = result.repeat(2, 0).repeat(2, 1)[: share.shape[0], : share.shape[1]]
        result = np.where(share[..., None] > 0, total / np.maximum(share, 1e-30)[..., None], coarse)
    return cast("NDArray[np.float32]", result)


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = values.shape[:2]
    padded = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    return padded[0::2, 0::2] + padded[1::2, 0::2] + padded[0::2, 1::2] + padded[1::2, 1::2]
