"""Images of Pillow as arrays and back, without importing Pillow, which whoever passes one has imported."""

import sys
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import UsageError

Array = NDArray[Any]
SAME_MODE = frozenset({"L", "LA", "RGB", "RGBA", "I;16", "F"})
"""Modes that arrays of the public functions hold as they are."""
CONVERTED = {"1": "L", "P": "RGB", "PA": "RGBA"}
"""Modes whose pixels are converted first, and the mode that holds them without loss if nothing is transparent."""
OPAQUE_TO_ALPHA = {"L": "LA", "RGB": "RGBA"}
"""Modes that can have a transparent color, and the mode in which it becomes an alpha channel."""
SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
"""Modes of 16-bit gray, in either byte order."""
LARGEST_16 = 65_535
"""Largest value of 16 bits."""


class PillowImage(Protocol):
    """What is used of `PIL.Image.Image`."""

    info: dict[Any, Any]

    @property
    def mode(self) -> str:
        """Name of the type and channels of the pixels."""
        ...

    def convert(self, mode: str) -> Any:
        """Return the image in another mode."""
        ...


def is_image(value: object) -> TypeGuard[PillowImage]:
    """Whether a value is an image of Pillow."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def to_array(image: PillowImage) -> Array:
    """Return the pixels of an image, as the public functions take them.

    A palette and transparent colors are resolved; one bit becomes 8-bit gray.

    Raises:
        UsageError: For a mode that is neither gray nor RGB.
    """
    mode = image.mode
    transparent = bool(getattr(image, "has_transparency_data", "transparency" in image.info))
    if mode in SIXTEEN_BITS:
        return np.array(image).astype(np.uint16)
    if mode == "I":
        values = np.array(image)
        if values.size and not 0 <= values.min() <= values.max() <= LARGEST_16:
            raise UsageError(f"the image of mode I has values outside of 0 to {LARGEST_16}, the range of 16 bits")
        return values.astype(np.uint16)
    if mode in CONVERTED:
        target = CONVERTED[mode]
        image = image.convert("RGBA" if transparent and mode == "P" else target)
    elif transparent and mode in OPAQUE_TO_ALPHA:
        image = image.convert(OPAQUE_TO_ALPHA[mode])
    elif mode not in SAME_MODE:
        raise UsageError(f"images of mode {mode} are not upscaled; convert it, such as image.convert('RGB')")
    return np.array(image)


def to_image(array: Array, original: PillowImage) -> Any:
    """Return an array as an image, with the color profile and other information of the original.

    16-bit gray keeps the original's mode.
    """
    result = sys.modules["PIL.Image"].fromarray(np.ascontiguousarray(array))
    if original.mode == "I":
        result = result.convert("I")
    result.info = {key: value for key, value in original.info.items() if key != "transparency"}
    return result
