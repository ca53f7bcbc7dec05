"""The segments of JPEG files, in which everything but the pixels is stored."""

from collections.abc import Iterator
from typing import BinaryIO

SCAN = 0xDA
"""Marker of the header that the compressed pixels follow."""
MOST_SEGMENTS = 10_000
"""Segments that are read of a file."""


def read_segments(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Read the segments of a JPEG file up to the compressed pixels, or to the first invalid one.

    Yields:
        The marker of each segment without 0xFF, and the length of its data, at which `file` then stands.
    """
    place = 2
    for _ in range(MOST_SEGMENTS):
        file.seek(place)
        start = file.read(4)
        if len(start) < 4 or start[0] != 0xFF or start[1] == SCAN:
            return
        if start[1] == 0xFF:  # padding
            place += 1
            continue
        length = max(int.from_bytes(start[2:]) - 2, 0)
        yield start[1], length
        place += 4 + length
