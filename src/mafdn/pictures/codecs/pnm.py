"""PBM, PGM and PPM files, plain and raw, which the libvips that pip installs cannot read."""

import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.codecs.base import PictureFile, SaveOptions
from mafdn.pictures.libvips import damaged
from mafdn.pictures.limits import Limits
from mafdn.pictures.picture import Picture
from mafdn.pictures.spill import FileRows
from mafdn.pixels.rows import Rows

LONGEST_HEADER = 65_536
"""Bytes that are searched for a header; comments may be of any length, but no real header comes near this."""
NUMBER = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([0-9]+)")
"""A number in the header, with the space and comments before it."""
NEXT_PICTURE = re.compile(rb"\s*P[1-7]\s")
PLAIN_KINDS, BIT_KINDS, COLOR_KINDS = (1, 2, 3), (1, 4), (3, 6)


class PnmFile(PictureFile):
    """A PBM, PGM or PPM file."""

    format = FORMATS["PPM"]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header = read_pnm_header(path)
        self.width, self.height = self.header.width, self.header.height
        self.channels, self.bits = self.header.channels, self.header.bits

    def decode(self, limits: Limits, *, spill_folder: Path | None) -> Picture:  # noqa: ARG002
        notes = ["1 bit per channel became 8"] if self.header.kind in BIT_KINDS else []
        if _holds_several(self.path, self.header):
            notes.append("only the first of several pictures was read")
        return Picture(planes=_read_pixels(self.path, self.header), format=self.format, notes=tuple(notes))

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:  # noqa: ARG004
        deep = image.format == "ushort"
        with path.open("wb") as file:
            file.write(pnm_header(image.width, image.height, image.bands, deep=deep))
            file.flush()
            swapped = image.byteswap() if deep and sys.byteorder == "little" else image
            swapped.rawsave_target(pyvips.Target.new_to_descriptor(file.fileno()))


@dataclass(frozen=True, kw_only=True)
class PnmHeader:
    """The header of a PNM file."""

    kind: int
    """1 to 6, as in `P6`."""
    width: int
    height: int
    white: int
    """The value of white, 1 to 65,535."""
    start: int
    """Byte at which raw pixels start."""

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return 3 if self.kind in COLOR_KINDS else 1

    @property
    def bits(self) -> int:
        """Bits per channel of the decoded pixels."""
        return 8 if self.white < 256 else 16


def read_pnm_header(path: Path) -> PnmHeader:
    """Read the header of a PNM file; raises `DamagedError` if it is invalid."""
    with path.open("rb") as file:
        text = file.read(LONGEST_HEADER)
    kind, position = int(text[1:2]), 2
    numbers: list[int] = []
    for _ in range(2 if kind in BIT_KINDS else 3):
        found = NUMBER.match(text, position)
        if not found or len(found[1]) > 10:
            raise damaged(path, "its header has no size")
        numbers.append(int(found[1]))
        position = found.end()
    width, height, white = (*numbers, 1)[:3]
    if not (0 < width < 2**31 and 0 < height < 2**31 and 0 < white < 65_536):
        raise damaged(path, "its header is invalid")
    return PnmHeader(kind=kind, width=width, height=height, white=white, start=position + 1)


def pnm_header(width: int, height: int, channels: int, *, deep: bool) -> bytes:
    """The header for raw pixels of 1 or 3 channels: 8 bits, or 16 bits in big-endian order if `deep`."""
    return b"P%d\n%d %d\n%d\n" % (6 if channels == 3 else 5, width, height, 65_535 if deep else 255)


def _read_pixels(path: Path, header: PnmHeader) -> Rows:
    """(H, W, 1 or 3) pixels of 8 or 16 bits over the full range; unchanged ones stay in the file.

    Raises `DamagedError` if they are incomplete.
    """
    if header.kind in (5, 6) and header.white in (255, 65_535):
        shape = (header.height, header.width, header.channels)
        dtype = np.dtype(np.uint8 if header.white == 255 else ">u2")
        if path.stat().st_size < header.start + math.prod(shape) * dtype.itemsize:
            raise damaged(path, "it ends too early")
        return FileRows(path.open("rb"), shape, dtype, start=header.start)
    with path.open("rb") as file:
        file.seek(header.start - 1 if header.kind in PLAIN_KINDS else header.start)
        values = _read_values(file, header)
    if values is None:
        raise damaged(path, "it ends too early")
    if header.kind in BIT_KINDS:  # 1 is black
        return ((1 - values) * 255).astype(np.uint8)
    if values.max() > header.white:
        raise damaged(path, "values above its own white")
    full = 255 if header.white < 256 else 65_535
    if header.white != full:
        values = (values.astype(np.uint32) * full + header.white // 2) // header.white
    return values.astype(np.uint8) if full == 255 else values.astype(np.uint16)


def _holds_several(path: Path, header: PnmHeader) -> bool:
    """Whether another picture follows the first; a raw PNM file may hold any number of them."""
    if header.kind in PLAIN_KINDS:
        return False
    row_bytes = -(-header.width // 8) if header.kind == 4 else header.width * header.channels * header.bits // 8
    with path.open("rb") as file:
        file.seek(header.start + row_bytes * header.height)
        return NEXT_PICTURE.match(file.read(LONGEST_HEADER)) is not None


def _read_values(file: BinaryIO, header: PnmHeader) -> NDArray[Any] | None:
    """(H, W, C) values as stored, from the current position on; `None` if there are too few."""
    shape = (header.height, header.width, header.channels)
    count = math.prod(shape)
    if header.kind == 1:  # digits need no space between them
        digits = np.frombuffer(re.sub(rb"#[^\r\n]*|[^01]", b"", file.read()), np.uint8)[:count] - 48
        return None if len(digits) < count else digits.reshape(shape)
    if header.kind in PLAIN_KINDS:
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
