"""Differences between two pictures of the same size, collected a band of rows at a time."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mafdn.verification.figures import MOST_BLOCKS, BlockDifference

BLOCK = 64
"""Side in pixels of the blocks whose mean colors are compared."""
WHITE = 255.0
"""The level of white."""


class Differences:
    """What is known of the differences so far, over one picture or several.

    Attributes:
        mean: Mean absolute difference, in levels.
        largest: Largest absolute difference.
        largest_at: Its column and row.
        psnr: PSNR in dB; `None` without any difference.
        blocks: The blocks whose mean colors differ most.
    """

    def __init__(self) -> None:
        self._count = 0
        self._absolute = self._squared = 0.0
        self._means = np.zeros((0, 0, 0))
        self._size = (0, 0)
        self._frame = 0
        self.largest, self.largest_at = 0.0, (0, 0)
        self.blocks: tuple[BlockDifference, ...] = ()

    @property
    def mean(self) -> float:
        """Mean absolute difference."""
        return self._absolute / self._count

    @property
    def psnr(self) -> float | None:
        """PSNR in dB, of all channels."""
        return None if self._squared == 0 else 10 * math.log10(WHITE**2 * self._count / self._squared)

    @property
    def block_difference(self) -> float:
        """Largest difference of the mean color of a block."""
        return max((block.difference for block in self.blocks), default=0.0)

    def begin(self, shape: tuple[int, int, int]) -> None:
        """Begin the next picture, (H, W, C)."""
        height, width, channels = shape
        self._size, self._frame = (width, height), self._frame + 1
        self._means = np.zeros((-(-height // BLOCK), -(-width // BLOCK), channels))

    def add(self, top: int, difference: NDArray[np.float32]) -> None:
        """Add the signed differences of the next rows, (h, W, C), of which `top` is the first."""
        absolute = np.abs(difference)
        self._count += absolute.size
        self._absolute += float(absolute.sum(dtype=np.float64))
        self._squared += float(np.square(absolute, dtype=np.float64).sum())
        place = int(absolute.argmax())
        if absolute.flat[place] > self.largest:
            row, column, _ = np.unravel_index(place, absolute.shape)
            self.largest, self.largest_at = float(absolute.flat[place]), (int(column), top + int(row))
        sums = np.add.reduceat(difference, range(0, difference.shape[1], BLOCK), axis=1, dtype=np.float64)
        starts = [row for row in range(len(sums)) if row == 0 or (top + row) % BLOCK == 0]
        for start, part in zip(starts, np.add.reduceat(sums, starts, axis=0), strict=True):
            self._means[(top + start) // BLOCK] += part

    def end(self) -> None:
        """End a picture: its blocks are complete."""
        width, height = self._size
        across = np.diff(np.append(np.arange(0, width, BLOCK), width))
        down = np.diff(np.append(np.arange(0, height, BLOCK), height))
        found = np.abs(self._means / (down[:, None] * across)[..., None]).max(axis=2)
        order = np.argsort(-found, axis=None, kind="stable")[:MOST_BLOCKS]
        places = (np.unravel_index(int(place), found.shape) for place in order)
        self.blocks = _worst(
            [
                *self.blocks,
                *(
                    BlockDifference(
                        x=int(column) * BLOCK,
                        y=int(row) * BLOCK,
                        difference=float(found[row, column]),
                        frame=self._frame,
                    )
                    for row, column in places
                ),
            ]
        )


def _worst(blocks: Iterable[BlockDifference]) -> tuple[BlockDifference, ...]:
    """The blocks that differ most, without those that do not differ."""
    differing = [block for block in blocks if block.difference > 0]
    return tuple(sorted(differing, key=lambda block: -block.difference)[:MOST_BLOCKS])
