"""A stream of bands as a libvips image, encoded while the bands are computed.

libvips pulls what it encodes, so the bands are presented as something that it can pull from: an uncompressed TIFF file
whose strips are generated when they are read.
"""

import struct
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

STRIP = 2**20
"""Target size of a strip in bytes; libvips reads one at a time."""
MOST_ROWS = 128
"""Most rows in a strip; libvips reads taller strips row by row."""
ORDER, MARK = ("<", b"II") if sys.byteorder == "little" else (">", b"MM")
"""Byte order of this machine, for `struct` and in TIFF."""
SHORT, LONG, LONG8 = 3, 4, 16
"""Entry types of TIFF: unsigned integers of 2, 4 and 8 bytes."""
START = 16
"""Byte at which the directory begins."""
ENTRY = 20
"""Bytes in an entry of the directory."""


class Feed:
    """An image made of bands that are computed while it is read, once, from the top.

    If the bands end too early, reading the image fails.

    Args:
        bands: Consecutive rows, (any, W, C) uint8, uint16 or float32.
        shape: (H, W, C) of the image.
        dtype: Type of the values.

    Attributes:
        image: The libvips image.
    """

    def __init__(self, bands: Iterator[NDArray[Any]], shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self._bands, self._position = bands, 0
        self._head = _head(*shape, dtype)
        self._piece, self._piece_at = memoryview(b""), len(self._head)
        self._source = pyvips.SourceCustom()
        self._source.on_read(self._read)
        self._source.on_seek(self._seek)
        self.image: pyvips.Image = pyvips.Image.tiffload_source(self._source, access="sequential", fail_on="error")

    def close(self) -> None:
        """Release bands and image; libvips's callbacks and this object refer to each other and keep pixels alive."""
        self._bands, self._piece = iter(()), memoryview(b"")
        del self._source, self.image

    def _read(self, length: int) -> bytes:
        if self._position < len(self._head):
            data = self._head[self._position : self._position + length]
        else:
            while self._position >= self._piece_at + len(self._piece):
                self._piece_at += len(self._piece)
                band = next(self._bands, None)
                if band is None:
                    return b""
                self._piece = np.ascontiguousarray(band).data.cast("B")
            if self._position < self._piece_at:  # rows that have been released
                return b""
            start = self._position - self._piece_at
            data = bytes(self._piece[start : start + length])
        self._position += len(data)
        return data

    def _seek(self, offset: int, whence: int) -> int:
        if whence == 2:  # seeking from the end is not needed
            return -1
        self._position = offset if whence == 0 else self._position + offset
        return self._position


def _head(height: int, width: int, channels: int, dtype: np.dtype[Any]) -> bytes:
    """All bytes before the pixels of an uncompressed BigTIFF file."""
    bits = dtype.itemsize * 8
    row = width * channels * bits // 8
    rows = max(1, min(MOST_ROWS, STRIP // row))
    starts = range(0, height, rows)
    tags = 11 + (channels in (2, 4))
    arrays_at = START + 8 + tags * ENTRY + 8
    pixels_at = arrays_at + 16 * len(starts)
    offsets = [pixels_at + start * row for start in starts]
    sizes = [min(rows, height - start) * row for start in starts]
    entries = [
        _entry(256, LONG, width),
        _entry(257, LONG, height),
        _entry(258, SHORT, *[bits] * channels),
        _entry(259, SHORT, 1),  # no compression
        _entry(262, SHORT, 1 if channels < 3 else 2),  # grey or RGB
        _strips(273, offsets, arrays_at),
        _entry(277, SHORT, channels),
        _entry(278, LONG, rows),
        _strips(279, sizes, arrays_at + 8 * len(starts)),
        _entry(284, SHORT, 1),  # channels interleaved
    ]
    if channels in (2, 4):
        entries.append(_entry(338, SHORT, 2))  # alpha, not premultiplied
    entries.append(_entry(339, SHORT, *[3 if dtype.kind == "f" else 1] * channels))
    directory = struct.pack(f"{ORDER}Q", tags) + b"".join(entries) + struct.pack(f"{ORDER}Q", 0)
    arrays = struct.pack(f"{ORDER}{2 * len(starts)}Q", *offsets, *sizes)
    return MARK + struct.pack(f"{ORDER}HHHQ", 43, 8, 0, START) + directory + arrays


def _entry(tag: int, kind: int, *values: int) -> bytes:
    packed = struct.pack(f"{ORDER}{len(values)}{'H' if kind == SHORT else 'I'}", *values)
    return struct.pack(f"{ORDER}HHQ", tag, kind, len(values)) + packed.ljust(8, b"\0")


def _strips(tag: int, values: list[int], place: int) -> bytes:
    """An entry whose values are stored at `place`; a single value is stored in the entry itself."""
    return struct.pack(f"{ORDER}HHQQ", tag, LONG8, len(values), values[0] if len(values) == 1 else place)
