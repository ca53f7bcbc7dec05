"""Pictures as rows that are asked for, so that a large one need never be in memory whole.

Public names: :class:`Rows`, :class:`MappedRows`, :class:`SlidingRows`, :func:`pieces`.
"""

from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

PIECE = 2**22
"""Values in a piece of :func:`pieces`, about."""


class Rows(Protocol):
    """What an (H, W, C) array is to those who take some of its rows at a time; arrays are of this kind."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Consecutive rows: (rows, W, C)."""
        ...


class MappedRows:
    """``rows`` seen through a function that maps (h, W, C) to (h, W, C) of ``dtype``, each pixel for itself."""

    def __init__(self, rows: Rows, function: Callable[[NDArray[Any]], NDArray[Any]], dtype: type[np.generic]) -> None:
        self._rows, self._function = rows, function
        self.shape, self.dtype = rows.shape, np.dtype(dtype)

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        return self._function(self._rows[rows])


class SlidingRows:
    """Rows that come from the top, a band at a time; those before the last ones asked for are forgotten."""

    def __init__(self, bands: Iterator[NDArray[Any]], shape: tuple[int, int, int], dtype: type[np.generic]) -> None:
        self._bands, self._top = bands, 0
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._held = np.empty((0, *shape[1:]), self.dtype)

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Raises ``IndexError`` for rows above those of the last call."""
        start, stop, _ = rows.indices(self.shape[0])
        if start < self._top:
            raise IndexError(f"row {start} is gone; the first that is left is {self._top}")
        parts = [self._held[start - self._top :]]
        have = self._top + len(self._held)
        while have < stop:
            band = next(self._bands)
            parts.append(band[max(0, start - have) :])
            have += len(band)
        self._held = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._top = start
        return self._held[: stop - start]


def pieces(rows: Rows, *, multiple: int = 1) -> Generator[tuple[int, NDArray[Any]]]:
    """All of ``rows`` from the top, each piece with its first row, which is a multiple of ``multiple``."""
    height, width, channels = rows.shape
    step = max(1, PIECE // (width * channels * multiple)) * multiple
    for top in range(0, height, step):
        yield top, rows[top : top + step]
