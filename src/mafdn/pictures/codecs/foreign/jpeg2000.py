"""JPEG 2000 files: JP2 and raw codestreams (ISO/IEC 15444-1).

8 bits are coded by Pillow, more by imagecodecs. Both use OpenJPEG; neither reads or writes the boxes around the
codestream that hold profile, resolution and metadata, which is done here.
"""

import io
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyvips

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.codecs.base import SaveOptions
from mafdn.pictures.codecs.boxes import Box, box, boxes
from mafdn.pictures.codecs.foreign.arrays import (
    ArrayFile,
    Decoded,
    encoder_errors,
    over_full_range,
    require,
    straight,
    with_three_axes,
)
from mafdn.pictures.codecs.foreign.blocks import exif_of, icc_of, xmp_of
from mafdn.pictures.codecs.foreign.pillow import array_of_pillow
from mafdn.pictures.libvips import array_of
from mafdn.pictures.picture import DEFAULT_PIXELS_PER_MM, Pixels

SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
CODESTREAM = b"\xff\x4f\xff\x51"
FILE_TYPE = box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
EXIF_UUID, XMP_UUID = b"JpgTiffExif->JP2", bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
OTHER_UUIDS = {
    bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"): "IPTC",
    bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03"): "GeoTIFF",
}
"""Kinds of metadata that are left out."""
ENUMERATED, RESTRICTED_ICC, ANY_ICC = 1, 2, 3
"""Methods of stating colors."""
SRGB, GREY, SYCC = 16, 17, 18
"""Enumerated color spaces that are read."""
OTHER_SPACES = {0: "bi-level", 12: "CMYK", 13: "YCCK", 14: "CIELab", 15: "bi-level", 20: "e-sRGB", 21: "ROMM-RGB"}
PREMULTIPLIED = 2
"""Type of an alpha channel that the colors are multiplied by."""
LONGEST_BLOCK = 1 << 26


@dataclass(kw_only=True)
class _Facts:
    """The contents of the boxes and of the codestream's header."""

    width: int = 0
    height: int = 0
    depths: list[int] = field(default_factory=list[int])
    """Bits of each component; negative for signed values."""
    space: int | None = None
    profile: bytes | None = None
    palette: bool = False
    premultiplied: bool = False
    pixels_per_mm: tuple[float, float] = DEFAULT_PIXELS_PER_MM
    exif: bytes | None = None
    xmp: bytes | None = None
    codestream_at: int = 0
    """Byte at which the codestream begins."""
    others: list[str] = field(default_factory=list[str])


