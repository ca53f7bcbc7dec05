"""One frame of a film."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Pixels = NDArray[Any]
"""(H, W, 3) RGB, uint8 or uint16 over their full range."""


@dataclass(frozen=True)
class FilmFrame:
    """A decoded frame, or its result.

    Attributes:
        number: From 0, in the order of presentation, among the frames that are selected.
        pts: When it is shown, in units of `FilmInfo.time_base`; strictly increasing.
        duration: How long it is shown, in the same units, if the film says so.
        pixels: (H, W, 3) RGB: uint8, or uint16 over its full range if the film has more than 8 bits. The values have
            the transfer function of the film (they are not linear). Results of `mafdn.film_frames` are turned as they
            are shown, decoded frames are not.
        seconds: When it is shown, from the beginning of the film.
    """

    number: int
    pts: int
    duration: int | None
    pixels: Pixels
    seconds: float = 0.0


def swaps_sides(matrix: tuple[int, ...] | None) -> bool:
    """Whether a display matrix makes the width of frames their height."""
    return matrix is not None and abs(matrix[1]) > abs(matrix[0])


def turns(matrix: tuple[int, ...] | None) -> bool:
    """Whether a display matrix turns or mirrors frames."""
    return matrix is not None and (swaps_sides(matrix) or matrix[0] < 0 or matrix[4] < 0)


def turned(pixels: Pixels, matrix: tuple[int, ...] | None) -> Pixels:
    """Turn and mirror (H, W, 3) as players do; the matrix says where a step across and one down in the frame lead."""
    if matrix is None:
        return pixels
    across, down = matrix[0:2], matrix[3:5]
    if swaps_sides(matrix):
        pixels = pixels.swapaxes(0, 1)
        return pixels[:: -1 if across[1] < 0 else 1, :: -1 if down[0] < 0 else 1]
    return pixels[:: -1 if down[1] < 0 else 1, :: -1 if across[0] < 0 else 1]
