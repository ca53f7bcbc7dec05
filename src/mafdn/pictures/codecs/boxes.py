"""Boxes as in ISO base media files (ISO/IEC 14496-12): the containers of JPEG XL, JPEG 2000 and HEIF.

HEIF's boxes are read in memory, strictly, by `mafdn.pictures.codecs.heif.boxes`: a file is only changed if all of them
are intact.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MOST_BOXES = 100_000
"""Boxes that are read in one place."""


@dataclass(frozen=True)
class Box:
    """A box in a file: its kind, and where its content is."""

    kind: bytes
    start: int
    """Byte at which its content begins."""
    end: int
    """Byte after its content."""

    def read(self, file: BinaryIO, most: int | None = None) -> bytes:
        """Its content, at most `most` bytes of it."""
        file.seek(self.start)
        length = self.end - self.start
        return file.read(length if most is None else min(length, most))


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """The boxes between two bytes of a file, up to the first that is damaged; one that is cut off ends at `end`."""
    for _ in range(MOST_BOXES):
        if start + 8 > end:
            return
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            wide = file.read(8)
            if len(wide) < 8:
                return
            size, head = int.from_bytes(wide), 16
        if size == 0:
            size = end - start
        if size < head:
            return
        yield Box(kind, start + head, min(start + size, end))
        start += size


def box(kind: bytes, content: bytes) -> bytes:
    """A box with its header, as stored."""
    if len(content) + 8 < 2**32:
        return struct.pack(">I4s", len(content) + 8, kind) + content
    return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content
