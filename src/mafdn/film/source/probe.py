"""Find out everything about a film: from its headers, and from its first frames."""

import re
from collections.abc import Container, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

from av import VideoFrame
from av.container import InputContainer
from av.stream import Stream
from av.video.reformatter import ColorPrimaries, ColorTrc
from av.video.stream import VideoStream

from mafdn._support.atomic import printable
from mafdn.film.color import MATRICES, UNTAGGED, Samples
from mafdn.film.options import FilmOptions
from mafdn.film.source.info import Color, FilmInfo, StreamInfo
from mafdn.film.source.length import restarting_length
from mafdn.film.source.metadata import (
    chroma_location_in,
    cropping_in,
    display_matrix_of,
    light_of,
    lost_features,
    timecode_in,
)
from mafdn.film.source.opening import codec_of, description, is_picture, sample_rate_of

MICROSECOND = Fraction(1, 1_000_000)
HD_LINES = 720
"""Frames with as many lines have colors of BT.709 if nothing else is said; smaller ones of BT.601."""
KNOWN_MATRICES = range(18)
"""Numbers of matrices in ITU-T H.273."""
LIMITED_GRAY = ("h264", "hevc", "vvc", "av1", "vp9", "mpeg1video", "mpeg2video", "mpeg4")
"""Codecs whose gray has a limited range if nothing else is said, like their luma; that of others is full."""
INTERLACED_ORDERS = (2, 3, 4, 5)
"""FFmpeg's numbers of field orders other than unknown and progressive."""


def probe(
    path: Path, container: InputContainer, stream: VideoStream, frames: Sequence[VideoFrame], options: FilmOptions
) -> FilmInfo:
    """Collect what is known about a film.

    Args:
        path: The file.
        container: The file, opened.
        stream: The video stream.
        frames: The first frames, at least one.
        options: `start` and `end` are used.
    """
    first, text = frames[0], description(container)
    notes: list[str] = []
    left, top, right, bottom = crop = _valid_crop(cropping_in(text, stream.index), first)
    width, height = first.width - left - right, first.height - top - bottom
    time_base = stream.time_base or Fraction(1, 90_000)
    color = _color(path, stream, first, height, chroma_location_in(text, stream.index), notes)
    ends = _ends(stream, time_base)
    restarting = restarting_length(container, stream, ends=None if ends is None else ends * time_base)
    if restarting is not None:
        whole, ends = restarting.seconds, None
    elif ends is not None:
        whole = float((ends - (stream.start_time or 0)) * time_base)
    else:
        whole = container.duration / 1e6 if container.duration else None
    duration, count = _selected(stream, whole, options)
    lost = sorted({name for frame in frames for name in lost_features(frame, text)})
    if lost:
        notes.append(f"{printable(path)} has {' and '.join(lost)}; its result will not")
    others = [s.index for s in container.streams.video if s.index != stream.index and not is_picture(s)]
    if others:
        listed = ", ".join(str(index) for index in others)
        notes.append(f"only stream {stream.index} is upscaled; further video streams are copied: {listed}")
    return FilmInfo(
        path=path,
        format=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        stream=stream.index,
        width=width,
        height=height,
        rotation=first.rotation,
        display_matrix=display_matrix_of(first),
        crop=crop,
        sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        time_base=time_base,
        average_rate=stream.average_rate or stream.guessed_rate or None,
        nominal_rate=_nominal_rate(stream),
        start_pts=round((cast("int | None", container.start_time) or 0) * MICROSECOND / time_base),
        duration=duration,
        frame_count=count,
        ends=ends,
        color=color,
        interlaced=any(frame.interlaced_frame for frame in frames)
        or stream.codec_context.field_order in INTERLACED_ORDERS,
        streams=tuple(_described(each) for each in container.streams),
        chapters=len(container.chapters()),
        notes=tuple(notes),
        timecode=timecode_in(stream.metadata) or timecode_in(container.metadata),
    )


