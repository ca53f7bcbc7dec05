"""JPEG files."""

import io
import struct
from pathlib import Path

import pyvips

from mafdn.pictures.codecs.base import DEFAULT_QUALITY, SaveOptions
from mafdn.pictures.codecs.tiff_directory import MP_ENTRIES, parse_directory
from mafdn.pictures.codecs.vips import VipsFile
from mafdn.pictures.libvips import file_name
from mafdn.pictures.picture import Format

MOST_SEGMENTS = 10_000
"""Segments that are searched for the index of several pictures."""
MULTI_PICTURE = b"MPF\0"
"""How the APP2 segment with the index of several pictures begins (CIPA DC-007)."""
THUMBNAIL_TYPES = (0x01_0001, 0x01_0002)
"""Types of pictures in the index that only repeat the first one at a smaller size."""


class JpegFile(VipsFile):
    """A JPEG file."""

    format = Format(
        name="JPEG",
        magic=(b"\xff\xd8\xff",),
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
        largest_side=65_535,
        alpha=False,
        metadata=frozenset({"ICC", "EXIF", "XMP", "IPTC"}),
        bits=(8,),
        lossless=False,
        lossy=True,
    )
    loader, loader_class = "jpegload_source", "VipsForeignLoadJpeg"

    def count_pictures(self, image: pyvips.Image) -> tuple[int, str]:
        # A gain map is listed as one more picture; it has a note of its own.
        return count_pictures(self.path) - bool(image.get_typeof("gainmap-data")), "pictures"

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        quality = DEFAULT_QUALITY if options.quality is None else options.quality
        image.jpegsave(file_name(path), Q=quality, subsample_mode="off", keep=options.keep)


def count_pictures(path: Path) -> int:
    """The number of pictures in a JPEG file, without thumbnails; cameras write several (MPO)."""
    with path.open("rb") as file:
        file.seek(2)
        for _ in range(MOST_SEGMENTS):
            start = file.read(4)
            if len(start) < 4 or start[0] != 0xFF or start[1] == 0xDA:
                break
            if start[1] == 0xFF:  # padding
                file.seek(-3, io.SEEK_CUR)
                continue
            length = int.from_bytes(start[2:]) - 2
            if start[1] == 0xE2 and file.read(4) == MULTI_PICTURE:
                return _count_listed(file.read(max(length - 4, 0)))
            file.seek(length - (4 if start[1] == 0xE2 else 0), io.SEEK_CUR)
    return 1


def _count_listed(index: bytes) -> int:
    """The number of pictures that an index lists; 1 if it is invalid."""
    try:
        directory = parse_directory(io.BytesIO(index))
        entries = list(struct.iter_unpack(f"{directory.order}4I", directory.texts.get(MP_ENTRIES, b"")))
    except (ValueError, struct.error):
        return 1
    return max(1, sum(kind & 0xFF_FFFF not in THUMBNAIL_TYPES for kind, *_ in entries))
