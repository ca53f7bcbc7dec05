"""Pictures in order, as data: their number, their timing, and each of them when its turn comes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.pictures.picture import Picture
from mafdn.pixels.rows import Rows, pieces

MOST_PICTURES = 100_000
"""Most frames or pages that are read from one file."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When the frames of an animation are shown."""

    durations: tuple[Fraction, ...]
    """How long each frame is shown, in seconds, as the file states it; viewers show frames below 0.02 s longer."""
    plays: int = 0
    """How often the animation is played; 0 for without end."""

    def ticks(self, per_second: int, *, most: int) -> tuple[tuple[int, ...], bool]:
        """Convert the durations to whole units of time.

        Durations that are not whole are rounded such that the frames begin as near as possible to when they should.

        Args:
            per_second: Units in a second.
            most: Largest duration that the format stores, in units.

        Returns:
            The durations, and whether all of them are exact.
        """
        exact = [duration * per_second for duration in self.durations]
        if all(value.denominator == 1 and value <= most for value in exact):
            return tuple(int(value) for value in exact), True
        ends = [round(end) for end in accumulate(exact)]
        return tuple(min(end - begin, most) for begin, end in pairwise([0, *ends])), False


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """The pictures of a file in order, each decoded or cut out when it is read."""

    count: int
    read: Callable[[int], Picture]
    """Returns the picture of this number, from 0; called in order."""
    timing: Timing | None = None
    """Timing of frames; `None` for pages and single pictures."""

    def __iter__(self) -> Iterator[Picture]:
        return (self.read(number) for number in range(self.count))

    def repeats(self, number: int) -> bool:
        """Whether a frame, by number from 0, is the same as the one before, pixel by pixel; pages are not compared."""
        if self.timing is None or not 0 < number < self.count:
            return False
        before, after = self.read(number - 1).planes, self.read(number).planes
        return before.shape == after.shape and all(
            np.array_equal(before[top : top + len(piece)], piece) for top, piece in pieces(after)
        )


def single(picture: Picture) -> Sequence:
    """A sequence of one picture."""
    return Sequence(count=1, read=lambda _: picture)


def frames_of(tall: Picture, count: int, timing: Timing) -> Sequence:
    """The frames of an animation.

    Args:
        tall: The frames, all of one size, one below the other.
        count: Number of the frames.
        timing: Their timing.
    """
    height = tall.height // count
    return Sequence(
        count=count,
        read=lambda number: replace(tall, planes=RowsPart(tall.planes, number * height, height)),
        timing=timing,
    )


class RowsPart:
    """Some consecutive rows of others.

    Args:
        rows: The others.
        top: Number of the first row.
        height: Number of rows.
    """

    def __init__(self, rows: Rows, top: int, height: int) -> None:
        self.shape, self.dtype = (height, *rows.shape[1:]), rows.dtype
        self._rows, self._top = rows, top

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        start, stop, _ = rows.indices(self.shape[0])
        return self._rows[self._top + start : self._top + max(start, stop)]