def _color(
    path: Path, stream: VideoStream, frame: VideoFrame, height: int, place: str | None, notes: list[str]
) -> Color:
    """Take the tags of the frame, else those of the container; say what is assumed where there are none."""
    samples = Samples.of(frame.format.name)
    context = stream.codec_context
    matrix_tag = _tag(frame.colorspace, context.colorspace, known=KNOWN_MATRICES)
    primaries = _tag(frame.color_primaries, context.color_primaries, known={int(each) for each in ColorPrimaries})
    transfer = _tag(frame.color_trc, context.color_trc, known={int(each) for each in ColorTrc})
    range_tag = frame.color_range or context.color_range
    full = range_tag == 2 or frame.format.name.startswith("yuvj")
    if range_tag == 0:
        full |= samples.kind == "rgb" or (samples.kind == "gray" and context.codec.canonical_name not in LIMITED_GRAY)
    matrix = matrix_tag
    name = printable(path)
    if samples.kind == "rgb":
        matrix = 0
    elif matrix_tag == UNTAGGED:
        matrix = 6 if height < HD_LINES else 1
        assumed = "BT.601" if matrix == 6 else "BT.709"
        notes.append(f"{name} does not say its color matrix; {assumed} is assumed for {height} lines")
    elif matrix_tag not in MATRICES:
        matrix = 9 if primaries == 9 else 1
        notes.append(f"{name} has a color matrix (number {matrix_tag}) that is not supported; an approximation is used")
    if samples.alpha:
        notes.append(f"{name} has transparency, which is not carried over")
    return Color(
        pixel_format=frame.format.name,
        bits=samples.bits,
        subsampling=samples.subsampling,
        kind=samples.kind,
        alpha=samples.alpha,
        full_range=full,
        matrix=matrix,
        matrix_tag=matrix_tag,
        range_tag=range_tag,
        primaries=primaries,
        transfer=transfer,
        chroma_location=place,
        light=light_of(frame),
    )


def _nominal_rate(stream: VideoStream) -> Fraction | None:
    """Return FFmpeg's guess unless it is far from the average, as it is for variable frame rates."""
    average, guessed = stream.average_rate, stream.guessed_rate
    if average and guessed and abs(guessed / average - 1) > Fraction(1, 100):
        return average
    return guessed or average or None


def _tag(of_frame: int, of_container: int, *, known: Container[int]) -> int:
    """Return a tag of the frame, else that of the container; damaged films have numbers that mean nothing."""
    tags = (tag for tag in (of_frame, of_container) if tag != UNTAGGED and tag in known)
    return next(tags, UNTAGGED)


def _valid_crop(crop: tuple[int, int, int, int], frame: VideoFrame) -> tuple[int, int, int, int]:
    """Ignore cropping that would leave nothing."""
    left, top, right, bottom = crop
    return crop if left + right < frame.width and top + bottom < frame.height else (0, 0, 0, 0)


def _selected(stream: VideoStream, whole: float | None, options: FilmOptions) -> tuple[float | None, int | None]:
    """Return seconds and estimated number of frames that are selected of `whole` seconds, each `None` if unknown."""
    start, end = options.start or 0.0, options.end
    if whole is None and end is None:
        return None, None
    length = max(0.0, min(limit for limit in (whole, end) if limit is not None) - start)
    rate = stream.average_rate or stream.guessed_rate
    count = round(length * float(rate)) if rate else None
    stated = stream.frames or _whole_number(stream.metadata.get("NUMBER_OF_FRAMES", ""))
    if stated and whole:
        count = round(stated * length / whole)
    return length, max(count, 1) if count is not None else None


def _ends(stream: VideoStream, time_base: Fraction) -> int | None:
    """Return the time stamp at which a stream ends: by its duration, or in Matroska by its tag."""
    if stream.duration:
        return (stream.start_time or 0) + stream.duration
    found = re.fullmatch(r"(\d{1,6}):(\d\d):(\d\d)(\.\d{1,9})?", stream.metadata.get("DURATION", ""))
    if found is None:
        return None
    hours, minutes, seconds, rest = found.groups()
    moment = int(hours) * 3600 + int(minutes) * 60 + int(seconds) + Fraction(rest or 0)
    return round(moment / time_base)


def _whole_number(text: str) -> int:
    """Return a number of frames in a tag, and 0 for what cannot be one."""
    return int(text) if re.fullmatch(r"\d{1,12}", text, re.ASCII) else 0


def _described(stream: Stream) -> StreamInfo:
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec=codec_of(stream),
        language=stream.metadata.get("language"),
        title=stream.metadata.get("title"),
        picture=is_picture(stream) and stream.type == "video",
        sample_rate=sample_rate_of(stream),
    )
