"""Cut a picture into tiles as programs do that know nothing of the network."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Batch = NDArray[np.float32]


def spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """The ranges of the result's pixels, in input pixels, that each tile along one axis provides."""
    step = tile - 2 * overlap
    count = -(-length // step)
    return [(i * step, min((i + 1) * step, length)) for i in range(count)]


def tiled(run: Callable[[Batch], Batch], x: Batch, *, tile: int, overlap: int, scale: int) -> Batch:
    """The result of tiles of at most `tile` pixels, each cropped by `overlap` inside the picture.

    Args:
        run: Upscales (1, 3, h, w) float32 to (1, 3, scale*h, scale*w).
        x: The picture, (1, 3, H, W) float32 RGB in [0, 1].
        tile: Side of a tile with its overlap.
        overlap: Input pixels by which a tile extends beyond what it provides, on each side.
        scale: The factor.

    Returns:
        (1, 3, scale*H, scale*W) float32.
    """
    height, width = x.shape[2:]
    result = np.empty((1, 3, scale * height, scale * width), np.float32)
    for top, bottom in spans(height, tile, overlap):
        for left, right in spans(width, tile, overlap):
            y, z = max(0, top - overlap), max(0, left - overlap)
            part = run(np.ascontiguousarray(x[:, :, y : bottom + overlap, z : right + overlap]))
            inside = part[:, :, scale * (top - y) : scale * (bottom - y), scale * (left - z) : scale * (right - z)]
            result[:, :, scale * top : scale * bottom, scale * left : scale * right] = inside
    return result
