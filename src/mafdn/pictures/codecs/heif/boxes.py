"""The boxes of AVIF and HEIC files (ISO/IEC 23008-12), in memory, and read strictly."""

import struct
from collections.abc import Generator
from dataclasses import dataclass
from typing import BinaryIO

LONGEST_BOX = 1 << 24
"""Most bytes of a box that describes pictures; the pixels are elsewhere."""
MOST_BOXES = 10_000
"""Boxes at the top of a file, or items, that are searched."""


@dataclass(frozen=True)
class Box:
    """A box in a buffer: where it begins, where its content does, and where it ends."""

    kind: bytes
    start: int
    content: int
    end: int


def boxes(content: bytes, start: int = 0, end: int | None = None) -> Generator[Box]:
    """The boxes in a part of a buffer; raises `ValueError` if one reaches beyond it."""
    end = len(content) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, start)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", content, start + 8)[0], 16
        size = size or end - start
        if size < head or start + size > end:
            raise ValueError("a box reaches beyond its place")
        yield Box(kind, start, start + head, start + size)
        start += size


def read_top_box(file: BinaryIO, kind: bytes) -> bytes | None:
    """The first box of this kind at the top of a file; `None` if there is none or it is too long."""
    found = _find_top_box(file, kind)
    if found is None:
        return None
    head, size = found
    return head + file.read(size - len(head)) if len(head) < size <= LONGEST_BOX else None


def has_top_box(file: BinaryIO, kind: bytes) -> bool:
    """Whether there is a box of this kind at the top of a file, however long."""
    return _find_top_box(file, kind) is not None


def _find_top_box(file: BinaryIO, kind: bytes) -> tuple[bytes, int] | None:
    """Read up to the content of the first box of this kind; returns its head, and its size with that."""
    for _ in range(MOST_BOXES):
        head = file.read(8)
        if len(head) < 8:
            return None
        size, found = struct.unpack(">I4s", head)
        if size == 1:
            head += file.read(8)
            size = int.from_bytes(head[8:]) if len(head) == 16 else 0
        if found == kind:
            return head, size
        if size < len(head):
            return None
        file.seek(size - len(head), 1)
    return None
