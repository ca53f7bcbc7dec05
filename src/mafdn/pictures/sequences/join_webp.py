"""Joining WebP files of one size to an animation.

libvips could write one, but changes durations of 10 ms or less and joins frames that are alike.
"""

import struct
from pathlib import Path
from typing import BinaryIO

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.picture import Picture
from mafdn.pictures.sequences.riff import read_riff_chunks
from mafdn.pictures.sequences.sequence import Timing

PIXELS, BLOCKS = (b"ALPH", b"VP8 ", b"VP8L"), {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}
"""Chunks with pixels; chunks of metadata, and the flags that announce them."""
ANIMATED, TRANSPARENT = 0x02, 0x10
REPLACE = 0x02
"""Flag of a frame that is not laid over what is there before."""
LONGEST = 2**24 - 1
"""Longest duration of a frame in milliseconds."""
LARGEST = 2**32 - 2
"""Most bytes of a file, whose head states them in 32 bits."""
HEAD = 30
"""Bytes before the first chunk that follows the one of flags."""


class WebpJoiner:
    """Writes an animation frame by frame; everything but pixels is that of the first frame.

    Args:
        file: The result.
        timing: Timing of the frames.
        report_as: The name to use in errors.

    Attributes:
        notes: What the format could not store, one sentence each.
    """

    def __init__(self, file: BinaryIO, timing: Timing, report_as: Path) -> None:
        self._file, self._timing, self._report_as = file, timing, report_as
        self._durations, exact = timing.ticks(1000, most=LONGEST)
        self.notes = () if exact else ("WebP stores durations in milliseconds: they were rounded",)
        self._number = self._flags = 0
        self._size = (1, 1)
        self._after: list[bytes] = []

    def add(self, part: Path, picture: Picture) -> None:
        """Append the next frame, a WebP file that is as large as the first.

        Raises:
            PictureError: The animation becomes too large for the format.
        """
        pixels: list[bytes] = []
        with part.open("rb") as file:
            for chunk in read_riff_chunks(file):
                file.seek(chunk.start)
                if chunk.kind in PIXELS:
                    pixels.append(_chunk(chunk.kind, file.read(chunk.size)))
                elif chunk.kind in BLOCKS and self._number == 0:
                    self._flags |= BLOCKS[chunk.kind]
                    self._after.append(_chunk(chunk.kind, file.read(chunk.size)))
        if self._number == 0:
            self._begin()
        if picture.transparent:
            self._flags |= TRANSPARENT
        width, height = self._size = _size_of(pixels)
        duration = self._durations[self._number]
        head = bytes(6) + _number(width - 1) + _number(height - 1) + _number(duration) + bytes([REPLACE])
        frame = _chunk(b"ANMF", head + b"".join(pixels))
        if self._file.tell() + len(frame) + sum(map(len, self._after)) > LARGEST:
            raise PictureError(
                f"cannot write {printable(self._report_as)}: an animated WebP holds at most 4 GiB; "
                "choose the format png or avif",
                setting="format",
            )
        self._file.write(frame)
        self._number += 1

    def finish(self) -> None:
        """Write what follows the last frame, and the head of the file."""
        self._file.write(b"".join(self._after))
        end = self._file.tell()
        canvas = bytes([self._flags | ANIMATED, 0, 0, 0]) + _number(self._size[0] - 1) + _number(self._size[1] - 1)
        self._file.seek(0)
        self._file.write(b"RIFF" + struct.pack("<I", end - 8) + b"WEBP" + _chunk(b"VP8X", canvas))
        self._file.seek(end)

    def _begin(self) -> None:
        self._file.write(bytes(HEAD))
        if self._after and self._after[0].startswith(b"ICCP"):
            self._file.write(self._after.pop(0))
        plays = min(self._timing.plays, 65_535)
        self._file.write(_chunk(b"ANIM", struct.pack("<IH", 0, plays)))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _number(value: int) -> bytes:
    """A number of 24 bits."""
    return value.to_bytes(3, "little")


def _size_of(pixels: list[bytes]) -> tuple[int, int]:
    """Width and height as the encoded pixels state them."""
    last = pixels[-1]
    if last.startswith(b"VP8L"):
        bits = int.from_bytes(last[9:13], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", last, 14)
    return width & 0x3FFF, height & 0x3FFF
