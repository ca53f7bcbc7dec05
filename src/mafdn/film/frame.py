"""One frame of a film."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Pixels = NDArray[Any]
"""(H, W, 3) RGB, uint8 or uint16 over their full range."""


@dataclass(frozen=True)
class FilmFrame:
    """A decoded frame.

    Attributes:
        number: From 0, in the order of presentation, among the frames that are selected.
        pts: When it is shown, in units of `FilmInfo.time_base`; strictly increasing.
        duration: How long it is shown, in the same units, if the film says so.
        pixels: (H, W, 3) RGB, not rotated: uint8, or uint16 over its full range if the film has more than 8 bits. The
            values have the transfer function of the film (they are not linear).
    """

    number: int
    pts: int
    duration: int | None
    pixels: Pixels
