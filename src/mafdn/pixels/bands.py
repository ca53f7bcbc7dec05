"""Resizing a large picture piece by piece, in float and without its rounding.

Public names: :func:`resized_rows`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.pixels.resize import Kernel, taps
from mafdn.pixels.rows import Rows


def resized_rows(
    picture: Rows, rows: range, *, size: tuple[int, int], kernel: Kernel = "lanczos3"
) -> NDArray[np.float32]:
    """Rows ``rows`` of an (H, W, C) picture resized to ``size`` (rows, columns): (len(rows), columns, C) float32.

    The values are those of :func:`imresize` on floats, to float32's rounding; memory is that of the rows alone.
    """
    height, width = picture.shape[:2]
    if (height, width) == size:
        return picture[rows.start : rows.stop].astype(np.float32)
    indices, weights = taps(height, size[0], size[0] / height, kernel)
    indices, weights = indices[rows.start : rows.stop], weights[rows.start : rows.stop].astype(np.float32)
    top, bottom = int(indices.min()), int(indices.max()) + 1
    part = _columns(picture[top:bottom], size[1], kernel)
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
