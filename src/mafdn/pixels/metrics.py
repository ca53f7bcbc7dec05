"""PSNR and SSIM by the usual protocol: 8-bit pictures, luma or RGB, `scale` border pixels ignored."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.pixels.color import luma

WINDOW, SIGMA = 11, 1.5
"""Side and standard deviation of the Gaussian window of SSIM, in pixels."""
K1, K2 = 0.01, 0.03
"""The constants of SSIM."""


def psnr(a: NDArray[Any], b: NDArray[Any], *, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB of two arrays of the same shape; infinite if they are equal."""
    _check(a, b)
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return math.inf if error == 0 else 10.0 * math.log10(peak * peak / error)


def ssim(a: NDArray[Any], b: NDArray[Any], *, peak: float = 255.0) -> float:
    """Mean structural similarity (Wang et al., IEEE TIP 2004).

    11x11 Gaussian window, sigma 1.5, valid region only, population covariance.

    Args:
        a: (H, W) array.
        b: Array of the same shape.
        peak: The value of white.

    Raises:
        ValueError: A side is below 11 pixels, or the shapes differ.
    """
    _check(a, b)
    if a.ndim != 2 or min(a.shape) < WINDOW:
        raise ValueError(f"ssim needs (H, W) arrays of at least {WINDOW}x{WINDOW}, not {a.shape}")
    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x * mean_x
    var_y = _blur(y * y) - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return float(np.mean(luminance * structure))


def psnr_y(a: NDArray[np.uint8], b: NDArray[np.uint8], *, border: int) -> float:
    """PSNR in dB on the luma of two (H, W, 3) or (H, W) uint8 pictures, `border` pixels at the edges ignored."""
    return psnr(_inner(luma(a), border), _inner(luma(b), border))


def ssim_y(a: NDArray[np.uint8], b: NDArray[np.uint8], *, border: int) -> float:
    """SSIM on the luma of two (H, W, 3) or (H, W) uint8 pictures, `border` pixels at the edges ignored."""
    return ssim(_inner(luma(a), border), _inner(luma(b), border))


def psnr_rgb(a: NDArray[np.uint8], b: NDArray[np.uint8], *, border: int) -> float:
    """PSNR in dB over all samples of two (H, W, 3) uint8 pictures, `border` pixels at the edges ignored."""
    return psnr(_inner(a, border), _inner(b, border))


def ssim_rgb(a: NDArray[np.uint8], b: NDArray[np.uint8], *, border: int) -> float:
    """Mean SSIM of the channels of two (H, W, 3) uint8 pictures, `border` pixels at the edges ignored."""
    x, y = _inner(a, border), _inner(b, border)
    return float(np.mean([ssim(x[..., c], y[..., c]) for c in range(3)]))


def _inner(picture: NDArray[Any], border: int) -> NDArray[Any]:
    return picture[border : picture.shape[0] - border, border : picture.shape[1] - border]


def _blur(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Separable Gaussian filter over the valid region: (H, W) to (H - 10, W - 10)."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    kernel = np.exp(-(offsets**2) / (2 * SIGMA**2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        x = np.lib.stride_tricks.sliding_window_view(x, WINDOW, axis=axis) @ kernel
    return x


def _check(a: NDArray[Any], b: NDArray[Any]) -> None:
    if a.shape != b.shape:
        raise ValueError(f"pictures differ in size: {a.shape} and {b.shape}")
    if a.size == 0:
        raise ValueError("nothing is left to measure: the picture is smaller than the ignored borders")
