"""Joining PNG files of one size to an animation."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from mafdn.pictures.codecs.png_chunks import find_chunks
from mafdn.pictures.picture import PNG_SIGNATURE, Picture, PngChunk
from mafdn.pictures.sequences.apng import CONTROL
from mafdn.pictures.sequences.sequence import Timing

LARGEST = 65_535
"""Largest numerator and denominator of a duration."""


class PngJoiner:
    """Writes an animation frame by frame; everything but pixels is that of the first frame.

    Args:
        file: The result.
        timing: Timing of the frames.

    Attributes:
        notes: What the format could not store, one sentence each.
    """

    def __init__(self, file: BinaryIO, timing: Timing) -> None:
        self._file, self._timing = file, timing
        self._durations = [_fraction(duration) for duration in timing.durations]
        exact = all(
            Fraction(*stored) == stated for stored, stated in zip(self._durations, timing.durations, strict=True)
        )
        self.notes = () if exact else ("PNG stores durations as fractions of 16 bits: they were rounded",)
        self._number = self._next = 0
        self._after: list[PngChunk] = []

    def add(self, part: Path, picture: Picture) -> None:  # noqa: ARG002
        """Append the next frame, a PNG file that is as large as the first."""
        first, begun = self._number == 0, False
        with part.open("rb") as file:
            header = next(_read_chunks(file))
            for chunk in _read_chunks(file):
                if chunk.kind == b"IDAT":
                    if not begun:
                        self._begin_frame(header)
                        begun = True
                    pixels = chunk if first else PngChunk(kind=b"fdAT", data=self._sequence() + chunk.data)
                    self._file.write(pixels.encoded())
                elif first and chunk.kind != b"IEND":
                    if begun:
                        self._after.append(chunk)
                    else:
                        self._file.write((PNG_SIGNATURE if chunk.kind == b"IHDR" else b"") + chunk.encoded())
        self._number += 1

    def finish(self) -> None:
        """Write what follows the last frame."""
        for chunk in [*self._after, PngChunk(kind=b"IEND", data=b"")]:
            self._file.write(chunk.encoded())

    def _begin_frame(self, header: PngChunk) -> None:
        """Write what precedes the pixels of a frame, which replaces what is there before."""
        if self._number == 0:
            data = struct.pack(">II", len(self._durations), self._timing.plays)
            self._file.write(PngChunk(kind=b"acTL", data=data).encoded())
        width, height = struct.unpack_from(">II", header.data)
        number = int.from_bytes(self._sequence())
        data = CONTROL.pack(number, width, height, 0, 0, *self._durations[self._number], 0, 0)
        self._file.write(PngChunk(kind=b"fcTL", data=data).encoded())

    def _sequence(self) -> bytes:
        self._next += 1
        return struct.pack(">I", self._next - 1)


def _read_chunks(file: BinaryIO) -> Iterator[PngChunk]:
    return (PngChunk(kind=kind, data=file.read(length)) for kind, _, length in find_chunks(file))


def _fraction(duration: Fraction) -> tuple[int, int]:
    """The duration as a fraction of two numbers of 16 bits, as near as possible."""
    near = min(duration, Fraction(LARGEST)).limit_denominator(LARGEST)
    below = LARGEST
    while near.numerator > LARGEST:
        below = min(below - 1, int(LARGEST / near))
        near = duration.limit_denominator(max(1, below))
    return near.numerator, near.denominator
