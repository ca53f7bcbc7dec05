"""Pictures read a few rows at a time, so that large ones never have to be in memory."""

from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

PIECE = 2**22
"""Target number of values in a piece of `pieces`."""


class Rows(Protocol):
    """An (H, W, C) picture whose rows can be read; NumPy arrays are one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Read consecutive rows: (rows, W, C)."""
        ...


class MappedRows:
    """Rows with a function applied when they are read.

    Args:
        rows: The rows.
        function: Maps (h, W, C) to (h, W, C) of `dtype`, pixel by pixel.
        dtype: Type of the result.
    """

    def __init__(self, rows: Rows, function: Callable[[NDArray[Any]], NDArray[Any]], dtype: type[np.generic]) -> None:
        self._rows, self._function = rows, function
        self.shape, self.dtype = rows.shape, np.dtype(dtype)

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        return self._function(self._rows[rows])


class SlidingRows:
    """Rows from an iterator of bands, readable from top to bottom; earlier rows are released.

    Args:
        bands: Consecutive rows, (any, W, C), from the top.
        shape: (H, W, C) of all of them.
        dtype: Their type.
    """

    def __init__(self, bands: Iterator[NDArray[Any]], shape: tuple[int, int, int], dtype: type[np.generic]) -> None:
        self._bands, self._top = bands, 0
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._held = np.empty((0, *shape[1:]), self.dtype)

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Read consecutive rows; raises `IndexError` for rows above the first of the last call."""
        start, stop, _ = rows.indices(self.shape[0])
        if start < self._top:
            raise IndexError(f"row {start} has been released; the first one left is {self._top}")
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
    """Read all of `rows` from the top in pieces of about `PIECE` values.

    Yields:
        The number of a piece's first row, a multiple of `multiple`, and the piece.
    """
    height, width, channels = rows.shape
    step = max(1, PIECE // (width * channels * multiple)) * multiple
    for top in range(0, height, step):
        yield top, rows[top : top + step]
