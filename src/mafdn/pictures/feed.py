"""Rows that are made one band after another, as an image that libvips can encode while they are made.

libvips pulls what it encodes, so the bands are shown to it as what it can pull: an uncompressed TIFF file whose strips
do not exist before they are read.

Public names: :class:`Feed`.
"""

import struct
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

STRIP = 2**20
"""Bytes in a strip, about; libvips reads one at a time."""
MOST_ROWS = 128
"""In a strip; libvips reads those with more row by row."""
ORDER, MARK = ("<", b"II") if sys.byteorder == "little" else (">", b"MM")
SHORT, LONG, LONG8 = 3, 4, 16
START = 16
"""Where the one directory of the file begins."""
ENTRY = 20


class Feed:
    """``bands`` of consecutive rows, (any, W, C) uint8 or uint16, as :attr:`image` of ``shape`` (H, W, C).

    The image can be read once, from the top. Where the bands end too early, so does the image, which is an error to
    whoever reads it.
    """

    def __init__(self, bands: Iterator[NDArray[Any]], shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self._bands, self._position = bands, 0
        self._head = _head(*shape, bits=dtype.itemsize * 8)
        self._piece, self._piece_at = memoryview(b""), len(self._head)
        self._source = pyvips.SourceCustom()
        self._source.on_read(self._read)
        self._source.on_seek(self._seek)
        self.image: pyvips.Image = pyvips.Image.tiffload_source(self._source, access="sequential", fail_on="error")

    def close(self) -> None:
        """Let go of bands and image: libvips's callbacks and this object hold each other, and with them all pixels."""
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
            if self._position < self._piece_at:  # rows that are gone
                return b""
            start = self._position - self._piece_at
            data = bytes(self._piece[start : start + length])
        self._position += len(data)
        return data

    def _seek(self, offset: int, whence: int) -> int:
        if whence == 2:  # where the end is nobody needs to know
            return -1
        self._position = offset if whence == 0 else self._position + offset
        return self._position


def _head(height: int, width: int, channels: int, *, bits: int) -> bytes:
    """Everything that comes before the pixels in a BigTIFF file without compression."""
    row = width * channels * bits // 8
    rows = max(1, min(MOST_ROWS, STRIP // row))
    starts = range(0, height, rows)
    tags = 10 + (channels in (2, 4))
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
        _entry(284, SHORT, 1),  # channels side by side
    ]
    if channels in (2, 4):
        entries.append(_entry(338, SHORT, 2))  # alpha, not premultiplied
    directory = struct.pack(f"{ORDER}Q", tags) + b"".join(entries) + struct.pack(f"{ORDER}Q", 0)
    arrays = struct.pack(f"{ORDER}{2 * len(starts)}Q", *offsets, *sizes)
    return MARK + struct.pack(f"{ORDER}HHHQ", 43, 8, 0, START) + directory + arrays


def _entry(tag: int, kind: int, *values: int) -> bytes:
    packed = struct.pack(f"{ORDER}{len(values)}{'H' if kind == SHORT else 'I'}", *values)
    return struct.pack(f"{ORDER}HHQ", tag, kind, len(values)) + packed.ljust(8, b"\0")


def _strips(tag: int, values: list[int], place: int) -> bytes:
    """An entry whose values stand at ``place``, or in the entry itself when there is one."""
    return struct.pack(f"{ORDER}HHQQ", tag, LONG8, len(values), values[0] if len(values) == 1 else place)
