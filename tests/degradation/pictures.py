"""Pictures to degrade."""

import numpy as np

from mafdn.pixels import imresize


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Soft colored spots, (H, W, 3) uint8."""
    spots = np.random.default_rng(seed).random((height // 8 + 1, width // 8 + 1, 3))
    return np.rint(np.clip(imresize(spots, shape=(height, width)), 0, 1) * 255).astype(np.uint8)
