"""Recolored patches: each color channel is taken from any channel, may be inverted, and may be set to 0 or 255.

Photographs hardly contain saturated colors, and a network that has not seen them changes them at picture borders.
Reduction treats channels alike and commutes with inversion, so a recolored LR patch is the reduction of the recolored
HR patch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONSTANT = 1 / 3
"""Probability of a constant channel."""
NUMBERS = 10
"""Random numbers for each patch."""


@dataclass(frozen=True)
class Recoloring:
    """Recolorings of patches: channel `c` becomes `factor[c] * old[source[c]] + offset[c]`; three arrays (B, 3)."""

    source: NDArray[np.int64]
    """0, 1 or 2."""
    factor: NDArray[np.int64]
    """1; -1 for an inverted channel; 0 for a constant one."""
    offset: NDArray[np.int64]
    """0 or 255."""

    @classmethod
    def draw(cls, numbers: NDArray[np.float64], share: float) -> "Recoloring":
        """Draw the recolorings of a batch; patches that are not recolored get the identity.

        Args:
            numbers: (B, `NUMBERS`), in [0, 1).
            share: Share of recolored patches, in [0, 1].
        """
        recolored = numbers[:, :1] < share
        source, inverted, constant = numbers[:, 1:].reshape(-1, 3, 3).transpose(1, 0, 2)
        factor = np.where(constant < CONSTANT, 0, np.where(inverted < 0.5, -1, 1))
        return cls(
            source=np.where(recolored, (3 * source).astype(np.int64), np.arange(3)),
            factor=np.where(recolored, factor, 1),
            offset=np.where(recolored & (inverted < 0.5), 255, 0),
        )

    def apply(self, pixels: NDArray[np.uint8], sample: int) -> NDArray[np.uint8]:
        """Recolor one patch of a batch, (H, W, 3) in 8-bit levels."""
        source, factor, offset = (values[sample] for values in (self.source, self.factor, self.offset))
        if (source == np.arange(3)).all() and (factor == 1).all():
            return pixels
        return (pixels[..., source] * factor + offset).astype(np.uint8)
