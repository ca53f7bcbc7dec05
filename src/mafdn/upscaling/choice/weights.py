"""The choice between the variants of the shipped weights, for one picture.

Pictures that were coded with visible loss are upscaled by the `photo` weights, all others by the `classic` ones. A JPEG
file states its quality by its quantization tables. A picture that was coded before and then saved in another format, or
again at a high quality, is recognized by its pixels.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from mafdn.pictures.codecs.jpeg_quality import estimate_quality, nearest_quality
from mafdn.pictures.codecs.vp8 import MOST_QUANTIZER
from mafdn.pictures.reading import PictureHeader
from mafdn.pixels.blocks import ROUNDING, find_block_grid
from mafdn.pixels.rows import Rows
from mafdn.weights.shipped import VARIANTS, Variant

MOST_DEGRADED_QUALITY = 94
"""Highest JPEG quality whose pictures the photo weights upscale: both variants score alike at 95 to 96 at x2, and at 93
to 95 at x4, by docs/results/weights-choice.json (`python -m tools.choice --gains`)."""
LEAST_DEGRADED_QUANTIZER = 12
"""Lowest quantizer index of lossy WebP whose pictures they upscale, by the same measurement; quality 86 of libwebp."""
CODED_AGAIN = 0.8
"""Standard deviation of what coding again at a high quality adds to coefficients, in 8-bit levels."""


@dataclass(frozen=True, kw_only=True)
class WeightsChoice:
    """Which variant of the shipped weights upscaled a picture, and why.

    Attributes:
        variant: `photo` or `classic`.
        reason: What the file or its pixels showed, such as `JPEG quality 75`.
        jpeg_quality: The JPEG quality that decided, as libjpeg counts; `None` if there was none, or it is unknown.
    """

    variant: Variant
    reason: str
    jpeg_quality: int | None = None

    def __str__(self) -> str:
        return f"{self.variant} weights: {self.reason}"

    def for_programs(self) -> dict[str, Any]:
        """Return it as a dictionary for JSON."""
        return asdict(self)

    @classmethod
    def parse(cls, record: Any) -> "WeightsChoice | None":
        """Read what `for_programs` returned; `None` if it is something else."""
        try:
            variant, reason, quality = record["variant"], record["reason"], record["jpeg_quality"]
        except (KeyError, TypeError):
            return None
        valid = variant in VARIANTS and isinstance(reason, str) and isinstance(quality, int | None)
        return cls(variant=variant, reason=reason, jpeg_quality=quality) if valid else None


def choose_weights(header: PictureHeader, pixels: Callable[[], Rows]) -> WeightsChoice:
    """Choose the variant for a picture file.

    Args:
        header: Its header.
        pixels: Returns its decoded pixels, as for `choose_by_pixels`; only called if the file does not decide.
    """
    quality = None
    coding = header.file.coding
    if coding is not None:
        quality = estimate_quality(coding)
    if quality is not None and quality.quality <= MOST_DEGRADED_QUALITY:
        about = "" if quality.standard else "about "
        return WeightsChoice(
            variant="photo", reason=f"JPEG quality {about}{quality.quality}", jpeg_quality=quality.quality
        )
    quantizer = header.file.vp8_quantizer
    if quantizer is not None and quantizer >= LEAST_DEGRADED_QUANTIZER:
        return WeightsChoice(variant="photo", reason=f"WebP with quantizer index {quantizer:.0f} of {MOST_QUANTIZER}")
    choice = choose_by_pixels(pixels()) if quality is None else choose_by_pixels(pixels(), noise=CODED_AGAIN)
    if choice.variant == "classic" and quality is not None:
        return WeightsChoice(variant="classic", reason=f"JPEG quality {quality.quality}", jpeg_quality=quality.quality)
    return choice


def choose_by_pixels(picture: Rows, *, noise: float = ROUNDING) -> WeightsChoice:
    """Choose the variant for pixels of unknown origin.

    Args:
        picture: (H, W, 1 to 4) uint8, uint16 or float32 in [0, 1].
        noise: As for `find_block_grid`.
    """
    grid = find_block_grid(picture, noise=noise)
    quality = None if grid is None else nearest_quality(grid.steps)
    if quality is None or quality > MOST_DEGRADED_QUALITY:
        return WeightsChoice(variant="classic", reason="no JPEG artifacts found", jpeg_quality=None)
    return WeightsChoice(variant="photo", reason=f"JPEG blocks of quality about {quality}", jpeg_quality=quality)
