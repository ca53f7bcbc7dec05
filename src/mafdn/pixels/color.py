"""The luma on which super-resolution is measured.

Public names: :func:`luma`.
"""

import numpy as np
from numpy.typing import NDArray


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """BT.601 studio-range luma, in [16, 235] and not rounded, of an (H, W, 3) uint8 picture.

    ``Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255``, as MATLAB's ``rgb2ycbcr`` (ITU-R BT.601).
    An (H, W) picture is grey: ``R = G = B``.
    """
    if rgb.dtype != np.uint8:
        raise ValueError(f"luma is defined here on uint8, not {rgb.dtype}")
    weights = np.array([65.481, 128.553, 24.966])
    if rgb.ndim == 2:
        return 16.0 + rgb * (weights.sum() / 255.0)
    return 16.0 + rgb.astype(np.float64) @ (weights / 255.0)
