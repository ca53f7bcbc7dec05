"""Encode a segment of a film."""

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import numpy as np
from av import VideoFrame
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from mafdn._support.atomic import printable
from mafdn.errors import EncodeError
from mafdn.film.color import FromRgb
from mafdn.film.frame import FilmFrame, Pixels, turned
from mafdn.film.output.plan import FilmPlan
from mafdn.film.source.info import FilmInfo

SEGMENT_MUXER = "nut"
"""It keeps time stamps exactly, if they are not negative, and holds the video of all encoders."""
HIGHEST_RATE = Fraction(240)
"""Frames per second above which SVT-AV1 refuses a film; encoders only use it to share out bits, not for time stamps."""
SHORTEST = 3
"""Frames from which x265 (4.2 and earlier) states decoding times; those of fewer frames are memory never written."""
BEGIN = "begin"
"""Name of the metadata with the time stamp of the first frame, from which those in the file count."""


class SegmentEncoder:
    """Encodes consecutive frames into a file of their own, which begins with a key frame and refers to no other.

    The file is an intermediate one for `join`: it holds the video only (as NUT). Equal frames give equal files. As a
    context manager, it is closed at the end, or removed after an exception.

    Args:
        path: The file, which is overwritten; give a temporary name and rename it after `close`.
        info: The film.
        plan: How to encode.

    Raises:
        EncodeError: The encoder cannot be opened, or the file not be written.
    """

    def __init__(self, path: Path, info: FilmInfo, plan: FilmPlan) -> None:
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes to the terminal otherwise
        self.path = path
        self._plan = plan
        self._info = info
        self._convert = FromRgb(plan.color, plan.encoder.pixel_format, plan.stored_size)
        self._last: tuple[Pixels, VideoFrame] | None = None
        self._begin: int | None = None
        self._frames = 0
        self._file: OutputContainer | None = None
        try:
            # Bit-exact files have no random identifiers; negative time stamps are those of decoding.
            settings = {"fflags": "+bitexact", "avoid_negative_ts": "disabled"}
            self._file = av.open(f"file:{path}", "w", format=SEGMENT_MUXER, container_options=settings)
            rate = min(info.nominal_rate or Fraction(25), HIGHEST_RATE)
            stream = self._file.add_stream(plan.encoder.library, rate=rate, options=dict(plan.encoder.settings))
            self._stream = cast(VideoStream, stream)
            self._stream.width, self._stream.height = plan.stored_size
            self._stream.pix_fmt = plan.encoder.pixel_format
            self._stream.codec_context.time_base = info.time_base
            self._stream.codec_context.sample_aspect_ratio = plan.sample_aspect_ratio
            self._stream.codec_context.open()
        except (FFmpegError, OSError, ValueError) as error:
            self._discard()
            raise self._failure(error) from None

    def write(self, frame: FilmFrame, pixels: Pixels) -> None:
        """Encode one frame.

        Args:
            frame: The frame of the source, for its time stamp and duration.
            pixels: The result, (height, width, 3) of the plan; uint8 or uint16 over the full range. If it is the same
                object as that of the frame before, it is not converted again.

        Raises:
            EncodeError: The encoder fails, or the file cannot be written.
        """
        if self._begin is None:
            self._begin = frame.pts
            self._container.metadata[BEGIN] = str(frame.pts)
        if self._last is None or self._last[0] is not pixels:
            self._last = pixels, self._convert(np.ascontiguousarray(turned(pixels, self._plan.turn)))
        picture = self._last[1]
        picture.pts, picture.time_base = frame.pts - self._begin, self._info.time_base
        picture.duration = frame.duration or 0
        self._frames += 1
        self._encode(picture)

    def close(self) -> None:
        """Write what the encoder still holds, and close the file.

        Raises:
            EncodeError: The encoder fails, or the file cannot be written.
        """
        if self._file is None:
            return
        self._encode(None)
        try:
            self._file.close()
        except (FFmpegError, OSError) as error:
            self._discard()
            raise self._failure(error) from None
        self._file = self._last = None

    @property
    def _container(self) -> OutputContainer:
        if self._file is None:
            raise ValueError("the segment is closed")
        return self._file

    def _encode(self, picture: VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(picture):
                if picture is None and self._frames < SHORTEST:  # too few to be reordered
                    packet.dts = packet.pts
                self._container.mux(packet)
        except (FFmpegError, OSError) as error:
            self._discard()
            raise self._failure(error) from None

    def _discard(self) -> None:
        """Close and remove the file, which is not complete."""
        container, self._file, self._last = self._file, None, None
        if container is not None:
            with suppress(FFmpegError, OSError):  # the reason for which it is removed may come again
                container.close()
        self.path.unlink(missing_ok=True)

    def _failure(self, error: Exception) -> EncodeError:
        reason = printable(getattr(error, "strerror", None) or str(error))
        if isinstance(error, OSError):
            return EncodeError(f"cannot write {printable(self.path)}: {reason}", errno=error.errno)
        plan, path = self._plan, printable(self._info.path)
        width, height = plan.stored_size
        what = f"{width}x{height} pixels, {plan.encoder.pixel_format}"
        return EncodeError(
            f"cannot encode {path} with {plan.encoder.name} ({what}): {reason}; choose another codec, such as ffv1"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._discard()
