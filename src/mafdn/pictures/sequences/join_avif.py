"""Joining AVIF files of one size to an animation, in which each frame is coded by itself.

libvips cannot write one. The result begins as the file of the first frame does: viewers without animation show that
frame, and the metadata belong to it. The tracks of colors and of transparency follow.
"""

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from mafdn.pictures.codecs.boxes import box
from mafdn.pictures.codecs.heif.boxes import boxes
from mafdn.pictures.codecs.heif.items import (
    ALPHA,
    Edits,
    alpha_item,
    edited,
    item_entries,
    locations,
    main_item,
    properties_of,
    shift_items,
    tree_of,
)
from mafdn.pictures.picture import Picture
from mafdn.pictures.sequences.sequence import Timing

BRANDS = b"avis" + bytes(4) + b"avisavifmsf1iso8mif1miaf"
LONGEST, MOST_UNITS = 2**32 - 1, 2**31
"""Longest duration of a frame, and most units of time in a second."""
MICROSECONDS = 1_000_000
"""Most units of time in a second if no number makes all durations whole."""
UNLIMITED = 2**64 - 1
"""Duration that stands for no end."""
COLORS = (b"colr", b"mdcv", b"clli")
"""Properties of a picture that hold for the track, too."""
METADATA = (b"Exif", b"mime")
"""Types of items with metadata; XMP is the second."""
DELIMITER = b"\x12\0"
"""The unit of a stream (OBU) that precedes a picture; tracks go without."""
MATRIX = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
"""The frames are shown as they are."""


@dataclass(kw_only=True)
class _Samples:
    """The streams of a track."""

    config: bytes
    """The first four bytes of the box `av1C`: how they are coded."""
    properties: bytes = b""
    """Boxes to describe them with."""
    places: list[int] = field(default_factory=list[int])
    sizes: list[int] = field(default_factory=list[int])


class AvifJoiner:
    """Writes an animation frame by frame; everything but pixels is that of the first frame.

    Args:
        file: The result.
        timing: Timing of the frames.

    Attributes:
        notes: What the format could not store, one sentence each.
    """

    def __init__(self, file: BinaryIO, timing: Timing) -> None:
        self._file, self._plays = file, timing.plays
        longest = max(timing.durations)
        self._second = math.lcm(*(duration.denominator for duration in timing.durations))
        if self._second > MOST_UNITS or longest * self._second > LONGEST:
            self._second = max(1, min(MICROSECONDS, int(LONGEST / longest)))
        self._durations, exact = timing.ticks(self._second, most=LONGEST)
        self.notes = () if exact else (f"AVIF stored durations in 1/{self._second:,} s: they were rounded",)
        self._width = self._height = 1
        self._tracks: list[_Samples] = []
        self._metadata = b""
        self._movie_at = self._room = self._streams_at = 0

    def add(self, part: Path, picture: Picture) -> None:  # noqa: ARG002
        """Append the next frame, an AVIF file that is as large as the first.

        Raises:
            ValueError: The file is not such as libvips writes.
            struct.error: It is incomplete.
        """
        content = part.read_bytes()
        streams = _streams(content)
        if not self._tracks:
            self._begin(content, streams)
            return
        if [samples.config for samples in streams] != [track.config for track in self._tracks]:
            raise ValueError("its frames are coded in different ways")
        for track, samples in zip(self._tracks, streams, strict=True):
            start, size = samples.places[0], samples.sizes[0]
            track.places.append(self._file.tell())
            track.sizes.append(size)
            self._file.write(content[start : start + size])

    def finish(self) -> None:
        """Write where everything is."""
        end = self._file.tell()
        self._file.seek(self._movie_at)
        movie = self._movie()
        rest = self._room - len(movie)
        self._file.write(movie + (box(b"free", bytes(rest - 8)) if rest else b""))
        self._file.seek(self._streams_at)
        self._file.write(struct.pack(">I4sQ", 1, b"mdat", end - self._streams_at))
        self._file.seek(end)
        self._file.flush()

    def _begin(self, content: bytes, tracks: list[_Samples]) -> None:
        """Write the first frame with room for what is known at the end."""
        top = list(boxes(content))
        if [place.kind for place in top[:2]] != [b"ftyp", b"meta"] or content[top[-1].start :][:4] == bytes(4):
            raise ValueError("its boxes are in another order")
        self._tracks = tracks
        tree = tree_of(content, top[1])
        extent = next(place for place in properties_of(content, tree) if place.kind == b"ispe")
        self._width, self._height = struct.unpack_from(">II", content, extent.content + 4)
        self._metadata = _metadata(content, 0)
        brands, size = box(b"ftyp", BRANDS), len(self._movie(len(self._durations)))
        growth = len(brands) - top[0].end + size
        edits: Edits = {(0, top[0].end): brands, (top[1].end, top[1].end): box(b"free", bytes(size - 8))}
        shift_items(content, tree[b"iloc"], top[1].end, growth, edits)
        self._metadata = _metadata(content, growth)
        for track in tracks:
            track.places[0] += growth
        self._file.write(edited(content, edits))
        self._movie_at = len(brands) + top[1].end - top[0].end
        self._streams_at = self._file.tell()
        self._room = size
        self._file.write(struct.pack(">I4sQ", 1, b"mdat", 16))

    def _movie(self, count: int | None = None) -> bytes:
        """The box with the tracks; for `count` frames at unknown places, to learn its size."""
        once = max(1, sum(self._durations))
        whole = once * self._plays if 0 < self._plays <= UNLIMITED // once - 1 else UNLIMITED
        header = struct.pack(">QQIQ", 0, 0, self._second, whole) + struct.pack(">IHHQ", 1 << 16, 1 << 8, 0, 0)
        parts = [_full(b"mvhd", header + MATRIX + bytes(24) + struct.pack(">I", len(self._tracks) + 1), version=1)]
        for number, track in enumerate(self._tracks, 1):
            size = struct.pack(">II", self._width << 16, self._height << 16)
            head = _full(
                b"tkhd", struct.pack(">QQIIQQQ", 0, 0, number, 0, whole, 0, 0) + MATRIX + size, version=1, flags=1
            )
            refers = b"" if number == 1 else box(b"tref", box(b"auxl", struct.pack(">I", 1)))
            edit = _full(b"elst", struct.pack(">IQqHH", 1, once, 0, 1, 0), version=1, flags=1)
            about = self._metadata if number == 1 else b""
            media = self._media(track, count, color=number == 1)
            parts.append(box(b"trak", head + refers + box(b"edts", edit) + about + media))
        return box(b"moov", b"".join(parts))

    def _media(self, track: _Samples, count: int | None, *, color: bool) -> bytes:
        length = struct.pack(">QQIQHH", 0, 0, self._second, sum(self._durations), 0x55C4, 0)  # of no language
        handler = bytes(4) + (b"pict" if color else b"auxv") + bytes(12) + b"\0"
        known = count is None
        places, sizes = (track.places, track.sizes) if known else ([0] * count, [0] * count)
        table = [
            _full(b"stsd", struct.pack(">I", 1) + self._description(track, color=color)),
            _full(b"stts", _runs(self._durations)),
            _full(b"stsc", struct.pack(">IIII", 1, 1, 1, 1)),
            _full(b"stsz", struct.pack(f">II{len(sizes)}I", 0, len(sizes), *sizes)),
            _offsets(places, wide=not known or places[-1] > LONGEST),
        ]
        here = _full(b"dref", struct.pack(">I", 1) + _full(b"url ", b"", flags=1))
        information = _full(b"vmhd", bytes(8), flags=1) + box(b"dinf", here) + box(b"stbl", b"".join(table))
        return box(
            b"mdia",
            _full(b"mdhd", length, version=1) + _full(b"hdlr", handler) + box(b"minf", information),
        )

    def _description(self, track: _Samples, *, color: bool) -> bytes:
        """How the streams of a track are coded: every frame by itself (`ccst`)."""
        resolution, depth = 72 << 16, 24
        fixed = struct.pack(">6xH16xHHIIIH", 1, self._width, self._height, resolution, resolution, 0, 1)
        about = box(b"av1C", track.config) + track.properties + _full(b"ccst", struct.pack(">I", 0xC000_0000))
        kind = b"" if color else _full(b"auxi", ALPHA)
        return box(b"av01", fixed + bytes(32) + struct.pack(">Hh", depth, -1) + about + kind)


