"""How a JPEG file is coded: quantization tables, chroma sampling and color transform, from its header segments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from mafdn.pictures.codecs.jpeg_segments import read_segments

Table = NDArray[np.uint16]
Transform = Literal["gray", "ycc", "rgb", "other"]
"""What the components are: luma alone, YCbCr (BT.601, full range), RGB, or something else such as CMYK."""
TABLES, APP0, APP14 = 0xDB, 0xE0, 0xEE
"""Markers of quantization tables (DQT) and of the segments of JFIF and Adobe."""
DCT_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
"""Markers of the headers of frames that consist of DCT coefficients: baseline, extended and progressive."""
RGB_IDS = b"RGB"
"""Numbers of the components by which libjpeg recognizes RGB without a marker."""
SIDE = 8
"""Side of a block in samples."""
MOST_COMPONENTS = 4


def _zigzag() -> NDArray[np.intp]:
    """Index in natural order (row by row) of each coefficient in the order of files."""
    places = [(row, column) for row in range(SIDE) for column in range(SIDE)]
    places.sort(key=lambda p: (p[0] + p[1], p[0] if (p[0] + p[1]) % 2 else p[1]))
    return np.array([row * SIDE + column for row, column in places])


ZIGZAG = _zigzag()


@dataclass(frozen=True)
class Component:
    """One component of a frame, such as luma."""

    number: int
    """Its number in the file."""
    across: int
    """Horizontal sampling factor, 1 to 4."""
    down: int
    """Vertical sampling factor, 1 to 4."""
    table: int
    """Number of its quantization table."""


@dataclass(frozen=True, kw_only=True, eq=False)
class JpegCoding:
    """How the picture of a JPEG file is coded."""

    width: int
    """Columns as stored, before the orientation is applied."""
    height: int
    """Rows as stored."""
    bits: int
    """Bits per sample."""
    components: tuple[Component, ...]
    transform: Transform
    tables: Mapping[int, Table]
    """(8, 8) quantization steps in natural order, each at least 1, by number; vertical frequency first."""


def read_coding(file: BinaryIO) -> JpegCoding | None:
    """Read how a JPEG file is coded; whatever is invalid is left out.

    Args:
        file: The file, which is read from its start.

    Returns:
        The coding; `None` without a valid header of a frame of DCT coefficients. Tables that are defined only after the
        beginning of the pixels are not read.

    Raises:
        OSError: From the system.
    """
    tables: dict[int, Table] = {}
    frame = b""
    jfif, adobe = False, None
    for marker, length in read_segments(file):
        if marker == TABLES:
            tables |= _parse_tables(file.read(length))
        elif marker in DCT_FRAMES and not frame:
            frame = file.read(length)
        elif marker == APP0:
            jfif = jfif or file.read(min(length, 5)) == b"JFIF\0"
        elif marker == APP14:
            content = file.read(min(length, 12))
            adobe = content[11] if len(content) == 12 and content.startswith(b"Adobe") else adobe
    components = _parse_components(frame)
    if not components:
        return None
    return JpegCoding(
        width=int.from_bytes(frame[3:5]),
        height=int.from_bytes(frame[1:3]),
        bits=frame[0],
        components=components,
        transform=_find_transform(components, jfif=jfif, adobe=adobe),
        tables=tables,
    )


def read_tables(file: BinaryIO) -> dict[int, Table]:
    """Read the quantization tables of a JPEG file that need not have a picture, as in TIFF; invalid ones are left out.

    Raises:
        OSError: From the system.
    """
    tables: dict[int, Table] = {}
    for marker, length in read_segments(file):
        if marker == TABLES:
            tables |= _parse_tables(file.read(length))
    return tables


def _parse_tables(data: bytes) -> dict[int, Table]:
    """The complete tables without zeros in a DQT segment."""
    tables: dict[int, Table] = {}
    while data:
        wide, number = data[0] >> 4, data[0] & 15
        size = SIDE * SIDE * (2 if wide else 1)
        if wide > 1 or number > 3 or len(data) < 1 + size:
            break
        values = np.frombuffer(data, ">u2" if wide else np.uint8, SIDE * SIDE, 1)
        if values.all():
            table = np.empty(SIDE * SIDE, np.uint16)
            table[ZIGZAG] = values
            tables[number] = table.reshape(SIDE, SIDE)
        data = data[1 + size :]
    return tables


def _parse_components(frame: bytes) -> tuple[Component, ...]:
    """The components in the header of a frame; none if it is invalid."""
    count = frame[5] if len(frame) > 5 else 0
    if not 1 <= count <= MOST_COMPONENTS or len(frame) < 6 + 3 * count:
        return ()
    parts = [frame[place : place + 3] for place in range(6, 6 + 3 * count, 3)]
    components = tuple(Component(number, factors >> 4, factors & 15, table) for number, factors, table in parts)
    valid = all(1 <= one.across <= 4 and 1 <= one.down <= 4 for one in components)
    return components if valid else ()


def _find_transform(components: tuple[Component, ...], *, jfif: bool, adobe: int | None) -> Transform:
    """What the components are, by the rules of libjpeg; `adobe` is the transform that Adobe's marker states."""
    if len(components) == 1:
        return "gray"
    if len(components) != 3:
        return "other"
    if jfif:
        return "ycc"
    if adobe is not None:
        return "rgb" if adobe == 0 else "ycc"
    return "rgb" if bytes(one.number for one in components) == RGB_IDS else "ycc"
