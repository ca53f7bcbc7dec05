"""Degraded LR patches: what cameras and programs do to pictures before somebody enlarges them.

A degraded patch passes, in this order, another reduction than bicubic, a slight blur, sensor noise, and one or two
lossy encoders, each only with some probability. The first of two encoders comes before the reduction, or right before
the last one. Strengths are those of ordinary photographs: the long chains of random
degradations that generative networks are trained with (BSRGAN, arXiv 2103.14006; Real-ESRGAN, arXiv 2107.10833) teach
a network that is trained for PSNR to blur.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from mafdn.degradation.operations import READ_NOISE, Pixels, blurred, coded, noisy

MARGIN = 16
"""LR pixels around a patch that are degraded with it, so that blocks and filters do not end at its border."""
RESAMPLING = {
    "area": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Pillow's filters, which widen with the factor of a reduction."""
BLOCK = 8
"""Side of an encoder's blocks of luma, in pixels."""
SHARES = (
    "share",
    "blur_share",
    "noise_share",
    "read_noise",
    "correlated",
    "jpeg_share",
    "twice",
    "saved_again",
    "webp_share",
)
"""Settings that are shares."""
Reduction = Literal["bicubic", "area", "bilinear", "lanczos"]


@dataclass(frozen=True, kw_only=True)
class DegradeSettings:
    """How LR patches are degraded. Ranges are drawn from evenly; shares are probabilities in [0, 1]."""

    share: float = 0.0
    """Share of the patches that are degraded; the others are the bank's bicubic reductions. 0 for none."""
    reductions: tuple[Reduction, ...] = ("bicubic", "area", "bilinear", "lanczos")
    """Filters that reduce HR to LR, each with the same probability."""
    blur_share: float = 0.25
    """Share of the degraded patches that are blurred."""
    blur: tuple[float, float] = (0.3, 0.8)
    """Standard deviation of the Gaussian blur in LR pixels."""
    noise_share: float = 0.4
    """Share of the degraded patches that get sensor noise."""
    noise: tuple[float, float] = (0.5, 6.0)
    """Standard deviation of the noise of middle gray, in 8-bit levels."""
    read_noise: float = READ_NOISE
    """Share of the noise's variance at middle gray that does not depend on the signal."""
    correlated: float = 0.5
    """Share of the noisy patches whose noise is correlated between neighboring pixels, as after demosaicing."""
    jpeg_share: float = 0.85
    """Share of the degraded patches that are encoded as JPEG."""
    quality: tuple[int, int] = (30, 98)
    """JPEG quality of the last encoding."""
    sampling: tuple[float, float, float] = (0.6, 0.15, 0.25)
    """Relative frequencies of the chroma subsamplings 4:2:0, 4:2:2 and 4:4:4."""
    twice: float = 0.2
    """Share of the degraded patches that are encoded as JPEG once more before: at a larger size, before they are
    reduced, or at their own (`saved_again`)."""
    saved_again: float = 0.0
    """Share of these patches whose first encoding is at their own size, right before the last one, as in files that
    were saved again. In half of them the blocks of both encodings are on the same grid; in the others the grids differ
    by 0 to 7 pixels in each direction, as after a crop."""
    first_quality: tuple[int, int] = (75, 98)
    """JPEG quality of that first encoding."""
    webp_share: float = 0.05
    """Share of the degraded patches that are encoded as WebP instead of JPEG."""
    webp_quality: tuple[int, int] = (50, 95)
    """WebP quality."""

    def __post_init__(self) -> None:
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1]")
        if self.jpeg_share + self.webp_share > 1:
            raise ValueError("jpeg_share and webp_share must not add up to more than 1")
        if not self.reductions:
            raise ValueError("reductions must name at least one filter")
        for name in ("blur", "noise"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ValueError(f"{name} must be two numbers of at least 0 in ascending order")
        for name in ("quality", "first_quality", "webp_quality"):
            low, high = getattr(self, name)
            if not 1 <= low <= high <= 100:
                raise ValueError(f"{name} must be two numbers from 1 to 100 in ascending order")
        if min(self.sampling) < 0 or sum(self.sampling) <= 0:
            raise ValueError("sampling must be three frequencies of at least 0 that are not all 0")


def degraded_patch(
    hr: Pixels,
    lr: Pixels,
    place: tuple[int, int],
    side: int,
    settings: DegradeSettings,
    random: np.random.Generator,
    recolor: Callable[[Pixels], Pixels] = lambda pixels: pixels,
) -> Pixels:
    """Cut an LR patch from a picture, degraded with probability `settings.share`.

    Args:
        hr: The HR picture, (sH, sW, 3).
        lr: Its bicubic reduction, (H, W, 3).
        place: Top and left of the patch in LR pixels.
        side: Side of the patch in LR pixels.
        settings: The degradation.
        random: All random numbers come from here.
        recolor: Applied to the pixels before they are degraded.

    Returns:
        (side, side, 3).
    """
    top, left = place
    if random.random() >= settings.share:
        return recolor(lr[top : top + side, left : left + side])
    # A random part of the margin, so that the patch has a random place in the grid of an encoder's blocks.
    before, behind = random.integers(MARGIN // 2, MARGIN + 1, (2, 2)).tolist()
    start = [max(0, at - margin) for at, margin in zip(place, before, strict=True)]
    stop = [min(length, at + side + margin) for length, at, margin in zip(lr.shape[:2], place, behind, strict=True)]
    scale = hr.shape[0] // lr.shape[0]
    rows, columns = (slice(a * scale, b * scale) for a, b in zip(start, stop, strict=True))
    high, low = hr[rows, columns], lr[start[0] : stop[0], start[1] : stop[1]]
    window = degrade_picture(recolor(high), recolor(low), settings, random)
    return window[top - start[0] :, left - start[1] :][:side, :side]


def degrade_picture(hr: Pixels, lr: Pixels, settings: DegradeSettings, random: np.random.Generator) -> Pixels:
    """Make a degraded LR picture from a HR picture.

    Args:
        hr: (sH, sW, 3).
        lr: Its bicubic reduction, (H, W, 3).
        settings: The degradation; its `share` is not used.
        random: All random numbers come from here.

    Returns:
        (H, W, 3).
    """
    picture, saved_again = _reduced(hr, lr, settings, random)
    if random.random() < settings.blur_share:
        picture = blurred(picture, random.uniform(*settings.blur))
    if random.random() < settings.noise_share:
        picture = noisy(
            picture,
            random.uniform(*settings.noise),
            random,
            read=settings.read_noise,
            correlated=bool(random.random() < settings.correlated),
        )
    if saved_again:
        picture = _coded_first(picture, settings, random)
    encoder = random.random()
    if encoder < settings.jpeg_share:
        return coded(picture, "JPEG", _between(settings.quality, random), sampling=_sampling(settings, random))
    if encoder < settings.jpeg_share + settings.webp_share:
        return coded(picture, "WEBP", _between(settings.webp_quality, random))
    return picture


def _reduced(hr: Pixels, lr: Pixels, settings: DegradeSettings, random: np.random.Generator) -> tuple[Pixels, bool]:
    """Reduce a HR picture to the size of `lr`, in some cases after encoding it at a size in between.

    Returns:
        The reduced picture, and whether it is still to be encoded once more than others.
    """
    chosen = settings.reductions[int(random.integers(len(settings.reductions)))]
    twice = random.random() < settings.twice
    # Without a share nothing is drawn, so that configurations of earlier versions get the same patches.
    saved_again = twice and settings.saved_again > 0 and random.random() < settings.saved_again
    if twice and not saved_again:
        factor = random.uniform(1, hr.shape[0] / lr.shape[0])
        height, width = (round(length * factor) for length in lr.shape[:2])
        larger = np.array(Image.fromarray(hr).resize((width, height), Image.Resampling.BICUBIC))
        quality = _between(settings.first_quality, random)
        larger = coded(larger, "JPEG", quality, sampling=_sampling(settings, random))
        kind = RESAMPLING.get(chosen, Image.Resampling.BICUBIC)
        return np.array(Image.fromarray(larger).resize(lr.shape[1::-1], kind)), False
    if chosen == "bicubic":
        return lr, saved_again
    return np.array(Image.fromarray(hr).resize(lr.shape[1::-1], RESAMPLING[chosen])), saved_again


def _coded_first(picture: Pixels, settings: DegradeSettings, random: np.random.Generator) -> Pixels:
    """Encode (H, W, 3) as JPEG, in half of the cases as a part of a larger picture with another grid of blocks."""
    quality, sampling = _between(settings.first_quality, random), _sampling(settings, random)
    top, left = (0, 0) if random.random() < 0.5 else random.integers(0, BLOCK, 2).tolist()
    larger = np.pad(picture, ((top, 0), (left, 0), (0, 0)), mode="edge")
    return coded(larger, "JPEG", quality, sampling=sampling)[top:, left:]


def _sampling(settings: DegradeSettings, random: np.random.Generator) -> str:
    chances = np.cumsum(settings.sampling) / sum(settings.sampling)
    return ("4:2:0", "4:2:2", "4:4:4")[int(np.searchsorted(chances, random.random(), side="right"))]


def _between(bounds: tuple[int, int], random: np.random.Generator) -> int:
    return int(random.integers(bounds[0], bounds[1] + 1))
