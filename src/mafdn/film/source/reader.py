"""Open films and decode their frames."""

import re
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av import VideoFrame
from av.container import InputContainer
from av.error import EOFError as EndOfFile
from av.error import FFmpegError

from mafdn._support.atomic import printable
from mafdn.errors import DamagedError, UnsupportedError, UsageError
from mafdn.film.color import ToRgb
from mafdn.film.frame import FilmFrame
from mafdn.film.options import FIELDS, FilmOptions
from mafdn.film.source.deinterlace import deinterlaced
from mafdn.film.source.info import FilmInfo
from mafdn.film.source.opening import decoding, open_container, packets_of, video_stream
from mafdn.film.source.probe import INTERLACED_ORDERS, probe
from mafdn.film.source.timeline import RESTARTING, Timeline

PROBED_FRAMES = 48
"""First frames that are looked at for signs of interlacing."""
LEAST_MISSING = Fraction(1, 2)
"""Seconds that the video must at least end too early for this to be said."""
FLV = re.compile(rb"FLV\x01[\x00-\x05]\x00{3}\x09")
"""How an FLV file begins."""
BEHIND = 1 << 20
"""Bytes after the last video packet in which another FLV file is looked for; a few packets of sound may be before."""
STEPS_BACK = (0.0, 2.0, 10.0, 60.0)
"""Seconds before the first selected frame to which is sought, one after the other, until its key frame is found."""


class FilmSource:
    """A film; use it in a `with` statement, or call `close`.

    Attributes:
        path: The file.
        options: What was asked for.
        info: What is known about it; with `fields`, as `FilmInfo.by_fields` returns it.
        notes: What turned out while frames were decoded, such as damaged ones; one line each.
    """

    def __init__(self, path: Path, options: FilmOptions, info: FilmInfo) -> None:
        self.path = path
        self.options = options
        self.info = info.by_fields() if options.deinterlace == FIELDS else info
        self.notes: list[str] = []
        self._stored = info
        self._running: list[Generator[FilmFrame]] = []

    def frames(self, start: int = 0) -> Iterator[FilmFrame]:
        """Decode the selected frames from number `start` on, from the beginning on each call.

        Everything before is decoded, too, so that a resumed run gets the same numbers, time stamps and pixels as an
        uninterrupted one, even from damaged films; this is much faster than any network.

        Raises:
            DamagedError: Nothing can be decoded. Damaged parts within are skipped and noted.
            UsageError: The film ends before the selected part.
        """
        frames = self._frames(start)
        self._running.append(frames)
        return frames

    def close(self) -> None:
        """End all iterations over frames that have not ended; call it when no other thread runs one."""
        for frames in self._running:
            frames.close()
        self._running.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _frames(self, start: int) -> Generator[FilmFrame]:
        info, options, stored = self.info, self.options, self._stored
        to_rgb = ToRgb(info.color, info.size, crop=info.crop)
        self.notes.clear()
        with closing(_Decoder(self.path, options, stored)) as decoder:
            frames = decoder.frames()
            if options.deinterlace:
                order = decoder.field_order if stored.interlaced else 0
                frames = deinterlaced(frames, stored.time_base, order=order, fields=info.fields)
            number = -1
            for number, frame in enumerate(_selected(frames, info, options)):
                if number >= start:
                    pixels = to_rgb(frame)
                    pts = frame.pts or 0
                    seconds = float((pts - info.start_pts) * info.time_base)
                    yield FilmFrame(number, pts, frame.duration or None, pixels, seconds)
            self.notes += decoder.notes()
            if number < 0 and options.start is options.end is None:
                raise DamagedError(f"{printable(self.path)} is damaged: no frame of its video can be decoded")
            if number < 0:
                other = (
                    "an earlier start" if options.end is None else "another part" if options.start else "a later end"
                )
                raise UsageError(f"{printable(self.path)} has no frame in the selected part; choose {other}")
            if options.end is None and stored.ends is not None and decoder.end is not None and not decoder.restarts:
                missing = (stored.ends - decoder.end) * stored.time_base
                if missing > max(LEAST_MISSING, (stored.ends - stored.start_pts) * stored.time_base / 20):
                    seconds = f"{float(missing):.1f}"
                    self.notes.append(f"{printable(self.path)} ends {seconds} s earlier than it says; it is incomplete")


