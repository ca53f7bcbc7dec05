"""The first directory of a TIFF file, parsed for what libvips does not report or check.

libvips decodes tiles that are missing or damaged as black unless warnings are errors, and takes color spaces that it
does not know for RGB.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.codecs.tiff.entries import (
    ASCII,
    UNDEFINED,
    next_pointer_place,
    read_layout,
    read_pointer,
    read_table,
    read_values,
)
from mafdn.pictures.libvips import damaged

# Tags.
SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, ORIENTATION, RESOLUTION_UNIT, PAGE_NUMBER = 254, 255, 256, 257, 274, 296, 297
BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, EXTRA_SAMPLES, SUBSAMPLING = 258, 259, 262, 277, 338, 530
PLANAR, SAMPLE_FORMAT = 284, 339
STRIP_OFFSETS, STRIP_BYTES, TILE_WIDTH, TILE_OFFSETS, TILE_BYTES = 273, 279, 322, 324, 325
JPEG_TABLES = 347
"""Tables that all strips or tiles coded as JPEG share: a JPEG file without a picture."""
MP_ENTRIES = 0xB002
"""The list of pictures, in the directory that a JPEG file of several pictures has."""
PIXEL_TAGS = frozenset({BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, EXTRA_SAMPLES, SUBSAMPLING, PLANAR, SAMPLE_FORMAT})
PAGE_TAGS = frozenset({SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, ORIENTATION, RESOLUTION_UNIT, PAGE_NUMBER})
LIST_TAGS = frozenset({STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES})
"""Entries with a number for each strip or tile."""
NUMBER_TAGS = PIXEL_TAGS | PAGE_TAGS | LIST_TAGS | {TILE_WIDTH}
BYTE_TAGS = frozenset({MP_ENTRIES, JPEG_TABLES})

# Values.
WHITE_IS_ZERO, PREMULTIPLIED, SEPARATE, FLOAT = 0, 1, 2, 3
"""Of PhotometricInterpretation, ExtraSamples, PlanarConfiguration and SampleFormat."""
NO_UNIT, RGB = 1, 2
"""Of ResolutionUnit, where the resolution only states the shape of a pixel, and of PhotometricInterpretation."""
OLD_REDUCED = 2
"""A smaller copy of another picture (SubfileType)."""
SEPARATED, YCBCR, CIELAB, ICCLAB, ITULAB = 5, 6, 8, 9, 10
"""Color spaces (PhotometricInterpretation)."""
JPEG_COMPRESSIONS = (7, 34_892)
"""Compressions whose strips and tiles are JPEG files."""
DECODED_TO_RGB = (6, 7, 33_003, 33_005)
"""Compressions (kinds of JPEG) whose decoders convert YCbCr to RGB."""
READ_BY_LIBVIPS = (1, 2, 3, 4, 5, 6, 7, 8, 32_766, 32_771, 32_773, 32_809, 32_909, 32_946, 34_676, 34_677, 50_001)
"""Compressions that the libvips that pip installs decodes."""
OTHER_COMPRESSIONS = {
    22_610: "JPEG XR",
    33_003: "JPEG 2000",
    33_004: "JPEG 2000",
    33_005: "JPEG 2000",
    34_661: "JBIG",
    34_712: "JPEG 2000",
    34_713: "Nikon NEF",
    34_887: "LERC",
    34_892: "lossy JPEG",
    34_925: "LZMA",
    34_933: "PNG",
    34_934: "JPEG XR",
    50_000: "Zstandard",
    50_002: "JPEG XL",
    52_546: "JPEG XL",
}
"""Names of others."""
INTEGERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
"""Entry types of unsigned integers, as NumPy types."""

# Limits.
MOST_NUMBERS = 1 << 24
"""Numbers in an entry; the largest picture has 4 million tiles of 16x16 pixels."""
MOST_FEW = 16
"""Numbers that are kept of an entry other than `LIST_TAGS`."""
LONGEST_TEXT = 1 << 13
"""Bytes in an entry."""
NONE = np.zeros(0, np.uint64)


@dataclass(frozen=True, kw_only=True)
class Directory:
    """Entries of a directory by tag; invalid ones are left out."""

    numbers: Mapping[int, NDArray[np.uint64]]
    """Entries of unsigned integers."""
    texts: Mapping[int, bytes]
    """Entries of bytes."""
    places: Mapping[int, int]
    """Where in the file the values of `numbers` are."""
    order: str
    """Byte order as in `struct`: `<` or `>`."""
    size: int
    """Size of the file in bytes."""
    place: int
    """Byte at which the directory begins."""
    next_place: int
    """Byte at which the next directory begins; 0 if this is the last one."""

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height after the orientation is applied."""
        width, height = self.first(WIDTH), self.first(HEIGHT)
        return (height, width) if self.first(ORIENTATION) in (5, 6, 7, 8) else (width, height)

    @property
    def subfile_kind(self) -> int:
        """The bits of NewSubfileType, or the older SubfileType converted to them."""
        return max(0, self.first(SUBFILE)) if SUBFILE in self.numbers else int(self.first(OLD_SUBFILE) == OLD_REDUCED)

    @property
    def tiled(self) -> bool:
        """Whether the pixels are stored in tiles, not strips."""
        return TILE_WIDTH in self.numbers

    @property
    def extra_is_alpha(self) -> bool:
        """Whether the first sample beyond the colors is declared as alpha."""
        return self.first(EXTRA_SAMPLES) in (1, 2)

    @property
    def shape_only(self) -> bool:
        """Whether the print resolution is only the ratio of a pixel's sides."""
        return self.first(RESOLUTION_UNIT) == NO_UNIT

    @property
    def floating(self) -> bool:
        """Whether the samples are floating-point numbers."""
        return self.first(SAMPLE_FORMAT) == FLOAT

    @property
    def needs_tifffile(self) -> str | None:
        """What libvips cannot read of the pixels, or reads wrongly; `None` if there is nothing."""
        bits, separate = self.first(BITS), self.first(PLANAR) == SEPARATE and self.first(SAMPLES) > 1
        if self.floating and bits in (24, 64):
            return f"floating-point numbers of {bits} bits"
        if self.floating and bits == 16 and separate:
            return "floating-point numbers of 16 bits in separate planes"
        if separate and self.tiled:
            return "tiles in separate planes"
        compression = self.first(COMPRESSION)
        if compression in OTHER_COMPRESSIONS:
            return f"{OTHER_COMPRESSIONS[compression]} compression"
        if compression > 0 and compression not in READ_BY_LIBVIPS:
            return f"compression {compression}"
        return f"{bits} bits per channel" if not self.floating and 8 < bits < 16 else None

    @property
    def unknown_space(self) -> str | None:
        """Name of the color space if libvips decodes it wrongly or not at all, else `None`."""
        space = self.first(PHOTOMETRIC)
        if space == YCBCR and self.first(COMPRESSION) not in DECODED_TO_RGB:
            full = self.numbers.get(SUBSAMPLING, NONE).tolist() == [1, 1]
            return "YCbCr" if full else None  # libtiff converts subsampled pixels; subsampling is the default
        if space == CIELAB and self.first(BITS) == 8:
            return "8-bit CIELab"
        if space in (SEPARATED, CIELAB) and self.first(BITS) > 8 and self.first(EXTRA_SAMPLES) == PREMULTIPLIED:
            return f"premultiplied {'CMYK' if space == SEPARATED else 'CIELab'} of more than 8 bits"
        return {ICCLAB: "ICC Lab", ITULAB: "ITU Lab"}.get(space)

    @property
    def absent_tiles(self) -> int:
        """Number of tiles that a sparse file leaves out on purpose; they are black."""
        offsets, lengths = self._tiles()
        return int(np.count_nonzero((offsets == 0) & (lengths == 0)))

    @property
    def complete(self) -> bool:
        """Whether every listed tile lies inside the file."""
        offsets, lengths = self._tiles()
        inside = np.minimum(offsets, np.uint64(self.size))
        return bool(np.all((offsets == inside) & (lengths <= np.uint64(self.size) - inside)))

    def first(self, tag: int) -> int:
        """The first number of an entry, or -1 if there is none."""
        return next(iter(self.numbers.get(tag, NONE).tolist()), -1)

    @property
    def first_tile(self) -> tuple[int, int]:
        """Place and length in bytes of the first strip or tile that the file has; (0, 0) if there is none."""
        offsets, lengths = self._tiles()
        there = np.flatnonzero(lengths)
        return (int(offsets[there[0]]), int(lengths[there[0]])) if len(there) else (0, 0)

    def _tiles(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        # libtiff accepts the tags of strips for tiles too
        offsets = self.numbers.get(TILE_OFFSETS, self.numbers.get(STRIP_OFFSETS, NONE))
        lengths = self.numbers.get(TILE_BYTES, self.numbers.get(STRIP_BYTES, NONE))
        both = min(len(offsets), len(lengths))
        return offsets[:both], lengths[:both]


def read_directory(path: Path, *, place: int | None = None) -> Directory:
    """Parse a directory of a TIFF or BigTIFF file, by default the first; raises `DamagedError` if it is invalid."""
    with path.open("rb") as file:
        try:
            return parse_directory(file, place=place)
        except ValueError as error:
            raise damaged(path, str(error)) from None


def parse_directory(
    file: BinaryIO, *, place: int | None = None, tags: frozenset[int] = NUMBER_TAGS | BYTE_TAGS
) -> Directory:
    """Parse the directory at byte `place` of `file`, by default the first one, for the entries `tags`.

    Raises:
        ValueError: With the reason if it is invalid.
    """
    layout = read_layout(file)
    place = read_pointer(file, layout, layout.pointer_place) if place is None else place
    numbers: dict[int, NDArray[np.uint64]] = {}
    texts: dict[int, bytes] = {}
    places: dict[int, int] = {}
    for raw in read_table(file, layout, place):
        if raw.tag not in tags or raw.tag in numbers or raw.tag in texts:
            continue
        if raw.tag in NUMBER_TAGS and raw.kind in INTEGERS:
            if raw.count > MOST_NUMBERS:
                raise ValueError("one of its directories is invalid")
            used = raw if raw.tag in LIST_TAGS else replace(raw, count=min(raw.count, MOST_FEW))
            dtype = np.dtype(layout.order + INTEGERS[raw.kind])
            with suppress(ValueError):  # its values reach beyond the file
                data = read_values(file, layout, used)
                numbers[raw.tag] = np.frombuffer(data, dtype).astype(np.uint64)
                places[raw.tag] = raw.values_at(layout)
        elif raw.tag in BYTE_TAGS and raw.kind in (ASCII, UNDEFINED) and raw.count <= LONGEST_TEXT:
            with suppress(ValueError):
                texts[raw.tag] = read_values(file, layout, raw)
    file.seek(next_pointer_place(file, layout, place))
    following = file.read(layout.inline)  # cut off, it ends the chain as 0 does
    return Directory(
        numbers=numbers,
        texts=texts,
        places=places,
        order=layout.order,
        size=file.seek(0, os.SEEK_END),
        place=place,
        next_place=int.from_bytes(following, "little" if layout.order == "<" else "big"),
    )


def check_directory(path: Path, directory: Directory) -> None:
    """Raise `PictureError` for an unsupported color space and `DamagedError` for tiles outside the file."""
    if directory.unknown_space:
        raise PictureError(f"{printable(path)} is a TIFF in {directory.unknown_space}; convert it to RGB first")
    if (directory.tiled or directory.needs_tifffile) and not directory.complete:
        raise damaged(path, f"some of its {'tiles' if directory.tiled else 'strips'} are missing")
