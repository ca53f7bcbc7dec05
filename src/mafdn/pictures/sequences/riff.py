"""The chunks of WebP files: the timing of animations, and the parts of a picture."""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from mafdn.pictures.libvips import damaged
from mafdn.pictures.sequences.sequence import Timing

LOSSY, LOSSLESS, FRAME = b"VP8 ", b"VP8L", b"ANMF"
"""The chunks of pixels, and that of a frame of an animation, which contains one of them."""
FRAME_HEADER = 16
"""Bytes at the start of a frame (ANMF) before its chunks."""


@dataclass(frozen=True, kw_only=True)
class RiffChunk:
    """One chunk of a WebP file."""

    kind: bytes
    """Four letters."""
    start: int
    """Byte at which its data begins."""
    size: int
    """Bytes of data, without padding."""


def read_riff_chunks(file: BinaryIO) -> Iterator[RiffChunk]:
    """The chunks of a WebP file; raises `ValueError` if one reaches beyond the end of the file."""
    end = file.seek(0, os.SEEK_END)
    file.seek(4)
    place, stated = 12, 8 + int.from_bytes(file.read(4), "little")
    while place + 8 <= min(stated, end):
        file.seek(place)
        kind, size = struct.unpack("<4sI", file.read(8))
        if place + 8 + size > end:
            raise ValueError("it ends too early")
        yield RiffChunk(kind=kind, start=place + 8, size=size)
        place += 8 + size + size % 2
    if stated > end + 1:
        raise ValueError("it ends too early")


def find_vp8_frame(file: BinaryIO) -> int | None:
    """The byte at which the lossy picture or first frame of a WebP file begins; `None` if it is lossless or invalid."""
    with suppress(ValueError):
        for chunk in read_riff_chunks(file):
            parts = _frame_parts(file, chunk) if chunk.kind == FRAME else [(chunk.kind, chunk.start)]
            for kind, start in parts:
                if kind in (LOSSY, LOSSLESS):
                    return start if kind == LOSSY else None
    return None


def _frame_parts(file: BinaryIO, frame: RiffChunk) -> Iterator[tuple[bytes, int]]:
    """The kinds and places of the chunks of a frame: its transparency, if any, and its picture."""
    place, end = frame.start + FRAME_HEADER, frame.start + frame.size
    while place + 8 <= end:
        file.seek(place)
        kind, size = struct.unpack("<4sI", file.read(8))
        yield kind, place + 8
        place += 8 + size + size % 2


def read_webp_timing(path: Path) -> Timing:
    """The timing of a WebP animation, which libvips changes for frames of 10 ms or less.

    Raises:
        DamagedError: The file ends too early.
        OSError: The file cannot be read.
    """
    durations: list[Fraction] = []
    plays = 0
    with path.open("rb") as file:
        try:
            for chunk in read_riff_chunks(file):
                file.seek(chunk.start)
                if chunk.kind == b"ANIM":
                    plays = int.from_bytes(file.read(6)[4:], "little")
                elif chunk.kind == FRAME:
                    durations.append(Fraction(int.from_bytes(file.read(15)[12:], "little"), 1000))
        except ValueError as error:
            raise damaged(path, str(error)) from None
    return Timing(durations=tuple(durations), plays=plays)
