"""Convert text subtitles to the codec that a container holds."""

from fractions import Fraction
from typing import TYPE_CHECKING, cast

from av.container import OutputContainer
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

if TYPE_CHECKING:
    from av.packet import Packet

TEXT_CODECS = ("mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text", "subviewer", "microdvd", "stl")
"""FFmpeg's names of the decoders of text subtitles."""
TEXT_ENCODERS = {"mkv": "subrip", "mp4": "mov_text", "mov": "mov_text", "webm": "webvtt"}
"""FFmpeg's names of the encoders for the text subtitles of containers."""


class Converter:
    """Converts the packets of a stream of text subtitles; their times stay, but not all of their styles.

    Attributes:
        stream: The stream of the result.
    """

    def __init__(self, target: OutputContainer, source: Stream, container: str) -> None:
        self._source = cast(SubtitleStream, source)
        self._source.codec_context.open(strict=False)
        stream = cast(SubtitleStream, target.add_stream(TEXT_ENCODERS[container]))
        stream.codec_context.subtitle_header = self._source.codec_context.subtitle_header
        stream.codec_context.time_base = stream.time_base = source.time_base or Fraction(1, 1000)
        stream.metadata.update({k: v for k, v in source.metadata.items() if k.lower() != "encoder"})
        stream.disposition = source.disposition
        self.stream = stream

    def __call__(self, packet: "Packet[Stream]") -> "list[Packet[Stream]]":
        """Convert one packet to none, if it has no text, as those that end a text in MP4, or to one.

        Raises:
            FFmpegError: It is damaged.
        """
        texts = self._source.codec_context.decode2(packet)
        if texts is None or not len(texts):
            return []
        converted = self.stream.codec_context.encode_subtitle(texts)
        converted.time_base = packet.time_base
        converted.pts, converted.dts, converted.duration = packet.pts, packet.dts, packet.duration
        converted.stream = self.stream
        return [converted]
