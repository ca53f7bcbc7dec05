"""Deinterlace with FFmpeg's bwdif, one frame for one frame."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction

from av import VideoFrame
from av.error import BlockingIOError as NotYet
from av.error import EOFError as EndOfFile
from av.filter import Graph


def deinterlaced(frames: Iterator[VideoFrame], time_base: Fraction, *, every: bool) -> Iterator[VideoFrame]:
    """Deinterlace frames, whose number, time stamps and durations stay.

    Args:
        frames: Frames with time stamps in `time_base`.
        time_base: Unit of time stamps.
        every: Whether to deinterlace all frames, not only those that say that they are interlaced.
    """
    graph: Graph | None = None
    shape: tuple[str, int, int] | None = None
    durations: dict[int, int] = {}
    for frame in frames:
        now = frame.format.name, frame.width, frame.height
        if graph is None or now != shape:
            if graph is not None:
                yield from _drained(graph, time_base, durations)
            graph, shape = _graph(now, time_base, every=every), now
        durations[frame.pts or 0] = frame.duration
        graph.vpush(frame)
        yield from _ready(graph, time_base, durations)
    if graph is not None:
        yield from _drained(graph, time_base, durations)


def _graph(shape: tuple[str, int, int], time_base: Fraction, *, every: bool) -> Graph:
    form, width, height = shape
    graph = Graph()
    graph.threads = 1
    unit = f"{time_base.numerator}/{time_base.denominator}"
    nodes = (
        graph.add("buffer", f"video_size={width}x{height}:pix_fmt={form}:time_base={unit}:pixel_aspect=1/1"),
        graph.add("bwdif", f"mode=send_frame:parity=auto:deint={'all' if every else 'interlaced'}"),
        graph.add("buffersink"),
    )
    graph.link_nodes(*nodes).configure()
    return graph


def _drained(graph: Graph, time_base: Fraction, durations: dict[int, int]) -> Iterator[VideoFrame]:
    graph.vpush(None)
    yield from _ready(graph, time_base, durations)


def _ready(graph: Graph, time_base: Fraction, durations: dict[int, int]) -> Iterator[VideoFrame]:
    """Yield the frames that are finished, with time stamps in `time_base` again; bwdif's unit is half as long."""
    with suppress(NotYet, EndOfFile):
        while True:
            frame = graph.vpull()
            frame.pts = round((frame.pts or 0) * (frame.time_base or time_base) / time_base)
            frame.time_base = time_base
            frame.duration = durations.pop(frame.pts, 0)
            yield frame
