"""Bicubic and Lanczos resizing identical to MATLAB's `imresize`, which benchmark datasets are reduced with."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kernel = Literal["bicubic", "lanczos3"]
Taps = tuple[NDArray[np.intp], NDArray[np.float64]]
"""Indices and weights, both (outputs, taps)."""


def modulo_crop(picture: NDArray[Any], scale: int) -> NDArray[Any]:
    """The largest top-left part of an (H, W[, C]) array with height and width divisible by `scale`."""
    height, width = picture.shape[0] // scale * scale, picture.shape[1] // scale * scale
    return picture[:height, :width]


def imresize(
    picture: NDArray[Any],
    factor: float | None = None,
    *,
    shape: tuple[int, int] | None = None,
    kernel: Kernel = "bicubic",
) -> NDArray[Any]:
    """Resize an array as MATLAB does: antialiased when reducing, borders mirrored.

    Integers are rounded and clipped after each of the two passes, as in MATLAB, so that a reduced uint8 picture equals
    MATLAB's bit for bit; floats are neither rounded nor clipped.

    Args:
        picture: (H, W) or (H, W, C) of any type.
        factor: The result has `ceil(factor * H)` rows; exclusive with `shape`.
        shape: (rows, columns) of the result.
        kernel: `bicubic` is cubic convolution with a = -0.5 (Keys, 1981), 4 pixels wide; `lanczos3` is the sinc
            windowed by the central lobe of one 3 times as wide, 6 pixels wide.

    Raises:
        ValueError: Both or neither of `factor` and `shape` are set, or a side is empty.
    """
    if (factor is None) == (shape is None):
        raise ValueError("give either factor or shape")
    old = (picture.shape[0], picture.shape[1])
    if factor is not None:
        shape = (math.ceil(factor * old[0]), math.ceil(factor * old[1]))
        factors = (factor, factor)
    else:
        assert shape is not None
        factors = (shape[0] / old[0], shape[1] / old[1])
    if min(*old, *shape) < 1:
        raise ValueError(f"cannot resize {old} to {shape}")
    # MATLAB resizes the axis that shrinks most first, rows if equal.
    for axis in sorted((0, 1), key=lambda a: factors[a]):
        picture = _resize_axis(picture, axis, shape[axis], factors[axis], kernel)
    return picture


def _resize_axis(picture: NDArray[Any], axis: int, length: int, factor: float, kernel: Kernel) -> NDArray[Any]:
    indices, weights = taps(picture.shape[axis], length, factor, kernel)
    moved = np.moveaxis(picture, axis, 0)
    floating = np.issubdtype(picture.dtype, np.floating)
    total = np.zeros((length, *moved.shape[1:]), np.float64)
    column = (slice(None),) + (None,) * (moved.ndim - 1)
    for tap in range(indices.shape[1]):
        total += weights[:, tap][column] * moved[indices[:, tap]]
    if not floating:
        limits = np.iinfo(picture.dtype)
        total = np.clip(np.floor(total + 0.5), limits.min, limits.max)
    return np.ascontiguousarray(np.moveaxis(total.astype(picture.dtype), 0, axis))


@lru_cache(maxsize=64)
def taps(old: int, new: int, factor: float, kernel: Kernel) -> Taps:
    """The inputs that each output along an axis is made of, and their weights.

    Args:
        old: Length of the axis.
        new: Length of the result.
        factor: Scale of the result's coordinates, about `new / old`.
        kernel: As for `imresize`.
    """
    shrink = min(factor, 1.0)
    shape, width = KERNELS[kernel]
    support = width / shrink
    centers = np.arange(1, new + 1) / factor + 0.5 * (1.0 - 1.0 / factor)  # one-based, as in MATLAB
    left = np.floor(centers - support / 2.0)
    positions = left[:, None] + np.arange(math.ceil(support) + 2)
    weights = shrink * shape(shrink * (centers[:, None] - positions))
    weights /= weights.sum(1, keepdims=True)
    mirror = np.concatenate([np.arange(old), np.arange(old)[::-1]])
    indices = mirror[(positions.astype(np.intp) - 1) % (2 * old)]
    used = weights.any(0)
    return indices[:, used], weights[:, used]


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1.0, near, np.where(x <= 2.0, far, 0.0))


def _lanczos3(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(x) < 3.0, np.sinc(x) * np.sinc(x / 3.0), 0.0)


KERNELS: dict[Kernel, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float]] = {
    "bicubic": (_cubic, 4.0),
    "lanczos3": (_lanczos3, 6.0),
}
"""Each kernel's function and its width in input pixels."""
