"""Tone curves: the relation between the values of a picture and light."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float32]
"""One table over [0, 1]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tone:
    """Conversion between a profile's own tone curves and the curve of sRGB, as one table per channel over [0, 1]."""

    to_display: tuple[Curve, ...]
    from_display: tuple[Curve, ...]


def srgb_signal(light: NDArray[Any]) -> NDArray[Any]:
    """Encode light by the curve of sRGB (IEC 61966-2-1), continued above 1 and with odd symmetry below 0."""
    size = np.abs(light)
    return np.copysign(np.where(size <= 0.0031308, size * 12.92, 1.055 * size ** (1 / 2.4) - 0.055), light)


def srgb_light(signal: NDArray[Any]) -> NDArray[Any]:
    """Decode what `srgb_signal` encodes."""
    size = np.abs(signal)
    return np.copysign(np.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4), signal)


def shown_by(curve: Curve, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Convert float values to a display's encoding by a table of `Tone.to_display`.

    Outside [0, 1], where a table says nothing, the curve goes on as that of sRGB does.
    """
    exact = values.astype(np.float64)
    signal = np.interp(np.clip(exact, 0, 1), np.linspace(0, 1, len(curve)), curve)
    return signal + srgb_signal(np.minimum(exact, 0)) + (srgb_signal(np.maximum(exact, 1)) - 1)


def stored_by(curve: Curve, signal: NDArray[np.float64], ends: tuple[float, float]) -> NDArray[np.float64]:
    """Convert a display's encoding back to the values of a picture.

    Args:
        curve: The table of `Tone.from_display`.
        signal: What `shown_by` returned, at any size.
        ends: First and last value of the table of `Tone.to_display`.
    """
    low, high = ends
    inside = np.interp(np.clip(signal, low, high), np.linspace(0, 1, len(curve)), curve)
    return inside + srgb_light(np.minimum(signal - low, 0)) + (srgb_light(np.maximum(signal - high, 0) + 1) - 1)