class Jpeg2000File(ArrayFile):
    """A JPEG 2000 file."""

    format = FORMATS["JPEG 2000"]

    def read_header(self) -> None:
        with self.path.open("rb") as file:
            self._facts = facts = _read_facts(file)
        self.width, self.height = facts.width, facts.height
        name = f"{printable(self.path)} is JPEG 2000"
        if facts.space in OTHER_SPACES or (facts.space is not None and facts.space not in (SRGB, GREY, SYCC)):
            raise PictureError(f"{name} in {OTHER_SPACES.get(facts.space, 'an unknown color space')}; convert it first")
        if not facts.depths:
            raise ValueError("its header is invalid")
        if len(facts.depths) > 4 or max(abs(depth) for depth in facts.depths) > 16:
            raise PictureError(
                f"{name} with {len(facts.depths)} channels of {max(facts.depths)} bits; up to 4 of 16 are supported"
            )
        if min(facts.depths) < 0 or len(set(facts.depths)) > 1:
            raise PictureError(f"{name} with signed values or channels of different depths; convert it to TIFF first")
        self._depth = facts.depths[0]
        self.channels = 3 if facts.palette else len(facts.depths)
        self.bits = 8 if self._depth <= 8 else 16
        if self.bits == 16:
            require("imagecodecs", self.path, f"is JPEG 2000 with {self._depth} bits per channel")

    def read(self) -> Decoded:
        facts = self._facts
        if self._depth <= 8:
            from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

            with self.path.open("rb") as file, Jpeg2KImageFile(file) as picture:
                pixels, _ = array_of_pillow(self.path, picture)
        else:
            codecs = require("imagecodecs", self.path, "is JPEG 2000")
            data = self.path.read_bytes()
            if facts.profile is not None:  # without its boxes, as imagecodecs would convert the colors to sRGB
                data = data[facts.codestream_at :]
            pixels = over_full_range(with_three_axes(codecs.jpeg2k_decode(data)), self._depth)
        if pixels.shape[2] in (2, 4) and facts.premultiplied:
            pixels = straight(pixels)
        notes = [f"its {' and '.join(facts.others)} data were left out"] if facts.others else []
        if self._depth < 8:
            notes.append(f"{self._depth} bit{'s' if self._depth > 1 else ''} per channel became 8")
        return Decoded(
            pixels=pixels,
            profile=facts.profile,
            pixels_per_mm=facts.pixels_per_mm,
            exif=facts.exif,
            xmp=facts.xmp,
            file_bits=self._depth if 8 < self._depth < 16 else None,
            notes=tuple(notes),
        )

    @classmethod
    def check_encoder(cls, path: Path, bits: int) -> None:
        if bits > 8:
            require("imagecodecs", path, f"is JPEG 2000 with {bits} bits per channel")

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        pixels = array_of(image)
        with encoder_errors():
            stream = _encoded(pixels) if options.bits == 8 else _encoded_deep(path, pixels, options.bits)
        profile = icc_of(image)
        parts = [SIGNATURE, FILE_TYPE, _header_box(pixels, options.bits, profile, (image.xres, image.yres))]
        if options.keep & 1 and (exif := exif_of(image)):
            parts.append(box(b"uuid", EXIF_UUID + exif))
        if options.keep & 2 and (xmp := xmp_of(image)):
            parts.append(box(b"uuid", XMP_UUID + xmp))
        path.write_bytes(b"".join([*parts, box(b"jp2c", stream)]))


def _read_facts(file: BinaryIO) -> _Facts:
    """Parse boxes and codestream header; raises `struct.error` or `ValueError` if they are damaged."""
    facts = _Facts()
    start = file.read(len(SIGNATURE))
    if start.startswith(CODESTREAM):
        _read_codestream(file, 0, facts)
        return facts
    end = file.seek(0, os.SEEK_END)
    for part in boxes(file, 0, end):
        if part.kind == b"jp2h":
            for inner in boxes(file, part.start, part.end):
                _read_header_box(file, inner, facts)
        elif part.kind == b"jp2c" and not facts.depths:
            _read_codestream(file, part.start, facts)
        elif part.kind == b"uuid":
            content = part.read(file, LONGEST_BLOCK)
            if content.startswith(EXIF_UUID):
                facts.exif = content[16:]
            elif content.startswith(XMP_UUID):
                facts.xmp = content[16:]
            elif content[:16] in OTHER_UUIDS:
                facts.others.append(OTHER_UUIDS[content[:16]])
    return facts


def _read_codestream(file: BinaryIO, place: int, facts: _Facts) -> None:
    file.seek(place)
    head = file.read(42 + 3 * 16384)
    if not head.startswith(CODESTREAM):
        raise ValueError("it has no codestream")
    right, bottom, left, top = struct.unpack_from(">4I", head, 8)
    (count,) = struct.unpack_from(">H", head, 40)
    facts.codestream_at = place
    facts.width, facts.height = right - left, bottom - top
    facts.depths = [_depth(head[42 + 3 * number]) for number in range(count)]


