"""What cameras and programs do to pictures: blur, sensor noise, and lossy coding.

Training degrades LR patches with these functions (`mafdn.training.data.degrade`), and evaluation the LR pictures of
benchmark datasets (`mafdn.degradation.chain`).
"""

import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GAMMA = 2.2
"""Exponent from display values to light in which noise is added."""
JPEG_SAMPLING = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}
"""Pillow's numbers of chroma subsampling."""
WEBP_EFFORT = 2
"""Encoder effort of WebP, 0 to 6."""
READ_NOISE = 0.3
"""Default share of the noise's variance at middle gray that does not depend on the signal."""
Pixels = NDArray[np.uint8]


def blurred(picture: Pixels, deviation: float) -> Pixels:
    """Blur (H, W, 3) by a Gaussian of this standard deviation in pixels."""
    radius = max(1, round(3 * deviation))
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-(offsets**2) / (2 * max(deviation, 1e-3) ** 2))
    weights = (weights / weights.sum()).astype(np.float32)
    height, width, _ = picture.shape
    padded = np.pad(picture.astype(np.float32), ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    rows = np.zeros((height, width + 2 * radius, 3), np.float32)
    for start, weight in enumerate(weights):
        rows += weight * padded[start : start + height]
    values = np.zeros((height, width, 3), np.float32)
    for start, weight in enumerate(weights):
        values += weight * rows[:, start : start + width]
    return _to_levels(values)


def noisy(picture: Pixels, deviation: float, random: np.random.Generator, *, read: float, correlated: bool) -> Pixels:
    """Add sensor noise to (H, W, 3): its variance grows linearly with light, from a constant part.

    Args:
        picture: The picture.
        deviation: Standard deviation of middle gray's noise, in 8-bit levels.
        random: All random numbers come from here.
        read: Share of the variance at middle gray that is constant.
        correlated: Whether the noise is low-pass filtered, as demosaicing does: red and blue, of which a sensor has one
            in four pixels, more than green.
    """
    noise = random.standard_normal(picture.shape, np.float32)
    if correlated:
        for channel, share in ((0, 0.5), (1, 0.25), (2, 0.5)):
            noise[..., channel] = _smoothed(noise[..., channel], share)
    light = (picture.astype(np.float32) / 255) ** GAMMA
    middle = 0.5**GAMMA
    at_middle = deviation / 255 * GAMMA * 0.5 ** (GAMMA - 1)  # in light
    light += noise * at_middle * np.sqrt(read + (1 - read) * light / middle)
    return _to_levels(np.clip(light, 0, 1) ** (1 / GAMMA) * 255)


def white_noise(picture: Pixels, deviation: float, random: np.random.Generator) -> Pixels:
    """Add the literature's noise to (H, W, 3): Gaussian, of one standard deviation (8-bit levels) everywhere."""
    values = picture.astype(np.float32)
    values += np.float32(deviation) * random.standard_normal(picture.shape, np.float32)
    return _to_levels(values)


def coded(picture: Pixels, encoder: Literal["JPEG", "WEBP"], quality: int, *, sampling: str = "4:2:0") -> Pixels:
    """Encode and decode (H, W, 3) by Pillow.

    Args:
        picture: The picture.
        encoder: Pillow's name of the format.
        quality: 1 to 100.
        sampling: Chroma subsampling of JPEG.
    """
    file = io.BytesIO()
    image = Image.fromarray(picture)
    if encoder == "JPEG":
        image.save(file, encoder, quality=quality, subsampling=JPEG_SAMPLING[sampling])
    else:
        image.save(file, encoder, quality=quality, method=WEBP_EFFORT)
    with Image.open(file, formats=(encoder,)) as decoded:
        return np.array(decoded.convert("RGB"))


def _smoothed(noise: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Filter (H, W) white noise of variance 1 by (share, 1, share) in both directions, in place; keep the variance."""
    for axis in (0, 1):
        noise += np.float32(share) * (np.roll(noise, 1, axis) + np.roll(noise, -1, axis))
    noise /= np.float32(1 + 2 * share**2)
    return noise


def _to_levels(values: NDArray[np.float32]) -> Pixels:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