class _Decoder:
    """Decodes the video of a file, in one thread, so that damaged parts come out the same each time."""

    def __init__(self, path: Path, options: FilmOptions, info: FilmInfo) -> None:
        self.path = path
        self.info = info
        self.limits = options.upscale.limits
        self.begin = None if options.start is None else _pts(info, options.start)
        if options.start is not None and options.deinterlace == FIELDS:
            self.begin = _pts(info.by_fields(), options.start) // 2
        self.deinterlaces = bool(options.deinterlace)
        self.container = open_container(path, self.limits)
        self.stream = video_stream(self.container, path)
        self.timeline = Timeline(info) if info.format in RESTARTING else None
        order = self.stream.codec_context.field_order
        self.field_order = order if order in INTERLACED_ORDERS else 0
        self.damaged = self.moved = self.late = 0
        self.cut = ""
        self.end: int | None = None
        self.read = 0

    def close(self) -> None:
        self.container.close()

    @property
    def restarts(self) -> int:
        """How often the time stamps have restarted."""
        return len(self.timeline.offsets) - 1 if self.timeline else 0

    def notes(self) -> list[str]:
        """Return what turned out."""
        name = printable(self.path)
        notes: list[str] = []
        if self.damaged:
            notes.append(f"{name} is damaged: {self.damaged:,} packets or frames could not be decoded correctly")
        if self.cut:
            notes.append(f"{name} is damaged: it ends early ({self.cut})")
        if self._is_followed():
            notes.append(f"{name} is several FLV files one after the other; only the first one is upscaled")
        if self.restarts:
            notes.append(f"{name} has time stamps that restart ({self.restarts:,}x); its parts follow one another")
        if self.moved:
            notes.append(f"{name} has time stamps that do not increase; {self.moved:,} were moved")
        if self.late and not self.deinterlaces:
            notes.append(
                f"{name} has {self.late:,} interlaced frames in between; the option deinterlace deinterlaces them"
            )
        return notes

    def _is_followed(self) -> bool:
        """Whether another film follows in the file, which FFmpeg does not read in FLV; to be called at the end."""
        if self.info.format != "flv":
            return False
        with self.path.open("rb") as file:
            file.seek(self.read)
            return FLV.search(file.read(BEHIND)) is not None

    def frames(self) -> Iterator[VideoFrame]:
        """Yield frames with strictly increasing time stamps in the unit of the stream."""
        last: int | None = None
        step = max(1, round(1 / (self.info.average_rate or 25) / self.info.time_base))
        for frame in self._from_begin() if self.begin else self._decoded():
            pts = frame.pts if frame.pts is not None else frame.dts
            if pts is None:
                pts = 0 if last is None else last + step
            elif last is not None and pts <= last:
                pts, self.moved = last + 1, self.moved + 1
            frame.pts = last = pts
            self.end = pts + (frame.duration or step)
            self.damaged += frame.is_corrupt
            self.late += frame.interlaced_frame
            yield frame

    def _from_begin(self) -> Iterator[VideoFrame]:
        return self._decoded(self._skippable()) if self.timeline else self._sought()

    def _skippable(self) -> int:
        """Count the packets before the last key frame before the selection; no seeking finds it if stamps restart."""
        assert self.begin is not None
        timeline, found = Timeline(self.info), 0
        with open_container(self.path, self.limits) as container, suppress(FFmpegError):
            for number, packet in enumerate(packets_of(container, video_stream(container, self.path))):
                timeline.move(packet)
                if packet.dts is not None and packet.dts > self.begin:
                    break
                if packet.is_keyframe and packet.pts is not None and packet.pts <= self.begin:
                    found = number
        return found

    def _sought(self) -> Iterator[VideoFrame]:
        """Begin at a key frame before the selection; some containers seek only roughly."""
        assert self.begin is not None
        for seconds in STEPS_BACK:
            target = self.begin - round(seconds / self.info.time_base)
            if target <= self.info.start_pts:
                break
            try:
                self.container.seek(target, stream=self.stream)
            except FFmpegError:
                break
            frames = self._decoded()
            first = next(frames, None)
            if first is not None and first.pts is not None and first.pts <= self.begin:
                yield first
                yield from frames
                return
        self.close()
        self.damaged, self.cut = 0, ""
        self.container = open_container(self.path, self.limits)
        self.stream = video_stream(self.container, self.path)
        yield from self._decoded()

    def _decoded(self, skipped: int = 0) -> Iterator[VideoFrame]:
        self.stream.thread_count = 1
        packets = packets_of(self.container, self.stream)
        for number in count():
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                self.cut = printable(error.strerror or "damaged")
                packet = None
            if packet is None:
                break
            if packet.pos is not None:
                self.read = packet.pos + packet.size
            if self.timeline:
                self.timeline.move(packet)
            if number >= skipped:
                yield from self._of_packet(packet)
        if self.cut:
            yield from self._of_packet(None)

    def _of_packet(self, packet: "av.Packet[av.VideoStream] | None") -> Iterator[VideoFrame]:
        try:
            yield from self.stream.decode(packet)
        except EndOfFile:
            return
        except FFmpegError:
            self.damaged += 1


