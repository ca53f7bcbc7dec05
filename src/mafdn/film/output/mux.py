"""Join the encoded segments with everything else of the film."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Stream
from av.video.stream import VideoStream

from mafdn._support.atomic import printable, replacing
from mafdn._support.progress import counted, ignore
from mafdn.errors import DamagedError, EncodeError
from mafdn.film.options import FilmOptions
from mafdn.film.output.containers import attach_cover, begins_well, copy_stream
from mafdn.film.output.copying import Window, copied_packets, global_metadata, is_quicktime_key, video_metadata
from mafdn.film.output.encode import BEGIN, SEGMENT_MUXER
from mafdn.film.output.matroska import PLACEHOLDER, complete_header
from mafdn.film.output.plan import BARE, FilmPlan
from mafdn.film.output.sounds import SoundConverter
from mafdn.film.output.subtitles import Converter
from mafdn.film.output.timecode import later, of_first_field
from mafdn.film.output.timing import Timed, timed
from mafdn.film.source.info import FilmInfo
from mafdn.film.source.metadata import TIMECODE
from mafdn.film.source.opening import open_container, packets_of, video_stream
from mafdn.film.source.timeline import timeline_of
from mafdn.pictures.limits import Limits

if TYPE_CHECKING:
    from mafdn.film.output.copying import AnyPacket

MOST_HELD_BACK = 1_000_000
"""Microseconds of packets that the muxer holds in memory until others come that belong before them; they are sorted."""
NEAR_THE_END = 10_000_000
"""Microseconds before the end of a film in which its last frame is looked for."""


def join(
    info: FilmInfo,
    segments: Sequence[Path],
    target: Path,
    *,
    plan: FilmPlan,
    options: FilmOptions,
    on_progress: Callable[[int, int], None] = ignore,
    on_note: Callable[[str], None] = ignore,
) -> int:
    """Write the result: the video of all segments in order, and all other streams of the film copied.

    Audio, subtitles, data, attachments, covers and chapters are copied with their metadata, language and disposition,
    with the time stamps of the film; with `options.start` and `end`, what is in between, moved to begin at 0.

    Args:
        info: The film, from which the other streams are read again.
        segments: Files of `SegmentEncoder`, in order; at least one.
        target: The result; it appears when it is complete, and replaces an existing file.
        plan: The plan of the segments.
        options: `start` and `end` are used.
        on_progress: Called as `on_progress(done, total)` with bytes of the segments.
        on_note: Called with what is missing, one sentence for each stream.

    Returns:
        The number of video frames.

    Raises:
        EncodeError: The file cannot be written.
        DamagedError: A segment cannot be read.
    """
    try:
        with replacing(target, resumed=True) as temporary:
            joining = _Joining(info, segments, plan, options, on_progress)
            if not joining.write(temporary):  # once more without the streams that do not even begin well
                joining = _Joining(info, segments, plan, options, on_progress, without=joining.unwritable())
                if not joining.write(temporary):
                    raise EncodeError(f"cannot write {printable(target)} as {plan.container}; choose another container")
    except OSError as error:
        raise EncodeError.from_os_error(f"cannot write {printable(target)}", error) from None
    except (FFmpegError, ValueError) as error:
        reason = printable(getattr(error, "strerror", None) or str(error))
        raise EncodeError(f"cannot write {printable(target)} as {plan.container}: {reason}; choose mkv") from None
    for note in joining.notes():
        on_note(note)
    return joining.frames


class _Joining:
    """The parts of one result.

    Attributes:
        frames: Number of video frames written.
        damaged: Numbers of packets that could not be written, by the index of their stream in the film, or that of the
            video where the muxer did not say at once.
        without: Indices of streams that are left out.
        lost_timecode: Whether the time code of the first frame could not be computed.
    """

    def __init__(
        self,
        info: FilmInfo,
        segments: Sequence[Path],
        plan: FilmPlan,
        options: FilmOptions,
        on_progress: Callable[[int, int], None],
        *,
        without: Collection[int] = (),
    ) -> None:
        self.info = info
        self.segments = segments
        self.plan = plan
        self.window = Window.of(info, options)
        self.tick = counted(on_progress, sum(path.stat().st_size for path in segments))
        self.frames = 0
        self.damaged: Counter[int] = Counter()
        self.without = without
        self.lost_timecode = False

    def notes(self) -> list[str]:
        """Say what was left out, after the file was written."""
        path = printable(self.info.path)
        names = {each.index: f"stream {each.index} of {path} ({each.kind} {each.codec})" for each in self.info.streams}
        names[self.info.stream] = f"{path} beside its video"
        notes = [f"{names[index]} is damaged and was left out" for index in sorted(self.without)]
        if self.lost_timecode and self.plan.container not in BARE:
            notes.append(f"the time code of {path} is left out: that of the selected part is not known")
        damaged = sorted(self.damaged.items())
        return notes + [f"{names[index]} is damaged: {count} packets were left out" for index, count in damaged]

    def unwritable(self) -> set[int]:
        """Find the streams whose first packets the container does not take; raises `EncodeError` if there are none."""
        copied = [index for index, way in self.plan.ways if way == "copy"]
        found = {index for index in copied if not begins_well(self.info, index, self.plan.container)}
        if not found:
            path, container = printable(self.info.path), self.plan.container
            raise EncodeError(f"cannot write the streams of {path} as {container}; choose another container")
        return found

    def write(self, path: Path) -> bool:
        """Write the file; returns whether it holds all of the video."""
        info, plan = self.info, self.plan
        ways = {index: way for index, way in plan.ways if index not in self.without}
        copies: dict[int, Stream | Converter | SoundConverter] = {}
        with ExitStack() as stack:
            source = stack.enter_context(open_container(info.path, Limits()))
            first = stack.enter_context(_segment(self.segments[0]))
            target = av.open(
                f"file:{path}",
                "w",
                format=plan.muxer,
                metadata_errors="surrogateescape",
                container_options=_muxer_options(plan, source),
            )
            stack.callback(_close_quietly, target)
            video: VideoStream | None = None
            for stream in source.streams:
                way = ways.get(stream.index)
                if stream.index == info.stream:
                    video = self._add_video(target, first.streams.video[0], stream)
                elif way == "attach":
                    attach_cover(target, stream, info)
                elif way == "convert" and stream.type == "audio":
                    copies[stream.index] = SoundConverter(target, stream)
                elif way == "convert":
                    copies[stream.index] = Converter(target, stream, plan.container)
                elif way == "copy":
                    copies[stream.index] = copy_stream(target, stream)
                    if plan.container == "ts":
                        target.streams[-1].id = stream.id
            assert video is not None
            target.metadata.update(global_metadata(source))
            self._move_timecode(target, source.streams[info.stream].start_time, int(first.metadata[BEGIN]))
            target.set_chapters(self.window.chapters(source.chapters()))
            others = copied_packets(
                source,
                copies,
                self.window,
                timeline=timeline_of(info),
                priming=plan.container in ("mp4", "mov"),
                on_damaged=lambda index: self.damaged.update([index]),
            )
            target.start_encoding()  # whose errors are not those of a packet
            outputs = {(c if isinstance(c, Stream) else c.stream).index: index for index, c in copies.items()}
            self._interleave(target, self._video_packets(video), others, outputs)
            try:
                target.close()
            except (OSError, MemoryError):
                raise
            except FFmpegError:
                return False
            if self.damaged and not self._is_whole(path):
                return False
            if plan.container in ("mkv", "webm"):
                self._complete_header(path, source.streams[info.stream].metadata.get("title"))
        return True

    def _move_timecode(self, target: OutputContainer, start: int | None, begin: int) -> None:
        """Make the time code that of the first frame, which is shown at `begin`; the film's own is that at `start`."""
        info = self.info
        doubled = info.fields and info.interlaced
        if (self.window.start is None and not doubled) or info.timecode is None:
            return
        self.lost_timecode = True
        first = info.start_pts * info.time_base if start is None else start * info.stored_time_base
        seconds = Fraction(0) if self.window.start is None else begin * info.time_base - first
        for metadata in (target.metadata, *(stream.metadata for stream in target.streams)):
            for name in [name for name in metadata if name.lower() == TIMECODE]:
                old = metadata.pop(name)
                moved = later(of_first_field(old) if doubled else old, seconds, info.nominal_rate)
                if moved is not None:
                    metadata[name] = moved
                    self.lost_timecode = False

    def _is_whole(self, path: Path) -> bool:
        """Whether a file holds all of the video: errors of the muxer may be those of earlier packets of any stream."""
        try:
            with av.open(f"file:{path}") as written:
                return sum(packet.size > 0 for packet in packets_of(written, written.streams.video[0])) == self.frames
        except FFmpegError:
            return False

    def _complete_header(self, path: Path, title: str | None) -> None:
        plan = self.plan
        if not complete_header(
            path,
            size=plan.stored_size,
            sample_aspect_ratio=plan.sample_aspect_ratio,
            chroma_location=plan.color.chroma_location if plan.color.subsampling != (0, 0) else None,
            light=plan.color.light,
            title=title,
        ):
            raise EncodeError(f"cannot complete the header of {printable(path)}; choose another container, such as mp4")

    def _add_video(self, target: OutputContainer, encoded: VideoStream, original: Stream) -> VideoStream:
        plan, color = self.plan, self.plan.color
        video = target.add_stream_from_template(encoded, opaque=True)
        video.metadata.update(video_metadata(original))
        if plan.container in ("mkv", "webm"):
            video.metadata["title"] = PLACEHOLDER
        video.disposition = original.disposition
        video.time_base = self.info.time_base
        context = video.codec_context
        context.sample_aspect_ratio = plan.sample_aspect_ratio
        context.color_range = 2 if color.full_range else 1
        context.colorspace, context.color_primaries = color.matrix_tag, color.primaries
        context.color_trc = color.transfer
        if self.info.nominal_rate:
            context.framerate = self.info.nominal_rate
        if plan.encoder.name == "x265" and plan.container in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # the one that Apple's players know
        if plan.container == "ts":
            video.id = original.id
        video.set_display_matrix(plan.display_matrix)
        return video

    def _interleave(
        self,
        target: OutputContainer,
        video: "Iterator[tuple[Fraction, AnyPacket]]",
        others: "Iterator[AnyPacket]",
        sources: dict[int, int],
    ) -> None:
        """Write packets by their time of decoding; the muxer orders what is close together.

        Args:
            target: The result.
            video: Time of decoding and packet.
            others: Packets of other streams.
            sources: The indices in the film of streams of the result.
        """
        following = next(video, None)
        for packet in others:
            moment = packet.dts if packet.dts is not None else packet.pts
            while following is not None and moment is not None and following[0] <= moment * packet.time_base:
                self._write_packet(target, following[1], self.info.stream)
                following = next(video, None)
            self._write_packet(target, packet, sources[packet.stream.index])
        while following is not None:
            self._write_packet(target, following[1], self.info.stream)
            following = next(video, None)

    def _write_packet(self, target: OutputContainer, packet: "AnyPacket", source: int) -> None:
        """Write a packet; if it, or one that waited, is not accepted, count it by the index of its stream."""
        try:
            target.mux(packet)
        except (OSError, MemoryError):
            raise
        except FFmpegError:
            self.damaged[source] += 1

    def _video_packets(self, stream: VideoStream) -> "Iterator[tuple[Fraction, AnyPacket]]":
        """Yield time of decoding and packet, in order."""
        info, unit = self.info, self.info.time_base
        step = max(1, round(1 / (info.nominal_rate or 25) / unit))
        shift = self.window.shift(unit)
        with _segment(self.segments[0]) as first:
            delay = first.streams.video[0].codec_context.reorder_depth
        for timing in timed(self._encoded(), delay=delay, step=step, last=0):
            packet = timing.item
            packet.stream = stream
            packet.time_base = unit
            packet.pts, packet.dts = timing.pts - shift, timing.dts - shift
            packet.duration = timing.duration or self._last_duration(timing, step)
            self.frames += 1
            yield packet.dts * unit, packet

    def _encoded(self) -> "Iterator[tuple[int, AnyPacket]]":
        """Yield the time stamp, in the unit of the film, and the packet of all segments in the order of decoding."""
        unit = self.info.time_base
        for path in self.segments:
            with _segment(path) as segment:
                begin = int(segment.metadata[BEGIN])
                for packet in segment.demux(segment.streams.video[0]):
                    if packet.size:
                        moment = round((packet.pts or 0) * packet.time_base / unit)
                        yield begin + moment, cast("AnyPacket", packet)
            self.tick(path.stat().st_size)

    def _last_duration(self, timing: "Timed[AnyPacket]", step: int) -> int:
        """Return how long the film shows its last frame."""
        found, fields, shown_twice = step, self.info.fields, self.info.interlaced
        with suppress(FFmpegError), open_container(self.info.path, Limits()) as source:
            stream = video_stream(source, self.info.path)
            moment = round(timing.pts * self.info.time_base * 1_000_000)
            source.seek(max(moment - NEAR_THE_END, int(source.start_time or 0)))
            for packet in packets_of(source, stream):
                if packet.pts is None or not packet.duration:
                    continue
                if fields and 0 <= timing.pts - 2 * packet.pts < 2 * packet.duration:
                    found = packet.duration if shown_twice else 2 * packet.duration
                elif not fields and packet.pts == timing.pts:
                    found = packet.duration
        return found


def _segment(path: Path) -> InputContainer:
    try:
        return av.open(f"file:{path}", format=SEGMENT_MUXER)
    except FFmpegError as error:
        raise DamagedError(f"cannot read {printable(path)}: {error.strerror}; remove it, and start again") from None


def _muxer_options(plan: FilmPlan, source: InputContainer) -> dict[str, str]:
    options = {
        "fflags": "+bitexact",  # otherwise Matroska files have random identifiers
        "max_interleave_delta": str(MOST_HELD_BACK),
    }
    if plan.container in ("mp4", "mov"):
        keys = "+use_metadata_tags" if any(is_quicktime_key(name) for name in source.metadata) else ""
        options["movflags"] = f"+faststart{keys}"
    elif plan.container == "ts":
        options["mpegts_copyts"] = "1"
    return options


def _close_quietly(container: OutputContainer) -> None:
    """Close a file after an error, which is the one to report."""
    with suppress(FFmpegError, OSError, ValueError):
        container.close()
