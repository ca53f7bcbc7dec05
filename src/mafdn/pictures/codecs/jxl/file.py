"""JPEG XL files. Pixels are coded by imagecodecs (libjxl), which reports and writes neither profiles nor metadata.

Of colors that a header states by numbers imagecodecs gives the values themselves. Where a profile is embedded and
pixels are stored in the codec's own space, it would give linear light in few bits and the gamut of sRGB. There the
header is replaced by one of a wide space in 16 bits, from which the values of the profile are computed.
"""

import io
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.codecs.base import DEFAULT_QUALITY, SaveOptions
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
from mafdn.pictures.codecs.jxl import header as jxl
from mafdn.pictures.codecs.jxl.bits import BitReader
from mafdn.pictures.codecs.jxl.color import (
    CICP_PRIMARIES,
    WIDE_COLORS,
    converted,
    linear_srgb,
    profile_of,
    wide_profile,
)
from mafdn.pictures.codecs.jxl.container import (
    contained,
    is_high_level,
    read_codestream,
    read_metadata,
)
from mafdn.pictures.codecs.jxl.header import Colors, Depth, with_explicit_fields, with_header
from mafdn.pictures.codecs.jxl.icc import decode_icc, encode_icc
from mafdn.pictures.libvips import array_of
from mafdn.pictures.picture import HDR_TRANSFERS, CodePoints, Pixels
from mafdn.pictures.profiles import check_profile

LONGEST_HEADER = 4096
"""Bytes of a codestream that hold its header, without a profile."""
BRIGHTEST = {jxl.PQ: 10_000.0, jxl.HLG: 1_000.0}
"""Luminance in cd/m2 of the highest value by HDR transfer function."""
EFFORT = 5
"""Encoder effort, 1 to 10; 7, libjxl's default, takes about twice the time and saves some percent."""


