"""How long a film is whose time stamps restart, as in joined transport streams; FFmpeg compares the first and last."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median

from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from mafdn.film.source.opening import packets_of
from mafdn.film.source.timeline import DISORDER, LONGEST_GAP, RESTARTING

PLACES = 64
"""Places of a file, evenly spread, at which its time stamps are looked at."""
UNUSUAL = 8
"""How many times the usual time between two places is taken for a gap or, if it is longer than any, for a restart."""
LEAST_GAP = Fraction(10)
"""Seconds between two places that are never taken for a gap."""


@dataclass(frozen=True)
class RestartingLength:
    """A film whose time stamps restart: its seconds by its bytes; `None` if they do not tell, as with gaps."""

    seconds: float | None


def restarting_length(
    container: InputContainer, stream: VideoStream, *, ends: Fraction | None
) -> RestartingLength | None:
    """Look at the time stamps of a film in some places; `None` if they do not restart.

    Args:
        container: The film; the next packet that is read from it may be any.
        stream: Its video.
        ends: When the video ends as FFmpeg takes it, in seconds of its time stamps.
    """
    if container.format.name not in RESTARTING:
        return None
    places = _places(container, stream)
    if len(places) > 1 and ends is not None:
        places.append((container.size, ends))
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(places)]
    if not steps:
        return None
    unusual = UNUSUAL * median(abs(time) for _, time in steps)
    within = [(size, time) for size, time in steps if -DISORDER <= time <= max(LONGEST_GAP, unusual)]
    if len(within) == len(steps):
        return None
    size, time = sum(size for size, _ in within), sum(time for _, time in within)
    gaps = any(time > max(LEAST_GAP, unusual) for _, time in within)
    if gaps or time <= 0 or 2 * len(within) < len(steps):
        return RestartingLength(None)
    return RestartingLength(float(time * container.size / size))


def _places(container: InputContainer, stream: VideoStream) -> list[tuple[int, Fraction]]:
    """Return places in a file, in bytes, and the times of decoding there, in seconds."""
    places: list[tuple[int, Fraction]] = []
    try:
        for number in range(PLACES):
            container.seek(container.size * number // PLACES, unsupported_byte_offset=True)
            packet = next((p for p in packets_of(container, stream) if p.dts is not None and p.pos is not None), None)
            if packet is None:
                break
            assert packet.dts is not None
            assert packet.pos is not None
            if not places or packet.pos > places[-1][0]:
                places.append((packet.pos, packet.dts * packet.time_base))
    except FFmpegError:
        pass  # it is damaged there; what was found before counts
    return places
