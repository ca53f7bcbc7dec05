"""Open film files safely: local files only, and no formats that name other files or URLs."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import av
import av.logging
from av import AudioCodecContext, CodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from mafdn._support.atomic import printable
from mafdn.errors import DamagedError, PictureError, UnsupportedError
from mafdn.pictures.limits import Limits

if TYPE_CHECKING:
    from av.packet import Packet

DEMUXERS = (
    *("mov", "matroska", "webm", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "live_flv", "asf", "asf_o", "ogg", "mxf"),
    *("nut", "ivf", "obu", "av1", "h264", "hevc", "vvc", "m4v", "vc1", "mjpeg", "dv", "yuv4mpegpipe", "rm", "wtv"),
    *("gxf", "lxf", "amv", "ffm", "mpjpeg", "r3d", "nuv", "nsv", "roq", "smk", "bink", "flic", "film_cpk", "mlv"),
)
"""FFmpeg's names of the formats that are read: none refers to other files, as playlists do."""
_LOG = Lock()
"""Held while FFmpeg's log level, which is one for the whole process, is another one."""


def open_container(path: Path, limits: Limits) -> InputContainer:
    """Open a file for reading.

    Raises:
        PictureError: It is missing or not a regular file, or cannot be read.
        DamagedError: It is damaged, or of no format that is read.
    """
    name = printable(path)
    try:
        if not path.is_file():
            raise PictureError(f"{name} is not a regular file; give a film" if path.exists() else f"{name} is missing")
        path.open("rb").close()
        return av.open(
            f"file:{path}",
            metadata_errors="surrogateescape",
            options={"max_pixels": str(limits.pixels)},
            container_options={"protocol_whitelist": "file", "format_whitelist": ",".join(DEMUXERS)},
        )
    except FFmpegError as error:
        reason = "it is damaged, incomplete, or of a format that is not read"
        raise DamagedError(f"cannot read {name} as a film: {reason} ({_reason(error)})") from None
    except OSError as error:
        raise PictureError.from_os_error(f"cannot read {name}", error) from None


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Return the stream that is upscaled: the default one, or the first, without covers.

    Raises:
        UnsupportedError: There is none, or there is no decoder for it.
    """
    films = [stream for stream in container.streams.video if not is_picture(stream)]
    if not films:
        raise UnsupportedError(f"{printable(path)} has no video; give a film")
    chosen = next((s for s in films if s.disposition & Disposition.default), films[0])
    if chosen.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise UnsupportedError(f"{printable(path)}: there is no decoder for its video; convert it first")
    return chosen


def is_picture(stream: Stream) -> bool:
    """Whether a video stream is a cover or a set of thumbnails."""
    return bool(
        stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image)
    )


def codec_of(stream: Stream) -> str | None:
    """Return FFmpeg's name of a stream's codec, or of an attached file; `None` if there is no decoder for it."""
    context = cast("CodecContext | None", stream.codec_context)
    if context is not None:
        return context.codec.canonical_name
    return stream.name if stream.type in ("data", "attachment") else None


def sample_rate_of(stream: Stream) -> int | None:
    """Return the samples per second of a stream of sound; 0 if they are unknown, `None` for other streams."""
    if not isinstance(stream, AudioStream):
        return None
    context = cast("AudioCodecContext | None", stream.codec_context)
    return context.sample_rate if context is not None else 0


def packets_of(container: InputContainer, *streams: Stream) -> "Iterator[Packet[Any]]":
    """Yield the packets of streams in the order of the file, and at the end an empty one for each.

    Raises:
        FFmpegError: The file is damaged beyond what FFmpeg reads.
    """
    with suppress(IndexError):  # at the very end, if a stream appeared that PyAV did not know at the beginning
        yield from container.demux(streams)


def description(container: InputContainer) -> str:
    """Return what FFmpeg says about a file, with details that PyAV has no attributes for."""
    with _verbose():
        return cast(Any, container).dumps_format()  # which PyAV's types do not know


@contextmanager
def decoding(path: Path) -> Generator[None]:
    """Raise FFmpeg's errors as `DamagedError`, and those of the file system as `PictureError`."""
    try:
        yield
    except FFmpegError as error:
        if isinstance(error, OSError):
            raise PictureError(f"cannot read {printable(path)}: {error.strerror}", errno=error.errno) from None
        raise DamagedError(f"{printable(path)} is damaged: {_reason(error)}") from None


@contextmanager
def _verbose() -> Generator[None]:
    with _LOG:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.VERBOSE)
        av.logging.set_libav_level(av.logging.VERBOSE)
        try:
            yield
        finally:
            av.logging.set_libav_level(av.logging.INFO)
            av.logging.set_level(level)


def _reason(error: FFmpegError) -> str:
    return printable(error.strerror or type(error).__name__)