class JxlFile(ArrayFile):
    """A JPEG XL file."""

    format = FORMATS["JPEG XL"]

    def __init__(self, path: Path) -> None:
        require("imagecodecs", path, "is JPEG XL")
        super().__init__(path)

    def read_header(self) -> None:
        with self.path.open("rb") as file:
            self._header = header = jxl.read_header(read_codestream(file, LONGEST_HEADER))
        self.width, self.height = header.width, header.height
        self._alpha = next((e for e in header.extras if e.kind == jxl.ALPHA), None)
        self.channels = (1 if header.colors.space == jxl.GREY else 3) + (self._alpha is not None)
        self._through_wide = header.colors.icc and header.xyb
        self._floating = header.depth.floating and not self._through_wide
        self.bits = 32 if self._floating else 8 if header.depth.bits <= 8 else 16
        colors = header.colors
        if not colors.icc and colors.gamma is None and colors.transfer in HDR_TRANSFERS:
            self.code_points = CodePoints(primaries=CICP_PRIMARIES.get(colors.primaries, 2), transfer=colors.transfer)
        if any(extra.kind == jxl.BLACK for extra in header.extras):
            raise PictureError(f"{printable(self.path)} is JPEG XL in CMYK; convert it to RGB first")
        if header.depth.bits > 16 and not header.depth.floating:
            raise PictureError(
                f"{printable(self.path)} has {header.depth.bits} bits per channel; convert it to 16 bits first"
            )

    def read(self) -> Decoded:
        codecs = require("imagecodecs", self.path, "is JPEG XL")
        header, metadata = self._header, read_metadata(self.path)
        notes = list(metadata.notes)
        with self.path.open("rb") as file:
            codestream = read_codestream(file)
        profile: bytes | None = None
        if header.colors.icc:
            reader = BitReader(codestream, header.end)
            profile = decode_icc(reader)
            if self._through_wide:
                codestream = self._in_wide_space(codestream, -(-reader.position // 8))
        elif self.code_points is None:
            profile = self._stated_profile(header.colors)
        pixels = self._decoded(codecs, codestream)
        if self._through_wide:
            pixels, profile = self._in_profile(pixels, profile or b"", notes)
        if header.animated:
            notes.append("only the first of several frames was read")
        bits = header.depth.bits
        return Decoded(
            pixels=pixels,
            profile=profile,
            exif=metadata.exif,
            xmp=metadata.xmp,
            file_bits=bits if bits not in (8, 16, 32) or (self._floating and bits == 16) else None,
            notes=tuple(notes),
        )

    def _stated_profile(self, colors: Colors) -> bytes | None:
        try:
            return profile_of(colors, explicit=self._floating)
        except ValueError as error:
            raise PictureError(f"{printable(self.path)}: {error}; convert it to PNG with djxl first") from None

    def _in_wide_space(self, codestream: bytes, frames_at: int) -> bytes:
        """The codestream as if its colors were those of `wide_profile`, in 16 bits."""
        grey = self._header.colors.space == jxl.GREY
        colors = Colors(space=jxl.GREY) if grey else WIDE_COLORS
        return with_header(codestream, self._header, colors=colors, depth=Depth(bits=16), frames_at=frames_at)

    def _decoded(self, codecs: Any, codestream: bytes) -> Pixels:
        """Decode to (H, W, C) as in `Decoded.pixels`."""
        values = with_three_axes(codecs.jpegxl_decode(codestream, index=0))
        if self._floating:
            values = values.astype(np.float32)
        else:
            values = over_full_range(values, 16 if self._through_wide else self._header.depth.bits)
        if self._alpha is not None and self._alpha.premultiplied:
            values = straight(values)
        return values[..., : self.channels]

    def _in_profile(self, pixels: Pixels, profile: bytes, notes: list[str]) -> tuple[Pixels, bytes]:
        """Pixels of the wide space in the embedded profile if that is possible, and the profile that they are in."""
        grey = pixels.shape[2] < 3
        colors, wide = pixels[..., : 1 if grey else 3], wide_profile(grey=grey)
        if check_profile(profile, 1 if grey else 3):
            notes.append("its color profile is damaged: it was replaced by ROMM RGB with the curve of sRGB")
            return pixels, wide
        try:
            colors = converted(colors, wide, profile)
        except pyvips.Error:  # a profile that only describes a source
            notes.append("its color profile was replaced by ROMM RGB with the curve of sRGB")
            return pixels, wide
        pixels = cast(Pixels, np.concatenate([colors, pixels[..., colors.shape[2] :]], 2))
        if self._header.depth.floating:
            notes.append("its floating-point values were rounded to 16 bits")
        if self.bits == 8:
            pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return pixels, profile

    @classmethod
    def check_encoder(cls, path: Path, bits: int) -> None:  # noqa: ARG003
        require("imagecodecs", path, "is JPEG XL")

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        codecs = require("imagecodecs", path, "is JPEG XL")
        pixels: Any = array_of(image)
        pixels = pixels.view(np.float16) if options.half else pixels
        profile = icc_of(image)
        floating = pixels.dtype.kind == "f"
        colors = _colors_to_state(options, profile, grey=pixels.shape[2] < 3, floating=floating)
        with encoder_errors():
            if options.lossless or not _can_lose(pixels, colors, options.bits):
                data = _encoded_losslessly(codecs, pixels, options.bits)
            else:
                quality = DEFAULT_QUALITY if options.quality is None else options.quality
                data = _encoded(codecs, pixels, profile, quality)
            codestream = with_explicit_fields(read_codestream(io.BytesIO(data)))
            header = jxl.read_header(codestream)
            codestream = with_header(
                codestream,
                header,
                colors=colors,
                depth=None if floating else Depth(bits=options.bits),
                frames_at=-(-header.end // 8),
                icc_stream=encode_icc(profile) if colors.icc and profile else None,
                brightest=BRIGHTEST.get(colors.transfer),
            )
        keep_exif, keep_xmp = options.keep & 1, options.keep & 2
        file = contained(
            codestream,
            exif=exif_of(image) if keep_exif else None,
            xmp=xmp_of(image) if keep_xmp else None,
            high_level=is_high_level(data),
        )
        path.write_bytes(file)


def _colors_to_state(options: SaveOptions, profile: bytes | None, *, grey: bool, floating: bool) -> Colors:
    """The colors of a picture that is saved."""
    space, points = jxl.GREY if grey else jxl.RGB, options.code_points
    if points is not None and points.hdr:
        numbers = {number: own for own, number in CICP_PRIMARIES.items()}
        if points.primaries not in numbers:
            raise ValueError(f"HDR with primaries {points.primaries} of H.273; choose PNG or AVIF")
        return Colors(space=space, primaries=numbers[points.primaries], transfer=points.transfer)
    return Colors(icc=profile is not None, space=space, transfer=jxl.LINEAR if floating else jxl.SRGB)


def _can_lose(pixels: NDArray[Any], colors: Colors, bits: int) -> bool:
    """Whether the encoder's interface can take these pixels for lossy coding.

    It takes colors other than sRGB, and other depths, only in floating point, and then transparency, too, which few
    programs read. Floating-point numbers and HDR are beyond it.
    """
    if pixels.dtype.kind == "f" or colors.transfer in HDR_TRANSFERS:
        return False
    return pixels.shape[2] in (1, 3) or (not colors.icc and bits in (8, 16))


def _encoded_losslessly(codecs: Any, pixels: NDArray[Any], bits: int) -> bytes:
    values = pixels >> (16 - bits) if pixels.dtype == np.uint16 and bits < 16 else pixels
    values = np.squeeze(values, 2) if values.shape[2] == 1 else values
    return codecs.jpegxl_encode(values, lossless=True, effort=EFFORT, bitspersample=bits)


def _encoded(codecs: Any, pixels: Pixels, profile: bytes | None, quality: int) -> bytes:
    """Encode with loss: 8 bits of sRGB as they are, everything else, as the encoder expects it, as linear light."""
    values: Any = pixels
    if profile is not None or pixels.dtype == np.uint16:
        colors = pixels.shape[2] - (pixels.shape[2] in (2, 4))
        values = linear_srgb(pixels[..., :colors], profile)
        if colors < pixels.shape[2]:
            values = np.concatenate([np.rint(values * 65_535).astype(np.uint16), pixels[..., colors:]], 2)
    values = np.squeeze(values, 2) if values.shape[2] == 1 else values
    return codecs.jpegxl_encode(values, level=quality, lossless=False, effort=EFFORT)
