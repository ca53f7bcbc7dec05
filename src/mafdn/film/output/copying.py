"""Copy everything of a film but its video: packets, chapters and metadata."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath
from typing import TYPE_CHECKING

from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Stream

from mafdn.film.options import FilmOptions
from mafdn.film.output.sounds import SoundConverter
from mafdn.film.output.subtitles import Converter
from mafdn.film.source.info import FilmInfo
from mafdn.film.source.opening import packets_of
from mafdn.film.source.timeline import Timeline

if TYPE_CHECKING:  # which these types only exist for
    from av.container.core import Chapter
    from av.packet import Packet

    AnyPacket = Packet[Stream]
OF_THE_FILE = ("major_brand", "minor_version", "compatible_brands", "encoder")
"""Metadata that describes the source's file, not its content; in lower case."""
OF_THE_VIDEO = ("encoder", "bps", "duration", "number_of_frames", "number_of_bytes", "_statistics", "vendor_id")
"""Beginnings of the names of metadata that are true of the source's video only; in lower case."""
LONGEST_PRIMING = Fraction(1, 10)
"""Seconds of sound before the beginning that decoders need; what an edit list hides before that is not copied."""


@dataclass(frozen=True)
class Window:
    """The part of a film that is written.

    Attributes:
        start: Where it begins, in seconds of the film's own time stamps; `None` for all.
        end: Where it ends, likewise.
    """

    start: Fraction | None
    end: Fraction | None

    @classmethod
    def of(cls, info: FilmInfo, options: FilmOptions) -> "Window":
        """Return the part that is selected."""
        begin = info.start_pts * info.time_base
        start = None if options.start is None else begin + Fraction(options.start)
        return cls(start, None if options.end is None else begin + Fraction(options.end))

    def shift(self, unit: Fraction) -> int:
        """Return what is subtracted from time stamps in `unit`."""
        return 0 if self.start is None else round(self.start / unit)

    def cut(self, packet: "AnyPacket", *, text: bool) -> bool:
        """Move a packet, and shorten it if it is `text`; returns whether it is in the part."""
        moment = packet.pts if packet.pts is not None else packet.dts
        if moment is None or (self.start is None and self.end is None):
            return True
        unit = packet.time_base
        begin, length = moment * unit, (packet.duration or 0) * unit
        if self.end is not None and begin >= self.end:
            return False
        if self.start is not None and begin < self.start:
            if not text or begin + length <= self.start:
                return False
            late = round((self.start - begin) / unit)
            packet.pts = packet.dts = moment + late
            packet.duration = (packet.duration or 0) - late
        shift = self.shift(unit)
        packet.pts = packet.pts - shift if packet.pts is not None else None
        packet.dts = packet.dts - shift if packet.dts is not None else None
        return True

    def chapters(self, chapters: "list[Chapter]") -> "list[Chapter]":
        """Return the chapters of the part, moved and shortened."""
        kept: list[Chapter] = []
        for chapter in chapters:
            unit = chapter["time_base"] or Fraction(1)
            shift = self.shift(unit)
            start, end = max(0, chapter["start"] - shift) if shift else chapter["start"], chapter["end"] - shift
            if self.end is not None:
                end = min(end, round(self.end / unit) - shift)
            if start < end or (start == end and self.start is self.end is None):
                kept.append({**chapter, "start": start, "end": end})
        return kept


def copied_packets(
    source: InputContainer,
    copies: "dict[int, Stream | Converter | SoundConverter]",
    window: Window,
    *,
    timeline: Timeline | None,
    priming: bool,
    on_damaged: Callable[[int], None],
) -> "Iterator[AnyPacket]":
    """Yield the packets of the streams that are copied, in the order of the file, for the streams of the result.

    Args:
        source: The film.
        copies: Streams of the result by the indices of those of the film.
        window: The part that is written.
        timeline: What moves the packets of all streams, if the time stamps of the film restart.
        priming: Whether the result says what is before its beginning, and all of it may be copied.
        on_damaged: Called with the index of a stream of the film for each of its packets that cannot be converted.
    """
    streams = [stream for stream in source.streams if stream.index in copies]
    if streams and timeline:
        streams.append(source.streams[timeline.video])
    last: dict[int, int] = {}
    for packet in _readable(source, streams):
        index = packet.stream.index
        if timeline:
            timeline.move(packet)
        copy = copies.get(index)
        if copy is None:
            continue
        if packet.pts is None and packet.dts is None and packet.size == 0:  # it only ends the decoding
            if isinstance(copy, SoundConverter):
                yield from _converted(copy, packet, on_damaged)
            continue
        if packet.is_discard and not priming and _ends(packet) < -LONGEST_PRIMING:
            continue
        if not window.cut(packet, text=packet.stream.type == "subtitle"):
            continue
        if packet.dts is not None:
            before = last.get(index)
            if before is not None and packet.dts <= before and packet.stream.type != "subtitle":
                packet.dts = before + 1
                packet.pts = max(packet.pts or packet.dts, packet.dts)
            last[index] = packet.dts
        if isinstance(copy, SoundConverter | Converter):
            yield from _converted(copy, packet, on_damaged)
        elif not (priming and _only_ends_text(packet)):
            packet.stream = copy
            yield packet


def _converted(
    converter: SoundConverter | Converter, packet: "AnyPacket", on_damaged: Callable[[int], None]
) -> "list[AnyPacket]":
    try:
        return converter(packet)
    except FFmpegError:
        on_damaged(packet.stream.index)
        return []


def _readable(source: InputContainer, streams: list[Stream]) -> "Iterator[AnyPacket]":
    """Yield packets up to the end, or to where the file is damaged beyond reading."""
    if not streams:
        return
    packets = packets_of(source, *streams)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            return
        if packet is None:
            return
        yield packet


def _only_ends_text(packet: "AnyPacket") -> bool:
    """Whether a packet is an empty subtitle, as MP4 has them between others; the muxer writes them anew."""
    stream = packet.stream
    return stream.type == "subtitle" and stream.name == "mov_text" and bytes(packet) == bytes(2)


def _ends(packet: "AnyPacket") -> Fraction:
    moment = packet.pts if packet.pts is not None else packet.dts or 0
    return (moment + (packet.duration or 0)) * packet.time_base


def global_metadata(source: InputContainer) -> dict[str, str]:
    """Return the metadata of a film, such as its title, without what describes its file."""
    return {name: value for name, value in source.metadata.items() if name.lower() not in OF_THE_FILE}


def video_metadata(stream: Stream) -> dict[str, str]:
    """Return the metadata of a video stream that are also true of its result."""
    return {name: value for name, value in stream.metadata.items() if not name.lower().startswith(OF_THE_VIDEO)}


def is_quicktime_key(name: str) -> bool:
    """Whether a name of metadata is one of QuickTime's keys, such as `com.apple.quicktime.make`."""
    return len(PurePath(name.replace(".", "/")).parts) > 2
