"""Making the segments of a film: the callbacks of the pipeline, and the pace."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from mafdn.film.frame import FilmFrame, Pixels
from mafdn.film.output.encode import SegmentEncoder
from mafdn.film.output.plan import FilmPlan
from mafdn.film.segments import Gap, Segments
from mafdn.film.source.info import FilmInfo

RECENT = 60.0
"""Seconds over which the pace is measured."""


class GapWriter:
    """Encodes the frames of a gap into its segments; as a context manager, it leaves no half segment behind.

    Attributes:
        frames: Number of frames that were written.
    """

    def __init__(
        self,
        held: Segments,
        gap: Gap,
        info: FilmInfo,
        plan: FilmPlan,
        *,
        length: int,
        on_segment: Callable[[FilmFrame, Pixels], None],
    ) -> None:
        """Prepare; `on_segment` is called with the first frame of every segment and its result."""
        self.frames = 0
        self._held, self._gap, self._info, self._plan, self._length = held, gap, info, plan, length
        self._on_segment = on_segment
        self._number, self._count = gap.first, 0
        self._encoder: SegmentEncoder | None = None

    def selected(self, frames: Iterator[FilmFrame]) -> Iterator[FilmFrame]:
        """Yield the frames that belong into the gap; `frames` start with its first."""
        stop = None if self._gap.stop is None else self._gap.stop * self._length
        for frame in frames:
            if stop is not None and frame.number >= stop:
                return
            yield frame

    def write(self, frame: FilmFrame, pixels: Pixels) -> None:
        """Encode a frame. A segment is kept when the first frame of the next one comes, the last one by `finish`."""
        number = frame.number // self._length
        if self._encoder is not None and number != self._number:
            self._keep()
        if self._encoder is None:
            self._number = number
            self._encoder = SegmentEncoder(self._held.temporary(number), self._info, self._plan)
            self._on_segment(frame, pixels)
        self._encoder.write(frame, pixels)
        self._count += 1
        self.frames += 1

    def finish(self, notes: tuple[str, ...]) -> None:
        """Keep the last segment; `notes` are what was noted while the film was decoded up to its end."""
        if self._encoder is not None:
            self._keep(last=self._gap.stop is None, notes=notes)

    def _keep(self, *, last: bool = False, notes: tuple[str, ...] = ()) -> None:
        encoder, count = self._encoder, self._count
        assert encoder is not None
        encoder.close()
        self._encoder, self._count = None, 0
        self._held.add(self._number, count, last=last, notes=notes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._encoder is not None:
            self._encoder.__exit__(kind or KeyboardInterrupt, error, trace)  # which removes what is not whole
            self._encoder = None


class Pace:
    """The speed of a run.

    Args:
        done: Frames that were done before.
    """

    def __init__(self, done: int) -> None:
        self._moments: deque[tuple[float, int]] = deque([(time.monotonic(), done)])

    def reached(self, done: int) -> None:
        """Note that so many frames are done now."""
        now = time.monotonic()
        self._moments.append((now, done))
        while len(self._moments) > 2 and self._moments[1][0] < now - RECENT:
            self._moments.popleft()

    @property
    def frames_per_second(self) -> float | None:
        """Frames per second over the last minute; `None` before the first frame."""
        (began, first), (ended, last) = self._moments[0], self._moments[-1]
        return (last - first) / (ended - began) if last > first and ended > began else None