def open_film(path: Path, options: FilmOptions | None = None) -> FilmSource:
    """Open a film.

    Args:
        path: The file. Playlists and other files that refer to further files or URLs are refused.
        options: `start`, `end`, `deinterlace` and `upscale.limits` are used.

    Raises:
        DamagedError: The file is damaged, or not a film.
        UnsupportedError: There is no decoder, or the film is interlaced and `deinterlace` is not set.
        PictureError: Its frames exceed the limits, or it cannot be read.
    """
    options = options or FilmOptions()
    with decoding(path), open_container(path, options.upscale.limits) as container:
        stream = video_stream(container, path)
        first = _first_frames(container, stream)
        if not first:
            raise DamagedError(f"{printable(path)} is damaged: no frame of its video can be decoded")
        info = probe(path, container, stream, first, options)
    options.upscale.limits.check_pixels(path, *info.size)
    if info.interlaced and not options.deinterlace:
        raise UnsupportedError(
            f"{printable(path)} is interlaced: its frames hold two moments each; deinterlace them",
            setting="deinterlace",
        )
    return FilmSource(path, options, info)


def _first_frames(container: InputContainer, stream: av.VideoStream) -> list[VideoFrame]:
    stream.thread_count = 1
    frames: list[VideoFrame] = []
    try:
        for packet in packets_of(container, stream):
            try:
                frames += stream.decode(packet)
            except FFmpegError:
                continue
            if len(frames) >= PROBED_FRAMES:
                break
    except FFmpegError:
        pass  # the rest is damaged; what was decoded before counts
    return frames


def _selected(frames: Iterator[VideoFrame], info: FilmInfo, options: FilmOptions) -> Iterator[VideoFrame]:
    start = None if options.start is None else _pts(info, options.start)
    end = None if options.end is None else _pts(info, options.end)
    for frame in frames:
        pts = frame.pts or 0
        if end is not None and pts >= end:
            return
        if start is None or pts >= start:
            yield frame


def _pts(info: FilmInfo, seconds: float) -> int:
    """Return the time stamp of a moment of the film."""
    return info.start_pts + round(seconds / info.time_base)