def _metadata(content: bytes, growth: int) -> bytes:
    """The box of a track with the metadata of a file, whose data moved by `growth` bytes; empty if it has none."""
    meta = next(place for place in boxes(content) if place.kind == b"meta")
    tree = tree_of(content, meta)
    entries = {item: place for item, kind, place in item_entries(content, tree) if kind in METADATA}
    if not entries:
        return b""
    where = [found for found in locations(content, tree[b"iloc"]) if found.item in entries and found.in_file]
    places = b"".join(
        struct.pack(">HHHII", found.item, 0, 1, found.start + growth, found.lengths[0]) for found in where
    )
    about = b"".join(content[entries[found.item].start : entries[found.item].end] for found in where)
    items = _full(b"iloc", struct.pack(">BBH", 0x44, 0, len(where)) + places)
    handler = _full(b"hdlr", bytes(4) + b"pict" + bytes(13))
    return _full(b"meta", handler + items + _full(b"iinf", struct.pack(">H", len(where)) + about))


def _streams(content: bytes) -> list[_Samples]:
    """The streams of a picture as tracks of one sample: the colors, and transparency if present."""
    meta = next((place for place in boxes(content) if place.kind == b"meta"), None)
    if meta is None:
        raise ValueError("no meta box")
    tree = tree_of(content, meta)
    main, alpha = main_item(content, tree), alpha_item(content, tree)
    where = {found.item: found for found in locations(content, tree[b"iloc"]) if found.in_file}
    streams: list[_Samples] = []
    for item in [main] if alpha is None else [main, alpha]:
        about = list(properties_of(content, tree, item))
        config = next((place for place in about if place.kind == b"av1C"), None)
        if config is None or item not in where or len(where[item].extents) != 1:
            raise ValueError("a picture is not one stream of AV1")
        start, size = where[item].start, where[item].lengths[0]
        skipped = len(DELIMITER) if content[start:].startswith(DELIMITER) else 0
        samples = _Samples(config=content[config.content : config.content + 4])
        samples.properties = b"".join(content[place.start : place.end] for place in about if place.kind in COLORS)
        samples.places.append(start + skipped)
        samples.sizes.append(size - skipped)
        streams.append(samples)
    return streams


def _offsets(places: list[int], *, wide: bool) -> bytes:
    """The first bytes of the streams, as numbers of 8 bytes if `wide`, which not all decoders read."""
    numbers = struct.pack(f">I{len(places)}{'Q' if wide else 'I'}", len(places), *places)
    return _full(b"co64" if wide else b"stco", numbers)


def _full(kind: bytes, content: bytes, *, version: int = 0, flags: int = 0) -> bytes:
    """A box with version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags) + content)


def _runs(durations: tuple[int, ...]) -> bytes:
    """The durations as numbers of frames with the same."""
    runs: list[list[int]] = []
    for duration in durations:
        if runs and runs[-1][1] == duration:
            runs[-1][0] += 1
        else:
            runs.append([1, duration])
    return struct.pack(">I", len(runs)) + b"".join(struct.pack(">II", *run) for run in runs)
