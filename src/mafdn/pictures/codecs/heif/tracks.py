"""The tracks of AVIF and HEIC files (ISO/IEC 14496-12): animations, which libvips does not read."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mafdn.pictures.codecs.heif.boxes import Box, boxes, read_top_box
from mafdn.pictures.sequences.sequence import MOST_PICTURES, Timing

PICTURES = b"pict"
"""The handler of a track of pictures; other tracks hold transparency, thumbnails or sound."""
ENTRY_HEADER = 78
"""Bytes of a description of pictures before its boxes."""
REPEATED = 1
"""Flag of an edit list that is played again until the duration of the track has passed."""
UNLIMITED = (2**32 - 1, 2**64 - 1)
"""Durations that stand for no end, in 4 and in 8 bytes."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """A track of pictures."""

    count: int
    """Number of frames."""
    coding: bytes
    """Kind of its streams: `av01` for AV1."""
    width: int
    """Columns of the frames before they are turned."""
    height: int
    """Rows of the frames before they are turned."""
    bits: int
    """Bits per channel if the streams are AV1."""
    turns: int
    """Quarter turns counterclockwise with which the frames are shown, 0 to 3."""
    mirrored: int | None
    """How they are mirrored after that: 0 upside down, 1 left to right; `None` if they are not."""
    cropped: bool
    """Whether only a part of the frames is shown."""
    timing: Timing | None
    """`None` if there are too many frames, or if it is damaged."""


def read_track(path: Path) -> Track | None:
    """The longest track of pictures; `None` if there is none or it is damaged."""
    with path.open("rb") as file:
        movie = read_top_box(file, b"moov")
    if movie is None:
        return None
    try:
        top = list(boxes(movie, 8))
        second = next((_scale(movie, box) for box in top if box.kind == b"mvhd"), 0)
        tracks = [_track(movie, box, second) for box in top if box.kind == b"trak"]
    except (struct.error, ValueError, IndexError):
        return None
    return max(filter(None, tracks), key=lambda track: track.count, default=None)


def _track(movie: bytes, trak: Box, second: int) -> Track | None:
    """The track in this box, `None` if it is not one of pictures; `second` is the movie's number of units in one."""
    parts = _inside(movie, trak)
    media = _inside(movie, parts.get(b"mdia"))
    handler, table = media.get(b"hdlr"), _inside(movie, _inside(movie, media.get(b"minf")).get(b"stbl"))
    if handler is None or movie[handler.content + 8 : handler.content + 12] != PICTURES:
        return None
    if b"stsz" not in table or b"stsd" not in table:
        return None
    count = struct.unpack_from(">I", movie, table[b"stsz"].content + 8)[0]
    entry = next(boxes(movie, table[b"stsd"].content + 8, table[b"stsd"].end), None)
    if entry is None:
        return None
    width, height = struct.unpack_from(">HH", movie, entry.content + 24)
    about = {box.kind: box for box in boxes(movie, entry.content + ENTRY_HEADER, entry.end)}
    config, turned, mirrored = (about.get(kind) for kind in (b"av1C", b"irot", b"imir"))
    depth = movie[config.content + 2] if config else 0
    return Track(
        count=count,
        coding=entry.kind,
        width=width,
        height=height,
        bits=(12 if depth & 0x20 else 10) if depth & 0x40 else 8,
        turns=movie[turned.content] & 3 if turned else 0,
        mirrored=movie[mirrored.content] & 1 if mirrored else None,
        cropped=b"clap" in about,
        timing=_timing(movie, parts, media, table, count=count, second=second),
    )


def _timing(
    movie: bytes,
    parts: Mapping[bytes, Box],
    media: Mapping[bytes, Box],
    table: Mapping[bytes, Box],
    *,
    count: int,
    second: int,
) -> Timing | None:
    """The timing of a track from its boxes."""
    if count > MOST_PICTURES or b"mdhd" not in media or b"stts" not in table:
        return None
    scale, place = _scale(movie, media[b"mdhd"]), table[b"stts"].content
    if scale == 0:
        return None
    durations: list[Fraction] = []
    for number in range(struct.unpack_from(">I", movie, place + 4)[0]):
        frames, ticks = struct.unpack_from(">II", movie, place + 8 + 8 * number)
        if place + 16 + 8 * number > table[b"stts"].end or len(durations) + frames > count:
            return None
        durations += [Fraction(ticks, scale)] * frames
    if len(durations) != count:
        return None
    return Timing(durations=tuple(durations), plays=_plays(movie, parts) if second else 0)


def _plays(movie: bytes, parts: Mapping[bytes, Box]) -> int:
    """How often a track is played, 0 for without end, as viewers play those without an edit list."""
    edits = _inside(movie, parts.get(b"edts")).get(b"elst")
    if edits is None or b"tkhd" not in parts:
        return 0
    if not movie[edits.content + 3] & REPEATED:
        return 1
    header = parts[b"tkhd"].content
    wide = movie[header] == 1
    whole = struct.unpack_from(">Q" if wide else ">I", movie, header + (28 if wide else 20))[0]
    once = struct.unpack_from(">Q" if movie[edits.content] == 1 else ">I", movie, edits.content + 8)[0]
    return 0 if whole == UNLIMITED[wide] or once == 0 else max(1, -(-whole // once))


def _scale(movie: bytes, header: Box) -> int:
    """Units in a second, from the header of the movie or of a track's media."""
    return struct.unpack_from(">I", movie, header.content + (20 if movie[header.content] == 1 else 12))[0]


def _inside(movie: bytes, box: Box | None) -> Mapping[bytes, Box]:
    """The boxes inside of another by kind; none if that is missing."""
    return {} if box is None else {inner.kind: inner for inner in boxes(movie, box.content, box.end)}
