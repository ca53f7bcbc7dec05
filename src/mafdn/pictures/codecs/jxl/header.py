"""The header of a JPEG XL codestream: size, depth, channels and colors (ISO/IEC 18181-1, annexes D and E)."""

from dataclasses import dataclass
from typing import cast

import numpy as np

from mafdn.pictures.codecs.jxl.bits import BitReader, BitWriter

START = b"\xff\x0a"
SIDES = ((9, 1), (13, 1), (18, 1), (30, 1))
COORDINATES = ((19, 0), (19, 524_288), (20, 1_048_576), (21, 2_097_152))
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width to height, by a code of three bits from 1 on."""
RGB, GREY, XYB = 0, 1, 2
"""Color spaces."""
D65, CUSTOM, EQUAL_ENERGY, DCI_WHITE = 1, 2, 10, 11
"""White points; `CUSTOM` is also a kind of primaries."""
SRGB_PRIMARIES, BT2100_PRIMARIES, P3_PRIMARIES = 1, 9, 11
BT709, LINEAR, SRGB, PQ, DCI, HLG = 1, 8, 13, 16, 17, 18
"""Transfer functions."""
ALPHA, SPOT, BLACK, COLOR_FILTER = 0, 2, 4, 5
"""Kinds of extra channels."""
RELATIVE_INTENT = 1


@dataclass(frozen=True, kw_only=True)
class Depth:
    """How values are stored."""

    bits: int = 8
    floating: bool = False


@dataclass(frozen=True, kw_only=True)
class Colors:
    """The colors of a codestream."""

    icc: bool = False
    """Whether an ICC profile is embedded, which then defines the colors alone."""
    space: int = RGB
    white: int = D65
    white_xy: tuple[float, float] | None = None
    primaries: int = SRGB_PRIMARIES
    primaries_xy: tuple[tuple[float, float], ...] | None = None
    """Chromaticities of red, green and blue if `primaries` is `CUSTOM`."""
    gamma: float | None = None
    """Exponent from light to signal, or `None` where `transfer` counts."""
    transfer: int = SRGB


@dataclass(frozen=True, kw_only=True)
class Extra:
    """A channel beyond the colors."""

    kind: int = ALPHA
    premultiplied: bool = False


@dataclass(frozen=True, kw_only=True)
class Header:
    """A codestream's header, and where its parts are, in bits."""

    width: int
    """Columns of the upright picture."""
    height: int
    depth: Depth
    colors: Colors
    extras: tuple[Extra, ...]
    xyb: bool
    """Whether pixels are stored in the codec's own color space, as in most lossy files, from which any can be made."""
    animated: bool
    depth_at: tuple[int, int]
    """First bit of the depth, and the one after it; for `colors_at` likewise. Zeros in an all-default header."""
    colors_at: tuple[int, int]
    end: int
    """The bit after the header; an ICC profile follows, else the frames at the next byte."""


def read_header(data: bytes) -> Header:
    """Parse the header of a codestream; raises `ValueError` if it is damaged."""
    if not data.startswith(START):
        raise ValueError("it has no codestream")
    reader = BitReader(data, 8 * len(START))
    width, height = _size(reader)
    depth, colors, extras, xyb = Depth(), Colors(), (), True
    depth_at = colors_at = (0, 0)
    animated = False
    if not reader.flag():
        detailed = reader.flag()
        if detailed:
            if reader.read(3) >= 4:  # orientations that swap width and height
                width, height = height, width
            if reader.flag():
                _size(reader)
            if reader.flag():
                _skip_preview(reader)
            animated = reader.flag()
            if animated:
                _skip_animation(reader)
        start = reader.position
        depth = _depth(reader)
        depth_at = (start, reader.position)
        reader.read(1)  # whether 16 bits are enough while decoding
        extras = tuple(_extra(reader) for _ in range(reader.choose((0, 0), (0, 1), (4, 2), (12, 1))))
        xyb = reader.flag()
        start = reader.position
        colors = _colors(reader)
        colors_at = (start, reader.position)
        if detailed and not reader.flag():
            reader.read(16 + 16 + 1 + 16)  # tone mapping
        extensions = reader.long()
        lengths = [reader.long() for number in range(64) if extensions >> number & 1]
        reader.read(sum(lengths))
    if not reader.flag():
        if xyb and not reader.flag():
            reader.read(16 * 16)
        weights = reader.read(3)
        reader.read(16 * sum(count for bit, count in enumerate((15, 55, 210)) if weights >> bit & 1))
    return Header(
        width=width,
        height=height,
        depth=depth,
        colors=colors,
        extras=extras,
        xyb=xyb,
        animated=animated,
        depth_at=depth_at,
        colors_at=colors_at,
        end=reader.position,
    )


