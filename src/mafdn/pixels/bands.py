"""Resizing a large picture a few rows at a time, in float and without rounding."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.pixels.resize import Kernel, taps
from mafdn.pixels.rows import Rows


def resized_rows(
    picture: Rows, rows: range, *, shape: tuple[int, int], kernel: Kernel = "lanczos3"
) -> NDArray[np.float32]:
    """Some rows of a resized picture, computed without the others.

    Args:
        picture: (H, W, C) of any type.
        rows: Which rows of the result.
        shape: (rows, columns) of the whole result.
        kernel: As for `imresize`.

    Returns:
        (len(rows), columns, C) float32, equal to `imresize` on floats up to the rounding of float32.
    """
    height, width = picture.shape[:2]
    if (height, width) == shape:
        return picture[rows.start : rows.stop].astype(np.float32)
    indices, weights = taps(height, shape[0], shape[0] / height, kernel)
    indices, weights = indices[rows.start : rows.stop], weights[rows.start : rows.stop].astype(np.float32)
    top, bottom = int(indices.min()), int(indices.max()) + 1
    part = _columns(picture[top:bottom], shape[1], kernel)
    result = np.zeros((len(rows), *part.shape[1:]), np.float32)
    for tap in range(indices.shape[1]):
        result += weights[:, tap][:, None, None] * part[indices[:, tap] - top]
    return result


def _columns(part: NDArray[Any], width: int, kernel: Kernel) -> NDArray[np.float32]:
    old = part.shape[1]
    if old == width:
        return part.astype(np.float32)
    indices, weights = taps(old, width, width / old, kernel)
    weights = weights.astype(np.float32)
    result = np.zeros((len(part), width, part.shape[2]), np.float32)
    for tap in range(indices.shape[1]):
        result += weights[:, tap][None, :, None] * part[:, indices[:, tap]]
    return result
