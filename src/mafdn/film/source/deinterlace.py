"""Deinterlace with FFmpeg's bwdif, one frame for one frame or for each of its fields."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction

from av import VideoFrame
from av.error import BlockingIOError as NotYet
from av.error import EOFError as EndOfFile
from av.filter import Graph

BOTTOM_FIRST = (3, 4)
"""FFmpeg's numbers of field orders in which the bottom field is shown first."""


def deinterlaced(
    frames: Iterator[VideoFrame], time_base: Fraction, *, order: int, fields: bool
) -> Iterator[VideoFrame]:
    """Deinterlace frames, whose time stamps and durations stay; each of the two fields has half of the time.

    Args:
        frames: Frames with increasing time stamps in `time_base`.
        time_base: Unit of time stamps.
        order: FFmpeg's number of the field order that the container states; 0 if none. Then only frames are
            deinterlaced that say that they are interlaced.
        fields: Whether each field becomes a frame; their time stamps are in half of `time_base`.
    """
    graph: _Graph | None = None
    for frame in frames:
        shape = frame.format.name, frame.width, frame.height
        if graph is None and not order and not frame.interlaced_frame:
            frame.pts, frame.duration = (frame.pts or 0) * (1 + fields), frame.duration * (1 + fields)
            frame.time_base = time_base / (1 + fields)
            yield frame
            continue
        if graph is None or graph.shape != shape:
            if graph is not None:
                yield from graph.drained()
            bottom_first = order in BOTTOM_FIRST and not frame.interlaced_frame
            graph = _Graph(shape, time_base, every=bool(order), fields=fields, bottom_first=bottom_first)
        yield from graph.push(frame)
    if graph is not None:
        yield from graph.drained()


class _Graph:
    """FFmpeg's filter for frames of one shape: pixel format, width and height."""

    def __init__(
        self, shape: tuple[str, int, int], time_base: Fraction, *, every: bool, fields: bool, bottom_first: bool
    ) -> None:
        self.shape = shape
        self._fields, self._time_base = fields, time_base / 2 if fields else time_base
        self._durations: dict[int, int] = {}
        """Durations of frames by their time stamps."""
        self._graph = Graph()
        self._graph.threads = 1
        form, width, height = shape
        unit = f"{time_base.numerator}/{time_base.denominator}"
        mode, parity = "send_field" if fields else "send_frame", "bff" if bottom_first else "auto"
        nodes = (
            self._graph.add("buffer", f"video_size={width}x{height}:pix_fmt={form}:time_base={unit}:pixel_aspect=1/1"),
            self._graph.add("bwdif", f"mode={mode}:parity={parity}:deint={'all' if every else 'interlaced'}"),
            self._graph.add("buffersink"),
        )
        self._graph.link_nodes(*nodes).configure()

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Take a frame; yields what is finished."""
        if not self._fields:
            self._durations[frame.pts or 0] = frame.duration
        self._graph.vpush(frame)
        yield from self._ready()

    def drained(self) -> Iterator[VideoFrame]:
        """Yield what is left: the last frame, whose second field FFmpeg shows when it likes."""
        self._graph.vpush(None)
        first: VideoFrame | None = None
        for frame in self._ready():
            if first is not None:
                frame.pts = max((first.pts or 0) + first.duration, (first.pts or 0) + 1)
            first = frame
            yield frame

    def _ready(self) -> Iterator[VideoFrame]:
        """Yield the frames that are finished, with time stamps in the unit of results; bwdif's is that of fields."""
        with suppress(NotYet, EndOfFile):
            while True:
                frame = self._graph.vpull()
                frame.pts = round((frame.pts or 0) * (frame.time_base or self._time_base) / self._time_base)
                frame.time_base = self._time_base
                if not self._fields:
                    frame.duration = self._durations.pop(frame.pts, 0)
                yield frame
