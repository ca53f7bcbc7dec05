"""What the first directory of a TIFF file says that libvips does not tell, or does not heed.

libvips reads tiles that are missing or damaged as black unless warnings are errors, and takes colors in spaces it does
not know for RGB.

Public names: :class:`Directory`, :func:`read_directory`, :func:`parse_directory`, :func:`check_directory`.
"""

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mafdn._support.atomic import shown
from mafdn.errors import PictureError
from mafdn.pictures.formats import damaged
from mafdn.pictures.metadata import TAGS

BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, EXTRA_SAMPLES, SUBSAMPLING = 258, 259, 262, 277, 338, 530
STRIP_OFFSETS, STRIP_BYTES, TILE_WIDTH, TILE_OFFSETS, TILE_BYTES = 273, 279, 322, 324, 325
EXIF, GPS = 34_665, 34_853
PIXELS = frozenset({BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, EXTRA_SAMPLES, SUBSAMPLING})
NUMBERS = PIXELS | {EXIF, GPS, STRIP_OFFSETS, STRIP_BYTES, TILE_WIDTH, TILE_OFFSETS, TILE_BYTES}
YCBCR, CIELAB, ICCLAB, ITULAB = 6, 8, 9, 10
TO_RGB = (6, 7, 33_003, 33_005)
"""The compressions (kinds of JPEG) whose decoders make RGB of YCbCr."""
MP_ENTRIES = 0xB002
"""The list of pictures in the directory that a JPEG of several pictures has."""
TEXTS = frozenset({MP_ENTRIES, *TAGS})
FURTHER = {EXIF: "EXIF", GPS: "GPS"}
"""The directories beside the first one that hold metadata."""
INTEGERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
"""The types of unsigned whole numbers."""
ASCII, UNDEFINED = 2, 7
MOST_ENTRIES, MOST_NUMBERS, LONGEST_TEXT = 4_096, 1 << 24, 1 << 13
"""Of a directory, as for libtiff, and of one entry: tiles of 16x16 pixels of the largest picture are 4 million."""
NONE = np.zeros(0, np.uint64)


