"""The blockwise discrete cosine transform of JPEG, and the color conversion and chroma reduction before it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 8
"""Side of a block in samples."""
CENTER = 128.0
"""Sample value that JPEG's level shift moves to 0."""
YCC = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.168735892, -0.331264108, 0.5],
        [0.5, -0.418687589, -0.081312411],
    ]
)
"""From RGB to YCbCr as in JFIF (BT.601, full range), before 128 is added to Cb and Cr."""
SMOOTH = (1 / 8, 6 / 8, 1 / 8)
"""What doubling by libjpeg's triangle filter (3/4 and 1/4) and averaging pairs do to samples along an axis."""
REACH = 6
"""Samples on either side that the inverse of `SMOOTH` is computed from; further ones count for less than 0.003 %."""
POLE = -3 + 2 * np.sqrt(2)
"""The inverse of `SMOOTH` weighs a sample n steps away in proportion to the n-th power of this number."""
Plane = NDArray[np.float64]
"""(H, W) samples of one component, 0 to 255."""


def _basis() -> NDArray[np.float64]:
    """(8, 8) orthonormal cosines: frequency, sample."""
    n = np.arange(BLOCK)
    cosines = np.cos((2 * n[None, :] + 1) * n[:, None] * np.pi / (2 * BLOCK))
    return cosines * np.where(n[:, None] == 0, np.sqrt(1 / BLOCK), np.sqrt(2 / BLOCK))


BASIS = _basis()


def forward_dct(plane: Plane) -> NDArray[np.float64]:
    """The DCT coefficients of all complete blocks from the top left: (rows, columns, 8 down, 8 across)."""
    rows, columns = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    samples = plane[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    return BASIS @ (samples - CENTER) @ BASIS.T


def inverse_dct(coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """The samples of blocks of coefficients, both (..., 8, 8), without the level shift."""
    return BASIS.T @ coefficients @ BASIS


def component_plane(rgb: NDArray[Any], number: int) -> Plane:
    """Y, Cb or Cr (number 0, 1 or 2) of (H, W, 3) RGB of any type; (H, W, 1) grey is luma itself."""
    if rgb.shape[2] == 1:
        return rgb[..., 0].astype(np.float64)
    return rgb.astype(np.float64) @ YCC[number] + (CENTER if number else 0.0)


def reduced_chroma(plane: Plane, down: int, across: int) -> Plane:
    """The subsampled plane that a decoder enlarges to `plane`.

    Decoders of the libjpeg family double an axis by a triangle filter; averaging pairs, as encoders do, does not undo
    it, so the inverse of both together is applied. Other factors are enlarged by repetition, which averaging undoes.

    Args:
        plane: The plane at full size; an incomplete last pair is completed by repetition.
        down: Vertical factor.
        across: Horizontal factor.
    """
    for axis, factor in ((0, down), (1, across)):
        if factor == 1:
            continue
        missing = -plane.shape[axis] % factor
        plane = np.pad(plane, [(0, missing if axis == a else 0) for a in (0, 1)], "edge")
        shape = list(plane.shape)
        shape[axis : axis + 1] = [shape[axis] // factor, factor]
        plane = plane.reshape(shape).mean(axis + 1)
        if factor == 2:
            plane = _sharpened(plane, axis)
    return plane


def _sharpened(plane: Plane, axis: int) -> Plane:
    """Apply the inverse of `SMOOTH` along an axis, whose ends are repeated as by the decoder."""
    weights = POLE ** np.abs(np.arange(-REACH, REACH + 1))
    weights /= weights.sum()
    length = plane.shape[axis]
    padded = np.pad(plane, [(REACH, REACH) if axis == a else (0, 0) for a in (0, 1)], "symmetric")
    parts = (weight * np.take(padded, range(i, i + length), axis) for i, weight in enumerate(weights))
    return sum(parts, np.zeros_like(plane))


def sharpening_gain(factor: int) -> NDArray[np.float64]:
    """By how much `reduced_chroma` multiplies the variance of independent noise, at each of the 8 frequencies."""
    if factor == 1:
        return np.ones(BLOCK)
    frequencies = np.arange(BLOCK) * np.pi / BLOCK
    response = SMOOTH[1] + 2 * SMOOTH[0] * np.cos(frequencies) if factor == 2 else np.ones(BLOCK)
    return 1 / (factor * response**2)
