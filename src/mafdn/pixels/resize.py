"""Bicubic and Lanczos resizing that equals MATLAB's ``imresize``, on which the field's low-resolution files rest.

Public names: :func:`imresize`, :func:`modulo_crop`.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kernel = Literal["bicubic", "lanczos3"]
Taps = tuple[NDArray[np.intp], NDArray[np.float64]]


def modulo_crop(picture: NDArray[Any], scale: int) -> NDArray[Any]:
    """The largest top-left part of an (H, W[, C]) array whose height and width ``scale`` divides."""
    height, width = picture.shape[0] // scale * scale, picture.shape[1] // scale * scale
    return picture[:height, :width]


def imresize(
    picture: NDArray[Any],
    factor: float | None = None,
    *,
    size: tuple[int, int] | None = None,
    kernel: Kernel = "bicubic",
) -> NDArray[Any]:
    """Resize an (H, W) or (H, W, C) array, antialiased when it shrinks, as MATLAB does.

    Give either ``factor`` (the result has ``ceil(factor * H)`` rows) or the result's ``size`` (rows,
    columns). Integer arrays are rounded and clipped after each of the two passes, as MATLAB does, so
    the result of a uint8 reduction equals its files bit for bit; floating arrays are neither.
    Borders are mirrored. Kernels: cubic convolution with a = -0.5 (Keys, 1981), 4 wide, and the sinc
    with 3 lobes of a wider sinc as its window (Lanczos), 6 wide.

    Raises ``ValueError`` when both or neither of ``factor`` and ``size`` are given or a side is empty.
    """
    if (factor is None) == (size is None):
        raise ValueError("give either factor or size")
    old = (picture.shape[0], picture.shape[1])
    if factor is not None:
        size = (math.ceil(factor * old[0]), math.ceil(factor * old[1]))
        factors = (factor, factor)
    else:
        assert size is not None
        factors = (size[0] / old[0], size[1] / old[1])
    if min(*old, *size) < 1:
        raise ValueError(f"cannot resize {old} to {size}")
    # MATLAB takes the axis that shrinks most first, the rows when equal.
    for axis in sorted((0, 1), key=lambda a: factors[a]):
        picture = _resize_axis(picture, axis, size[axis], factors[axis], kernel)
    return picture


def _resize_axis(picture: NDArray[Any], axis: int, size: int, factor: float, kernel: Kernel) -> NDArray[Any]:
    indices, weights = taps(picture.shape[axis], size, factor, kernel)
    moved = np.moveaxis(picture, axis, 0)
    floating = np.issubdtype(picture.dtype, np.floating)
    total = np.zeros((size, *moved.shape[1:]), np.float64)
    column = (slice(None),) + (None,) * (moved.ndim - 1)
    for tap in range(indices.shape[1]):
        total += weights[:, tap][column] * moved[indices[:, tap]]
    if not floating:
        limits = np.iinfo(picture.dtype)
        total = np.clip(np.floor(total + 0.5), limits.min, limits.max)
    return np.ascontiguousarray(np.moveaxis(total.astype(picture.dtype), 0, axis))


@lru_cache(maxsize=64)
def taps(old: int, new: int, factor: float, kernel: Kernel) -> Taps:
    """For each of ``new`` outputs, the inputs it is made of and their weights, both (new, taps)."""
    shrink = min(factor, 1.0)
    shape, width = KERNELS[kernel]
    support = width / shrink
    centers = np.arange(1, new + 1) / factor + 0.5 * (1.0 - 1.0 / factor)  # one-based, as MATLAB
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
"""Every kernel and its width in input pixels."""
