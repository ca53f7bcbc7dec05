"""Time stamps that restart within a film, as in files that were joined byte by byte, and in films on DVD."""

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from av.error import FFmpegError

from mafdn.film.source.info import FilmInfo
from mafdn.film.source.opening import open_container, packets_of
from mafdn.pictures.limits import Limits

if TYPE_CHECKING:
    from av.packet import Packet

RESTARTING = ("mpegts", "mpeg")
"""FFmpeg's names of the containers whose time stamps may restart: MPEG-TS and MPEG-PS."""
DISORDER = Fraction(1)
"""Seconds by which time stamps may go back without a restart."""
LONGEST_GAP = Fraction(3600)
"""Seconds by which they may go ahead; FFmpeg takes some that restart for overflowed ones, and adds 26 hours."""


class Timeline:
    """Moves packets so that each part of a film follows the one before.

    Only the video decides where a part begins, and by how much all of its streams are moved: what decodes the video and
    what copies the other streams come to the same result, and sound and picture stay in step.

    Attributes:
        video: Index of the video.
        offsets: What is added to the time stamps of each part that has begun, in the unit of the video.
    """

    def __init__(self, info: FilmInfo, parts: Sequence[int] = ()) -> None:
        """Prepare; to move packets of other streams, pass the `offsets` of the whole film as `parts`."""
        self.offsets = [0]
        self.video, self._unit, self._parts = info.stream, info.stored_time_base, parts
        self._step = max(1, round(1 / (info.average_rate or 25) / info.time_base))
        self._before: int | None = None
        self._end = 0

    def move(self, packet: "Packet[Any]") -> None:
        """Move a packet of the film; all packets of the video come in the order of the file."""
        decoded = packet.dts if packet.dts is not None else packet.pts
        shown = packet.pts if packet.pts is not None else packet.dts
        if decoded is None or shown is None:
            return
        offset = self._of_video(decoded, shown) if packet.stream.index == self.video else self._of_other(packet, shown)
        packet.pts = packet.pts + offset if packet.pts is not None else None
        packet.dts = packet.dts + offset if packet.dts is not None else None

    def _of_video(self, decoded: int, shown: int) -> int:
        change = 0 if self._before is None else (decoded - self._before) * self._unit
        former, offset = self.offsets[-2:][0], self.offsets[-1]
        if offset != former and abs(change) > DISORDER and abs(shown + former - self._end) * self._unit <= DISORDER:
            self.offsets.append(former)  # only some time stamps between were wrong
        elif not -DISORDER <= change <= LONGEST_GAP:
            self.offsets.append(self._end - shown)
        end = shown + self.offsets[-1] + self._step
        self._end = end if self._before is None else max(self._end, end)
        self._before = decoded
        return self.offsets[-1]

    def _of_other(self, packet: "Packet[Any]", shown: int) -> int:
        """Take the offset that brings a packet closest to the video: that of its part, or of the one beside it."""
        if self._before is None:
            return 0
        part, unit = len(self.offsets) - 1, packet.time_base
        near = self._parts[max(0, part - 1) : part + 2]
        offset = min(near, key=lambda offset: abs(shown * unit + (offset - self._end) * self._unit))
        return round(offset * self._unit / unit)


def timeline_of(info: FilmInfo) -> Timeline | None:
    """Return what moves the packets of all streams of a film, which is read for it; `None` if nothing restarts."""
    if info.format not in RESTARTING:
        return None
    timeline = Timeline(info)
    with open_container(info.path, Limits()) as container, suppress(FFmpegError):
        for packet in packets_of(container, container.streams[info.stream]):
            timeline.move(packet)
    return Timeline(info, timeline.offsets) if len(timeline.offsets) > 1 else None
