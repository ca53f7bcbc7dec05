"""How well a network keeps saturated colors: on pictures of two colors, what share of the result is of neither.

Networks that hardly saw saturated colors while they were trained make specks of other colors where two of them meet.
PSNR of benchmark datasets does not show that: their pictures have few such colors, and it is of luma only. Here, a disk
of one color lies on another, so each LR pixel is a mixture of the two, as each pixel of a faithful result is too.
"""

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from mafdn.evaluation.benchset import Method

SIDE = 40
"""Side of the LR pictures in pixels."""
RADIUS = 13
"""Radius of the disk in LR pixels."""
SAMPLES = 8
"""Samples of an LR pixel along each side, of which it is the mean."""
LEVELS = ((0, 255), (20, 240))
"""Pairs of levels; the colors that are combined have one of a pair in each channel."""
FAR = 32
"""Distance from all mixtures of the two colors, in levels, from which a pixel counts as one of another color."""


@dataclass(frozen=True, kw_only=True)
class ColorScore:
    """The pixels in pictures of two colors that are far from every mixture of these."""

    share: float
    """Their share, in [0, 1]."""
    largest: float
    """The largest distance, in levels: Euclidean, of RGB colors with channels in 0 to 255."""
    pictures: int
    """Number of pictures."""


def color_score(method: Method) -> ColorScore:
    """Measure a network on disks in all pairs of saturated colors, white and black.

    Args:
        method: A function that upscales an 8-bit RGB picture (H, W, 3).
    """
    disk = _disk()[..., None]
    pairs = [pair for levels in LEVELS for pair in permutations(product(levels, repeat=3), 2)]
    far: list[float] = []
    largest = 0.0
    for pair in pairs:
        inner, outer = (np.array(color, np.float32) for color in pair)
        low = np.rint(disk * inner + (1 - disk) * outer).astype(np.uint8)
        distance = _distance(method(low).astype(np.float32), inner, outer)
        far.append(float((distance > FAR).mean()))
        largest = max(largest, float(distance.max()))
    return ColorScore(share=float(np.mean(far)), largest=largest, pictures=len(pairs))


@cache
def _disk() -> NDArray[np.float32]:
    """The share of each LR pixel that is covered by the disk (SIDE, SIDE)."""
    center = (SIDE - 1 / SAMPLES) / 2
    y, x = np.mgrid[: SIDE * SAMPLES, : SIDE * SAMPLES] / SAMPLES
    inside = (x - center) ** 2 + (y - center) ** 2 < RADIUS**2
    return inside.reshape(SIDE, SAMPLES, SIDE, SAMPLES).mean((1, 3)).astype(np.float32)


def _distance(pixels: NDArray[np.float32], a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """The distance of each pixel (H, W, 3) from the segment between two colors (3)."""
    along = np.clip((pixels - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(pixels - (a + along[..., None] * (b - a)), axis=-1)
