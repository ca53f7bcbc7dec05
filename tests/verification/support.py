"""Pictures for the tests of verification."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]


def noise(*shape: int, seed: int = 0, dtype: Any = np.uint8) -> Array:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(height: int, width: int, channels: int = 3) -> Array:
    """Soft ramps that are far from black and white."""
    y, x = np.mgrid[:height, :width]
    planes = [110 + 40 * np.sin((x + c * y) / 17) + 25 * np.cos((y - c * x) / 11) for c in range(channels)]
    return np.stack(planes, axis=2).round().astype(np.uint8)


def save(path: Path, pixels: Array, **options: Any) -> Path:
    """Write pixels by Pillow."""
    Image.fromarray(pixels).save(path, **options)
    return path
