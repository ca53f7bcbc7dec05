"""How many frames an AVIF or HEIC file has as an animation, which libvips does not report."""

import struct
from pathlib import Path

from mafdn.pictures.codecs.heif.boxes import boxes, read_top_box

PICTURES = b"pict"
"""The handler of a track of pictures; other tracks hold transparency, thumbnails or sound."""


def count_frames(path: Path) -> int:
    """The number of frames of the longest track of pictures; 1 if there is none or it is damaged."""
    with path.open("rb") as file:
        movie = read_top_box(file, b"moov")
    if movie is None:
        return 1
    try:
        return max([1, *(_frames(movie, box.content, box.end) for box in boxes(movie, 8) if box.kind == b"trak")])
    except (struct.error, ValueError):
        return 1


def _frames(movie: bytes, start: int, end: int) -> int:
    """The number of samples of a track, 0 if it is not one of pictures."""
    place = {box.kind: box for box in boxes(movie, start, end)}
    for kind in (b"mdia", b"minf", b"stbl", b"stsz"):
        if kind not in place:
            return 0
        box = place[kind]
        if kind == b"minf":
            handler = place.get(b"hdlr")
            if handler is None or movie[handler.content + 8 : handler.content + 12] != PICTURES:
                return 0
        if kind == b"stsz":
            return struct.unpack_from(">I", movie, box.content + 8)[0]
        place = {inner.kind: inner for inner in boxes(movie, box.content, box.end)}
    return 0