def with_header(
    data: bytes,
    header: Header,
    *,
    colors: Colors,
    depth: Depth | None,
    frames_at: int,
    icc_stream: BitWriter | None = None,
    brightest: float | None = None,
) -> bytes:
    """The codestream with another statement of colors and depth; frames are copied.

    That is valid where the frames do not depend on it: for other colors if pixels are stored in the codec's own space,
    and for a better description of the colors that they have.

    Args:
        data: The codestream.
        header: Its header, which must not be all-default.
        colors: The new colors: an ICC profile, or RGB or grey with a D65 white and a transfer function.
        depth: The new depth, in integers; `None` for no change.
        frames_at: Byte at which the frames begin.
        icc_stream: The encoded profile if `colors` has one.
        brightest: Luminance in cd/m2 that is the highest of an HDR picture; only for a header without details.
    """
    writer = BitWriter()
    if brightest is None:
        writer.copy(data, 8 * len(START), header.depth_at[0])
    else:
        writer.copy(data, 8 * len(START), header.depth_at[0] - 1)
        writer.write(1, 7)  # details: upright, no other size, preview or animation
    if depth is None:
        writer.copy(data, *header.depth_at)
    elif depth.bits in (8, 10, 12):
        writer.write((8, 10, 12).index(depth.bits) << 1, 3)
    else:
        writer.write(3 << 1 | (depth.bits - 1) << 3, 9)
    writer.copy(data, header.depth_at[1], header.colors_at[0])
    writer.write(0, 1)
    writer.write(int(colors.icc), 1)
    writer.enum(colors.space)
    if not colors.icc:
        writer.enum(D65)
        if colors.space == RGB:
            writer.enum(colors.primaries)
            for x, y in colors.primaries_xy or ():
                _write_number(writer, x)
                _write_number(writer, y)
        writer.write(0, 1)
        writer.enum(colors.transfer)
        writer.enum(RELATIVE_INTENT)
    if brightest is not None:
        writer.write(0, 1)
        writer.write(int(np.float16(brightest).view(np.uint16)), 16)
        writer.write(0, 16 + 1 + 16)  # the darkest, absolute, and no linear part
    writer.copy(data, header.colors_at[1], header.end)
    if icc_stream is not None:
        stream, bits = icc_stream.bits
        writer.write(stream, bits)
    return START + writer.to_bytes() + data[frames_at:]


def _write_number(writer: BitWriter, value: float) -> None:
    """A coordinate from 0 to 2 as `_chromaticity` reads it."""
    stored = 2 * round(value * 1e6)
    choice = sum(stored >= offset for _, offset in COORDINATES[1:])
    bits, offset = COORDINATES[choice]
    writer.write(choice | (stored - offset) << 2, 2 + bits)


def with_explicit_fields(data: bytes) -> bytes:
    """The codestream with every field of an all-default header written out; others unchanged."""
    reader = BitReader(data, 8 * len(START))
    _size(reader)
    if not reader.peek(1):
        return data
    writer = BitWriter()
    writer.copy(data, 8 * len(START), reader.position)
    writer.write(0, 2)  # not all-default, no details
    writer.write(0, 3)  # integers of 8 bits
    writer.write(1, 1)  # 16 bits are enough while decoding
    writer.write(0, 2)  # no extra channels
    writer.write(1, 1)  # in the codec's own space
    writer.write(1, 1)  # sRGB
    writer.write(0, 2)  # no extensions
    reader.read(1)
    rest = reader.position
    header = read_header(data)
    writer.copy(data, rest, header.end)
    return START + writer.to_bytes() + data[-(-header.end // 8) :]


def _size(reader: BitReader) -> tuple[int, int]:
    """Width and height."""
    small = reader.flag()
    height = 8 * (reader.read(5) + 1) if small else reader.choose(*SIDES)
    ratio = reader.read(3)
    if ratio:
        above, below = RATIOS[ratio - 1]
        return height * above // below, height
    return (8 * (reader.read(5) + 1) if small else reader.choose(*SIDES)), height


def _skip_preview(reader: BitReader) -> None:
    choices = ((0, 16), (0, 32), (5, 1), (9, 33)) if reader.flag() else ((6, 1), (8, 65), (10, 321), (12, 1345))
    reader.choose(*choices)
    if not reader.read(3):
        reader.choose(*choices)


def _skip_animation(reader: BitReader) -> None:
    reader.choose((0, 100), (0, 1000), (10, 1), (30, 1))
    reader.choose((0, 1), (0, 1001), (8, 1), (10, 1))
    reader.choose((0, 0), (3, 0), (16, 0), (32, 0))
    reader.read(1)


def _depth(reader: BitReader) -> Depth:
    if reader.flag():
        bits = reader.choose((0, 32), (0, 16), (0, 24), (6, 1))
        reader.read(4)
        return Depth(bits=bits, floating=True)
    return Depth(bits=reader.choose((0, 8), (0, 10), (0, 12), (6, 1)))


def _extra(reader: BitReader) -> Extra:
    if reader.flag():
        return Extra()
    kind = reader.enum()
    _depth(reader)
    reader.choose((0, 0), (0, 3), (0, 4), (3, 1))
    reader.read(8 * reader.choose((0, 0), (4, 0), (5, 16), (10, 48)))
    premultiplied = kind == ALPHA and reader.flag()
    if kind == SPOT:
        reader.read(4 * 16)
    if kind == COLOR_FILTER:
        reader.choose((0, 1), (2, 0), (4, 3), (8, 19))
    return Extra(kind=kind, premultiplied=premultiplied)


def _colors(reader: BitReader) -> Colors:
    if reader.flag():
        return Colors()
    icc, space = reader.flag(), reader.enum()
    if icc:
        return Colors(icc=True, space=space)
    if space == XYB:
        reader.enum()  # rendering intent
        return Colors(space=space)
    white = reader.enum()
    white_xy = _chromaticity(reader) if white == CUSTOM else None
    primaries, points = SRGB_PRIMARIES, None
    if space != GREY:
        primaries = reader.enum()
        points = tuple(_chromaticity(reader) for _ in range(3)) if primaries == CUSTOM else None
    gamma = reader.read(24) / 1e7 if reader.flag() else None
    transfer = SRGB if gamma is not None else reader.enum()
    reader.enum()  # rendering intent
    return Colors(
        space=space,
        white=white,
        white_xy=white_xy,
        primaries=primaries,
        primaries_xy=points,
        gamma=gamma,
        transfer=transfer,
    )


def _chromaticity(reader: BitReader) -> tuple[float, float]:
    values: list[float] = []
    for _ in range(2):
        stored = reader.choose(*COORDINATES)
        values.append((-(stored + 1) // 2 if stored & 1 else stored // 2) / 1e6)
    return cast("tuple[float, float]", tuple(values))
