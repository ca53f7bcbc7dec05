"""Tone curves: the relation between the values of a picture and light."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float32]
"""One table over [0, 1]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tone:
    """Conversion between a profile's own tone curves and the curve of sRGB, as one table per channel over [0, 1]."""

    to_display: tuple[Curve, ...]
    from_display: tuple[Curve, ...]
