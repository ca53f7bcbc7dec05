"""Animated PNG files: their frames, and the composition of each with those before it.

Every frame is decoded by libvips as a PNG file of its own, so that 16 bits stay 16 bits.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn.pictures.codecs.png_chunks import find_chunks
from mafdn.pictures.libvips import array_of, damaged
from mafdn.pictures.picture import PNG_SIGNATURE, PngChunk
from mafdn.pictures.sequences.sequence import Timing

CONTROL = struct.Struct(">IIIIIHHBB")
"""An fcTL chunk: sequence number, width, height, left, top, delay as a fraction, disposal, blending."""
DISPOSE_BACKGROUND, DISPOSE_PREVIOUS = 1, 2
"""What becomes of a frame's area afterwards: it is cleared, or gets back what was there before."""
BLEND_OVER = 1
"""The frame is laid over what is there before; otherwise it replaces that."""
NEEDED = (b"PLTE", b"tRNS")
"""Chunks that decoding needs, besides the header."""
Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ApngFrame:
    """A frame as stored: a rectangle of the picture, and what is done with it."""

    width: int
    height: int
    left: int
    top: int
    duration: Fraction
    """In seconds."""
    disposal: int
    blending: int
    parts: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """First byte and length of the pieces of its compressed pixels."""


@dataclass(frozen=True, kw_only=True)
class Apng:
    """An animated PNG file whose chunks have been found; no pixels have been read."""

    path: Path
    header: bytes
    """Data of the IHDR chunk."""
    width: int
    height: int
    chunks: tuple[PngChunk, ...]
    """Palette and transparent color."""
    frames: tuple[ApngFrame, ...]
    timing: Timing
    still_apart: bool
    """Whether the picture for viewers without animation is not one of the frames."""

    @cached_property
    def adds_alpha(self) -> bool:
        """Whether parts of a frame are clear although the pixels as stored are opaque."""
        first = self.frames[0]
        holes = not self._covers(first)
        cleared = [
            frame.disposal == DISPOSE_BACKGROUND or (frame.disposal == DISPOSE_PREVIOUS and number == 0)
            for number, frame in enumerate(self.frames)
        ]
        following = zip(cleared[:-1], self.frames[1:], strict=True)
        return holes or any(gone and not self._covers(after) for gone, after in following)

    def compose(self) -> Iterator[Array]:
        """Decode the frames in order and compose each with those before it.

        Yields:
            (H, W, C) uint8 or uint16: grey or RGB, with alpha if any frame needs it. The array is overwritten by the
            next one.

        Raises:
            DamagedError: A frame is damaged.
            pyvips.Error: From libvips.
        """
        canvas: Array | None = None
        with self.path.open("rb") as file:
            for number, frame in enumerate(self.frames):
                pixels = self._decoded(file, frame)
                if canvas is None:
                    canvas = np.zeros((self.height, self.width, pixels.shape[2]), pixels.dtype)
                area = canvas[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
                before = area.copy() if frame.disposal == DISPOSE_PREVIOUS and number > 0 else None
                area[:] = _over(pixels, area) if frame.blending == BLEND_OVER else pixels
                yield canvas
                if before is not None:
                    area[:] = before
                elif frame.disposal in (DISPOSE_BACKGROUND, DISPOSE_PREVIOUS):
                    area[:] = 0

    def _covers(self, frame: ApngFrame) -> bool:
        return (frame.width, frame.height) == (self.width, self.height)

    def _decoded(self, file: BinaryIO, frame: ApngFrame) -> Array:
        """The pixels of a frame, (h, w, C); with alpha if any frame needs it."""
        pieces = [_piece(file, start, length) for start, length in frame.parts]
        header = struct.pack(">II", frame.width, frame.height) + self.header[8:]
        chunks = [PngChunk(kind=b"IHDR", data=header), *self.chunks, PngChunk(kind=b"IDAT", data=b"".join(pieces))]
        encoded = PNG_SIGNATURE + b"".join(chunk.encoded() for chunk in [*chunks, PngChunk(kind=b"IEND", data=b"")])
        pixels: Array = array_of(pyvips.Image.pngload_buffer(encoded, fail_on="error"))
        if self.adds_alpha and pixels.shape[2] in (1, 3):
            pixels = np.concatenate([pixels, np.full_like(pixels[..., :1], np.iinfo(pixels.dtype).max)], axis=2)
        return pixels


def read_apng(path: Path) -> Apng:
    """Find the frames of an animated PNG file.

    Raises:
        DamagedError: Frames are missing, lie outside of the picture, or are out of order.
        OSError: The file cannot be read.
    """
    header, chunks, frames = b"", list[PngChunk](), list[ApngFrame]()
    stated, plays, expected, still_apart = 0, 0, 0, False
    with path.open("rb") as file:
        for kind, start, length in _chunks(file, path):
            if kind == b"IHDR":
                header = file.read(length)
            elif kind in NEEDED and not frames:
                chunks.append(PngChunk(kind=kind, data=file.read(length)))
            elif kind == b"acTL" and length == 8:
                stated, plays = struct.unpack(">II", file.read(8))
            elif kind == b"IDAT":
                still_apart = still_apart or not frames
                if not still_apart:
                    frames[0].parts.append((start, length))
            elif kind in (b"fcTL", b"fdAT") and length >= (CONTROL.size if kind == b"fcTL" else 4):
                if int.from_bytes(file.read(4)) != expected:
                    raise damaged(path, "its frames are out of order")
                expected += 1
                if kind == b"fcTL":
                    file.seek(start)
                    frames.append(_frame(path, header, CONTROL.unpack(file.read(CONTROL.size))))
                elif frames:
                    frames[-1].parts.append((start + 4, length - 4))
    if len(frames) != stated or not all(frame.parts for frame in frames):
        raise damaged(path, f"some of its {stated} frames are missing")
    width, height = struct.unpack_from(">II", header)
    return Apng(
        path=path,
        header=header,
        width=width,
        height=height,
        chunks=tuple(chunks),
        frames=tuple(frames),
        timing=Timing(durations=tuple(frame.duration for frame in frames), plays=plays),
        still_apart=still_apart,
    )


def _chunks(file: BinaryIO, path: Path) -> Iterator[tuple[bytes, int, int]]:
    """As `find_chunks`; raises `DamagedError` if the file ends before the picture does."""
    end, kind = file.seek(0, os.SEEK_END), b""
    for kind, start, length in find_chunks(file):
        if start + length + 4 > end:
            break
        yield kind, start, length
    else:
        if kind == b"IEND":
            return
    raise damaged(path, "it ends too early")


def _frame(path: Path, header: bytes, values: tuple[int, ...]) -> ApngFrame:
    _, width, height, left, top, delay, parts, disposal, blending = values
    whole = struct.unpack_from(">II", header)
    if not (0 < width <= whole[0] - left and 0 < height <= whole[1] - top and disposal <= 2 and blending <= 1):
        raise damaged(path, "one of its frames is invalid")
    duration = Fraction(delay, parts or 100)
    return ApngFrame(
        width=width, height=height, left=left, top=top, duration=duration, disposal=disposal, blending=blending
    )


def _piece(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _over(above: Array, below: Array) -> Array:
    """`above` laid over `below`, both (h, w, C) with alpha, not premultiplied, if C is even."""
    if above.shape[2] in (1, 3):
        return above
    full = float(np.iinfo(above.dtype).max)
    top, bottom = above[..., -1:] / full, below[..., -1:] / full
    share = bottom * (1 - top)
    total = top + share
    mixed = (above * top + below * share) / np.where(total > 0, total, 1)
    mixed[..., -1:] = total * full
    kept = np.where(top == 1, above, np.where(top == 0, below, np.rint(mixed).astype(above.dtype)))
    return kept.astype(above.dtype)
