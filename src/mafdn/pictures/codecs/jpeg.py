"""JPEG files."""

import io
import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyvips

from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.codecs.base import DEFAULT_QUALITY, SaveOptions
from mafdn.pictures.codecs.foreign.jpeg_other import check_frame, decode_deep, read_frame
from mafdn.pictures.codecs.inserting import save_edited
from mafdn.pictures.codecs.jpeg_coding import JpegCoding, read_coding
from mafdn.pictures.codecs.jpeg_segments import read_segments
from mafdn.pictures.codecs.tiff.directory import MP_ENTRIES, parse_directory
from mafdn.pictures.codecs.vips import VipsFile
from mafdn.pictures.libvips import field_of, file_name
from mafdn.pictures.metadata import XMP, listed
from mafdn.pictures.picture import Picture

APP0, APP2 = 0xE0, 0xE2
"""Markers of segments of applications, of which there are 16."""
COMMENT, LONGEST_NAME = 0xFE, 40
"""Marker of comments, and bytes of an APPn segment in which its identifier is searched for."""
READ_ELSEWHERE = (
    b"Exif\0",
    b"http://ns.adobe.com/xap/1.0/\0",
    b"ICC_PROFILE\0",
    b"Photoshop 3.0\0",
    b"MPF\0",
    b"urn:iso:std:iso:ts:21496:-1\0",
    b"Adobe",
    b"Ducky",
)
"""How segments begin that are read otherwise or have notes of their own, or that only describe the encoding."""
LOST_SEGMENTS = {
    b"http://ns.adobe.com/xmp/extension/\0": "extended XMP",
    b"JP": "JUMBF",
    b"FPXR\0": "FlashPix",
}
"""How other segments begin, and their names."""
MULTI_PICTURE = b"MPF\0"
"""How the APP2 segment with the index of several pictures begins (CIPA DC-007)."""
GAIN_MAP_MARKS = (b"http://ns.adobe.com/hdr-gain-map/1.0/", b'Semantic="GainMap"', b"Semantic='GainMap'")
"""What XMP contains if a gain map follows the picture."""
VIDEO_MARK = re.compile(rb""":(?:MotionPhoto|MicroVideo)(?:\s*=\s*["']|>)1""")
"""What XMP contains if a video follows the picture."""
THUMBNAIL_TYPES = (0x01_0001, 0x01_0002)
"""Types of pictures in the index that only repeat the first one at a smaller size."""


class JpegFile(VipsFile):
    """A JPEG file."""

    format = FORMATS["JPEG"]
    loader = "jpegload_source"

    def _open(self) -> None:
        self.frame = read_frame(self.path)
        check_frame(self.path, self.frame)
        super()._open()
        if self._deep:
            self.bits = 16

    @property
    def coding(self) -> JpegCoding | None:
        with self.path.open("rb") as file:
            return read_coding(file)

    @property
    def _deep(self) -> bool:
        return self.frame is not None and self.frame.bits > 8

    def prepare_pixels(self, image: pyvips.Image) -> tuple[pyvips.Image, int | None]:
        if self.frame is None or not self._deep:
            return super().prepare_pixels(image)
        bits = self.frame.bits
        return decode_deep(self.path, image, self.frame), bits if bits < 16 else None

    def count_pictures(self, image: pyvips.Image) -> tuple[int, str]:
        # A gain map is listed as one more picture; it has a note of its own.
        return max(1, count_pictures(self.path) - self.has_gain_map(image)), "pictures"

    def has_gain_map(self, image: pyvips.Image) -> bool:
        packet = field_of(image, XMP, b"")
        return super().has_gain_map(image) or any(mark in packet for mark in GAIN_MAP_MARKS)

    def notes(self, image: pyvips.Image) -> list[str]:
        video = VIDEO_MARK.search(field_of(image, XMP, b""))
        return super().notes(image) + (["its video was left out"] if video else [])

    def complete(self, picture: Picture) -> Picture:
        comments, lost = read_comments(self.path)
        return replace(picture, comments=comments, lost_metadata=lost)

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        quality = DEFAULT_QUALITY if options.quality is None else options.quality
        settings: dict[str, Any] = {"Q": quality, "subsample_mode": "off", "keep": options.keep}
        if options.comments:
            save_edited(
                lambda target: image.jpegsave_target(target, **settings),
                path,
                lambda head: _with_comments(head, options.comments),
            )
        else:
            image.jpegsave(file_name(path), **settings)


def read_comments(path: Path) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """Read the comments, which libvips does not report, and find segments that are left out.

    Returns:
        The comments, and notes on what is left out.
    """
    comments, lost = list[bytes](), dict[str, None]()
    with path.open("rb") as file:
        for marker, length in read_segments(file):
            application = marker - APP0
            if marker == COMMENT:
                comments.append(file.read(length))
            begin = file.read(min(length, LONGEST_NAME)) if 0 < application < 16 else b""
            if 0 < application < 16 and not begin.startswith(READ_ELSEWHERE):
                names = [name for mark, name in LOST_SEGMENTS.items() if begin.startswith(mark)]
                lost[names[0] if names else f"APP{application}"] = None
    return tuple(comments), (f"its {listed(list(lost))} data were left out",) if lost else ()


def _with_comments(head: bytearray, comments: Sequence[bytes]) -> bytes | None:
    """The first bytes of a file with comments before its first segment other than APPn; `None` if it is not there."""
    place = 2
    while len(head) >= place + 4:
        if head[place + 1] & 0xF0 != 0xE0:
            segments = [b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment for comment in comments]
            return b"".join([head[:place], *segments, head[place:]])
        place += 2 + int.from_bytes(head[place + 2 : place + 4])
    return None


def count_pictures(path: Path) -> int:
    """The number of pictures in a JPEG file, without thumbnails; cameras write several (MPO)."""
    with path.open("rb") as file:
        for marker, length in read_segments(file):
            if marker == APP2 and file.read(4) == MULTI_PICTURE:
                return _count_listed(file.read(max(length - 4, 0)))
    return 1


def _count_listed(index: bytes) -> int:
    """The number of pictures that an index lists; 1 if it is invalid."""
    try:
        directory = parse_directory(io.BytesIO(index))
        entries = list(struct.iter_unpack(f"{directory.order}4I", directory.texts.get(MP_ENTRIES, b"")))
    except (ValueError, struct.error):
        return 1
    return max(1, sum(kind & 0xFF_FFFF not in THUMBNAIL_TYPES for kind, *_ in entries))
