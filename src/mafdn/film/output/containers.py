"""What containers can hold of a film, and how it is put there."""

import io
import itertools
from collections.abc import Iterable
from typing import Any

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Disposition, Stream

from mafdn.film.names import ENDINGS
from mafdn.film.output.subtitles import TEXT_CODECS, TEXT_ENCODERS
from mafdn.film.source.info import FilmInfo
from mafdn.film.source.opening import codec_of, open_container, packets_of, sample_rate_of
from mafdn.pictures.limits import Limits

MUXERS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "webm": "webm", "ts": "mpegts"}
"""FFmpeg's names of the containers."""
BY_ENDING = {ending: container for container in MUXERS for ending in ENDINGS.get(container, (f".{container}",))}
"""Containers by the endings of names."""
TRIED_PACKETS = 20
"""Packets that are written to find out whether a damaged stream can be copied."""
COVER_TYPES = {"png": "image/png", "mjpeg": "image/jpeg", "bmp": "image/bmp", "gif": "image/gif", "webp": "image/webp"}
"""MIME types of covers by FFmpeg's names of their codecs."""


def ways_to_hold(info: FilmInfo, container: str) -> dict[int, str]:
    """Find out by trying how each stream but the one that is upscaled can be held by a container.

    Returns:
        By the indices of streams: `copy`, `attach` for covers that are stored as attached files, `convert` for text
        subtitles and for sound that becomes PCM, or `hidden` for the text of chapters and the time code of QuickTime
        files, which are written anew. Streams that cannot be held are missing.
    """
    ways: dict[int, str] = {}
    with open_container(info.path, Limits()) as source:
        for stream in source.streams:
            if stream.index != info.stream and (way := _way(stream, container)):
                ways[stream.index] = way
    return ways


def copy_stream(target: OutputContainer, stream: Stream) -> Stream:
    """Add a stream like `stream`, with its metadata, language and disposition.

    Raises:
        ValueError: The container cannot hold it.
    """
    copy = target.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(stream.metadata)
    copy.disposition = stream.disposition
    return copy


def attach_cover(target: OutputContainer, stream: Stream, info: FilmInfo) -> None:
    """Store a cover as an attached file, which is how Matroska has them."""
    codec = codec_of(stream) or ""
    name = stream.metadata.get("filename", f"cover.{'jpg' if codec == 'mjpeg' else codec}")
    with open_container(info.path, Limits()) as source:
        packet = next(packets_of(source, source.streams[stream.index]))
        attached = target.add_attachment(name, COVER_TYPES[codec], bytes(packet))
    attached.metadata.update(stream.metadata)


def begins_well(info: FilmInfo, index: int, container: str) -> bool:
    """Whether a container takes the first packets of a stream of a film, which may be damaged."""
    with open_container(info.path, Limits()) as source:
        stream = source.streams[index]
        return _takes(container, stream, itertools.islice(packets_of(source, stream), TRIED_PACKETS))


def _way(stream: Stream, container: str) -> str | None:
    codec = codec_of(stream) or ""
    if stream.discard is Discard.all or (stream.type == "data" and "timecode" in stream.metadata):
        return "hidden"
    if isinstance(stream, AttachmentStream):
        return "copy" if container == "mkv" and stream.data else None
    if stream.disposition & Disposition.attached_pic and container == "mkv":
        return "attach" if codec in COVER_TYPES else None
    if sample_rate_of(stream) == 0:
        return None
    if _takes(container, stream):
        return "copy"
    if stream.type == "audio" and codec and container in ("mkv", "mov"):
        return "convert"
    return "convert" if codec in TEXT_CODECS and container in TEXT_ENCODERS else None


def _takes(container: str, stream: Stream, packets: "Iterable[Packet[Any]]" = ()) -> bool:
    """Whether a container takes a stream, and these packets of it."""
    try:
        with av.open(io.BytesIO(), "w", format=MUXERS[container], metadata_errors="surrogateescape") as trial:
            copy = copy_stream(trial, stream)
            trial.start_encoding()
            for packet in packets:
                if packet.size:
                    packet.stream = copy
                    trial.mux(packet)
    except (FFmpegError, ValueError):
        return False
    return True
