"""PBM, PGM and PPM files, plain and raw, which the libvips that pip brings cannot read.

Public names: :class:`Header`, :func:`read_header`, :func:`read_pixels`, :func:`has_further`,
:func:`start_of`.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mafdn.pictures.formats import damaged
from mafdn.pictures.spill import FileRows
from mafdn.pixels.rows import Rows

LONGEST_HEADER = 65_536
"""Comments may be of any length; no real header comes near this."""
TOKEN = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([0-9]+)")

FURTHER = re.compile(rb"\s*P[1-7]\s")


@dataclass(frozen=True, kw_only=True)
class Header:
    """The kind (1 to 6, as in ``P6``), the size in pixels, the value of white, and where the pixels start."""

    kind: int
    width: int
    height: int
    white: int
    start: int

    @property
    def channels(self) -> int:
        return 3 if self.kind in (3, 6) else 1

    @property
    def bits(self) -> int:
        """Of the pixels when read."""
        return 8 if self.white < 256 else 16


def read_header(path: Path) -> Header:
    """The header of a PNM file; raises :class:`DamagedError` when it is damaged."""
    with path.open("rb") as file:
        text = file.read(LONGEST_HEADER)
    kind, position = int(text[1:2]), 2
    numbers: list[int] = []
    for _ in range(2 if kind in (1, 4) else 3):
        found = TOKEN.match(text, position)
        if not found or len(found[1]) > 10:
            raise damaged(path, "its header has no size")
        numbers.append(int(found[1]))
        position = found.end()
    width, height, white = (*numbers, 1)[:3]
    if not (0 < width < 2**31 and 0 < height < 2**31 and 0 < white < 65_536):
        raise damaged(path, "its header makes no sense")
    return Header(kind=kind, width=width, height=height, white=white, start=position + 1)


def read_pixels(path: Path) -> Rows:
    """(H, W, 1 or 3) pixels, 8 bits or 16 over their full range; those that need no change stay in the file.

    Raises :class:`DamagedError` when they are not all there.
    """
    header = read_header(path)
    if header.kind in (5, 6) and header.white in (255, 65_535):
        shape = (header.height, header.width, header.channels)
        dtype = np.dtype(np.uint8 if header.white == 255 else ">u2")
        if path.stat().st_size < header.start + math.prod(shape) * dtype.itemsize:
            raise damaged(path, "it ends too early")
        return FileRows(path.open("rb"), shape, dtype, start=header.start)
    with path.open("rb") as file:
        file.seek(header.start - 1 if header.kind <= 3 else header.start)
        values = _values(file, header)
    if values is None:
        raise damaged(path, "it ends too early")
    if header.kind in (1, 4):  # 1 is black
        return ((1 - values) * 255).astype(np.uint8)
    if values.max() > header.white:
        raise damaged(path, "values above its own white")
    full = 255 if header.white < 256 else 65_535
    if header.white != full:
        values = (values.astype(np.uint32) * full + header.white // 2) // header.white
    return values.astype(np.uint8) if full == 255 else values.astype(np.uint16)


def has_further(path: Path, header: Header) -> bool:
    """Whether another picture follows the first in a raw PNM file, which may hold any number of them."""
    if header.kind <= 3:
        return False
    across = -(-header.width // 8) if header.kind == 4 else header.width * header.channels * header.bits // 8
    with path.open("rb") as file:
        file.seek(header.start + across * header.height)
        return FURTHER.match(file.read(LONGEST_HEADER)) is not None


def start_of(width: int, height: int, channels: int, *, deep: bool) -> bytes:
    """What comes before raw pixels of 1 or 3 channels and 8 or, high byte first, 16 bits: ``P5`` or ``P6``."""
    return b"P%d\n%d %d\n%d\n" % (6 if channels == 3 else 5, width, height, 65_535 if deep else 255)


def _values(file: BinaryIO, header: Header) -> NDArray[Any] | None:
    shape = (header.height, header.width, header.channels)
    count = header.height * header.width * header.channels
    if header.kind == 1:  # digits need no space between them
        digits = np.frombuffer(re.sub(rb"#[^\r\n]*|[^01]", b"", file.read()), np.uint8)[:count] - 48
        return None if len(digits) < count else digits.reshape(shape)
    if header.kind <= 3:
        numbers = re.sub(rb"#[^\r\n]*", b"", file.read()).split(maxsplit=count)[:count]
        if len(numbers) < count or not all(n.isdigit() and len(n) < 6 for n in numbers):
            return None
        return np.minimum(np.array(numbers).astype(np.uint32), 65_535).astype(np.uint16).reshape(shape)
    if header.kind == 4:
        rows = np.fromfile(file, np.uint8, header.height * -(-header.width // 8))
        if len(rows) < header.height * -(-header.width // 8):
            return None
        return np.unpackbits(rows.reshape(header.height, -1), axis=1)[:, : header.width, None]
    values = np.fromfile(file, ">u2" if header.white > 255 else np.uint8, count)
    return None if len(values) < count else values.reshape(shape)