@dataclass(frozen=True, kw_only=True)
class Directory:
    """The entries of a directory that are of use here, by tag; those that make no sense are left out."""

    numbers: Mapping[int, NDArray[np.uint64]]
    texts: Mapping[int, bytes]
    order: str
    """Of bytes, as :mod:`struct` calls it."""
    size: int
    """Of the file, in bytes."""

    @property
    def tiled(self) -> bool:
        return TILE_WIDTH in self.numbers

    @property
    def alpha(self) -> bool:
        """Whether the first sample beyond the colors is said to be alpha."""
        return self.first(EXTRA_SAMPLES) in (1, 2)

    @property
    def unknown_space(self) -> str | None:
        """The name of the color space where libvips would read it wrongly or not at all."""
        space = self.first(PHOTOMETRIC)
        if space == YCBCR and self.first(COMPRESSION) not in TO_RGB:
            whole = self.numbers.get(SUBSAMPLING, NONE).tolist() == [1, 1]
            return "YCbCr" if whole else None  # libtiff converts what is subsampled, which is so where nothing is said
        if space == CIELAB and (self.first(BITS), self.first(SAMPLES)) == (8, 3):
            return "8-bit CIELab"
        return {ICCLAB: "ICC Lab", ITULAB: "ITU Lab"}.get(space)

    @property
    def further(self) -> list[str]:
        """What metadata the file has in directories of their own."""
        return [name for tag, name in FURTHER.items() if self.first(tag) > 0]

    @property
    def absent(self) -> int:
        """How many tiles are left out of the file on purpose, as sparse files have it: they are black."""
        offsets, lengths = self._tiles()
        return int(np.count_nonzero((offsets == 0) & (lengths == 0)))

    @property
    def complete(self) -> bool:
        """Whether every tile that is stated lies inside the file."""
        offsets, lengths = self._tiles()
        inside = np.minimum(offsets, np.uint64(self.size))
        return bool(np.all((offsets == inside) & (lengths <= np.uint64(self.size) - inside)))

    def first(self, tag: int) -> int:
        """The first number of an entry, or -1."""
        return next(iter(self.numbers.get(tag, NONE).tolist()), -1)

    def _tiles(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        # libtiff takes strips' tags for tiles' too
        offsets = self.numbers.get(TILE_OFFSETS, self.numbers.get(STRIP_OFFSETS, NONE))
        lengths = self.numbers.get(TILE_BYTES, self.numbers.get(STRIP_BYTES, NONE))
        both = min(len(offsets), len(lengths))
        return offsets[:both], lengths[:both]


def read_directory(path: Path) -> Directory:
    """The first directory of a TIFF or BigTIFF file; raises :class:`DamagedError` when there is none."""
    with path.open("rb") as file:
        try:
            return parse_directory(file)
        except ValueError as error:
            raise damaged(path, str(error)) from None


def parse_directory(file: BinaryIO) -> Directory:
    """The first directory of what is in ``file``; raises :class:`ValueError` with the reason when there is none."""
    size = file.seek(0, os.SEEK_END)
    order = "<" if _part(file, 0, 2) == b"II" else ">"
    big = struct.unpack(f"{order}H", _part(file, 2, 2)) == (43,)
    place = struct.unpack(f"{order}{'Q' if big else 'I'}", _part(file, 8 if big else 4, 8 if big else 4))[0]
    counted, entry = (8, 20) if big else (2, 12)
    count = struct.unpack(f"{order}{'Q' if big else 'H'}", _part(file, place, counted))[0]
    if not 0 < count <= MOST_ENTRIES:
        raise ValueError("its first directory makes no sense")
    table = _part(file, place + counted, count * entry)
    numbers: dict[int, NDArray[np.uint64]] = {}
    texts: dict[int, bytes] = {}
    for number in range(count):
        tag, kind, length = struct.unpack_from(f"{order}HH{'Q' if big else 'I'}", table, number * entry)
        inline = table[number * entry + (12 if big else 8) : (number + 1) * entry]
        if tag in NUMBERS and tag not in numbers and kind in INTEGERS:
            if length > MOST_NUMBERS:
                raise ValueError("its first directory makes no sense")
            dtype = np.dtype(order + INTEGERS[kind])
            data = _value(file, inline, length * dtype.itemsize, order)
            if data is not None:
                numbers[tag] = np.frombuffer(data, dtype).astype(np.uint64)
        elif tag in TEXTS and tag not in texts and kind in (ASCII, UNDEFINED) and length <= LONGEST_TEXT:
            data = _value(file, inline, length, order)
            if data is not None:
                texts[tag] = data
    return Directory(numbers=numbers, texts=texts, order=order, size=size)


def check_directory(path: Path, directory: Directory) -> None:
    """Raise :class:`PictureError` for a color space that is not read, its child for tiles that are not in the file."""
    if directory.unknown_space:
        raise PictureError(f"{shown(path)} is a TIFF in {directory.unknown_space}; convert it to RGB first")
    if directory.tiled and not directory.complete:
        raise damaged(path, "not all of its tiles are there")


def _value(file: BinaryIO, inline: bytes, length: int, order: str) -> bytes | None:
    """The bytes of an entry, in itself or elsewhere; ``None`` when they are not all in the file."""
    if length <= len(inline):
        return inline[:length]
    place = struct.unpack(f"{order}{'Q' if len(inline) == 8 else 'I'}", inline)[0]
    try:
        return _part(file, place, length)
    except ValueError:
        return None


def _part(file: BinaryIO, place: int, length: int) -> bytes:
    if place + length <= file.seek(0, os.SEEK_END):
        file.seek(place)
        return file.read(length)
    raise ValueError("it ends before its first directory does")