def _read_header_box(file: BinaryIO, part: Box, facts: _Facts) -> None:
    content = part.read(file, LONGEST_BLOCK)
    if part.kind == b"colr" and facts.space is None and facts.profile is None:
        if content[0] == ENUMERATED:
            facts.space = struct.unpack_from(">I", content, 3)[0]
        elif content[0] in (RESTRICTED_ICC, ANY_ICC):
            facts.profile = content[3:]
    elif part.kind == b"pclr":
        facts.palette = True
    elif part.kind == b"cdef":
        definitions = struct.iter_unpack(">HHH", content[2 : 2 + (len(content) - 2) // 6 * 6])
        facts.premultiplied = any(kind == PREMULTIPLIED for _, kind, _ in definitions)
    elif part.kind == b"res ":
        for inner in boxes(file, part.start, part.end):
            if inner.kind == b"resc":  # that of capture; pixels per meter, vertical first
                down, below, across, right_below, down_power, across_power = struct.unpack(
                    ">4Hbb", inner.read(file, 10)
                )
                if min(down, below, across, right_below) > 0 and max(abs(down_power), abs(across_power)) < 12:
                    facts.pixels_per_mm = (
                        across / right_below * 10.0**across_power / 1000,
                        down / below * 10.0**down_power / 1000,
                    )


def _depth(stored: int) -> int:
    return -((stored & 127) + 1) if stored & 128 else stored + 1


def _header_box(pixels: Pixels, bits: int, profile: bytes | None, pixels_per_mm: tuple[float, float]) -> bytes:
    height, width, channels = pixels.shape
    colors = 1 if channels < 3 else 3
    parts = [box(b"ihdr", struct.pack(">IIHBBBB", height, width, channels, bits - 1, 7, 0, 0))]
    if profile is not None:
        parts.append(box(b"colr", bytes((RESTRICTED_ICC, 0, 0)) + profile))
    else:
        parts.append(box(b"colr", bytes((ENUMERATED, 0, 0)) + struct.pack(">I", GREY if colors == 1 else SRGB)))
    if channels > colors:  # each color channel, and an alpha channel for the whole picture
        definitions = [(number, 0, number + 1) for number in range(colors)] + [(colors, 1, 0)]
        parts.append(box(b"cdef", struct.pack(">H", channels) + b"".join(struct.pack(">3H", *d) for d in definitions)))
    if not np.allclose(pixels_per_mm, DEFAULT_PIXELS_PER_MM, rtol=1e-3):
        across, down = (_fraction(value * 1000) for value in pixels_per_mm)
        stated = struct.pack(">4Hbb", *down[:2], *across[:2], down[2], across[2])
        parts.append(box(b"res ", box(b"resc", stated)))
    return box(b"jp2h", b"".join(parts))


def _fraction(value: float) -> tuple[int, int, int]:
    """A positive number as numerator and denominator of at most 16 bits and a power of ten, which is not negative."""
    power = 0
    while round(value) > 65_535:
        value, power = value / 10, power + 1
    below = next(n for n in (10_000, 1000, 100, 10, 1) if round(value * n) <= 65_535)
    return max(1, round(value * below)), below, power


def _encoded(pixels: Pixels) -> bytes:
    """A lossless codestream of 8 bits."""
    from PIL import Image

    target = io.BytesIO()
    picture = Image.fromarray(np.squeeze(pixels, 2) if pixels.shape[2] == 1 else pixels)
    picture.save(target, format="JPEG2000", no_jp2=True, irreversible=False, mct=int(pixels.shape[2] > 2))
    return target.getvalue()


def _encoded_deep(path: Path, pixels: Pixels, bits: int) -> bytes:
    """A lossless codestream of 10 to 16 bits."""
    codecs = require("imagecodecs", path, f"is JPEG 2000 with {bits} bits per channel")
    values: Any = cast(Any, pixels) >> (16 - bits)
    values = np.squeeze(values, 2) if values.shape[2] == 1 else values
    return codecs.jpeg2k_encode(values, codecformat="j2k", reversible=True, bitspersample=bits)
