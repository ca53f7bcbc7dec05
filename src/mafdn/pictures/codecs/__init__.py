"""The picture formats, and their codecs: one module per family of formats.

To add a format, write a module with a `PictureFile` subclass and add an entry to `FORMATS`. Codecs are imported when
they are needed, so that a start takes no longer for formats that do not occur.
"""

import importlib
import struct
from typing import TYPE_CHECKING, cast

from mafdn.pictures.picture import Format

if TYPE_CHECKING:
    from mafdn.pictures.codecs.base import PictureFile

__all__ = ["FORMATS", "codec_of"]

BRANDS_OF_BOTH = (b"mif1", b"msf1")
"""Main brands of HEIF; for AVIF, `avif` is then among the compatible brands from byte 16 on."""
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", *BRANDS_OF_BOTH)
BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
"""Sizes in bytes of the headers that BMP files have had."""
KNOWN = (
    Format(
        name="JPEG",
        magic=(b"\xff\xd8\xff",),
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
        largest_side=65_535,
        alpha=False,
        metadata=frozenset({"ICC", "EXIF", "XMP", "IPTC"}),
        bits=(8,),
        lossless=False,
        lossy=True,
        codec="jpeg:JpegFile",
        loader_class="VipsForeignLoadJpeg",
    ),
    Format(
        name="PNG",
        magic=(b"\x89PNG\r\n\x1a\n",),
        suffixes=(".png", ".apng"),
        largest_side=2**31 - 1,
        alpha=True,
        metadata=frozenset({"ICC", "EXIF", "XMP"}),
        several="frames",
        code_points=True,
        codec="png:PngFile",
        loader_class="VipsForeignLoadPng",
    ),
    Format(
        name="WebP",
        magic=(b"RIFF????WEBP",),
        suffixes=(".webp",),
        largest_side=16_383,
        alpha=True,
        metadata=frozenset({"ICC", "EXIF", "XMP"}),
        bits=(8,),
        grey=False,
        lossy=True,
        whole=True,
        several="frames",
        codec="webp:WebpFile",
        loader_class="VipsForeignLoadWebp",
    ),
    Format(
        name="TIFF",
        magic=(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        suffixes=(".tif", ".tiff"),
        largest_side=2**31 - 1,
        alpha=True,
        metadata=frozenset({"ICC", "EXIF", "XMP", "IPTC"}),
        several="pages",
        float_bits=(16, 32),
        codec="tiff.file:TiffFile",
        loader_class="VipsForeignLoadTiff",
    ),
    Format(
        name="AVIF",
        magic=(
            b"????ftypavif",
            b"????ftypavis",
            *(b"????ftyp" + brand + b"?" * gap + b"avif" for brand in BRANDS_OF_BOTH for gap in (4, 8, 12, 16)),
        ),
        suffixes=(".avif", ".avifs"),
        largest_side=16_384,
        alpha=True,
        metadata=frozenset({"ICC", "EXIF", "XMP"}),
        bits=(8, 10, 12),
        code_points=True,
        grey=False,
        lossy=True,
        whole=True,
        several="frames",
        codec="heif.file:AvifFile",
        loader_class="VipsForeignLoadHeif",
    ),
    Format(
        name="GIF",
        magic=(b"GIF87a", b"GIF89a"),
        suffixes=(".gif",),
        largest_side=65_535,
        alpha=True,
        metadata=frozenset(),
        bits=(8,),
        lossless=False,
        whole=True,
        several="frames",
        always_loses=("GIF has 256 colors: the picture was reduced to them",),
        alpha_loses=("GIF has no partial transparency: pixels became opaque or clear",),
        codec="gif:GifFile",
        loader_class="VipsForeignLoadNsgif",
    ),
    Format(
        name="PPM",
        magic=tuple(b"P%d%c" % (n, space) for n in range(1, 7) for space in b" \t\n\r"),
        suffixes=(".ppm", ".pgm", ".pbm", ".pnm"),
        largest_side=2**31 - 1,
        alpha=False,
        metadata=frozenset(),
        raw=True,
        codec="pnm:PnmFile",
    ),
    Format(
        name="HEIC",
        magic=tuple(b"????ftyp" + brand for brand in HEIC_BRANDS),
        suffixes=(".heic", ".heif", ".hif"),
        largest_side=0,
        alpha=True,
        metadata=frozenset(),
        bits=(),
        whole=True,
        written_as="AVIF",
        codec="heif.file:HeicFile",
        loader_class="VipsForeignLoadHeif",
    ),
    Format(
        name="JPEG XL",
        magic=(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
        suffixes=(".jxl",),
        largest_side=2**30,
        alpha=True,
        metadata=frozenset({"ICC", "EXIF", "XMP"}),
        bits=(8, 10, 12, 16),
        float_bits=(16, 32),
        code_points=True,
        lossy=True,
        whole=True,
        codec="jxl.file:JxlFile",
    ),
    Format(
        name="JPEG 2000",
        magic=(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        suffixes=(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
        largest_side=2**31 - 1,
        alpha=True,
        metadata=frozenset({"ICC", "EXIF", "XMP"}),
        bits=(8, 10, 12, 16),
        whole=True,
        codec="foreign.jpeg2000:Jpeg2000File",
    ),
    Format(
        name="BMP",
        magic=tuple(b"BM" + b"?" * 12 + struct.pack("<I", size) for size in BMP_HEADERS),
        suffixes=(".bmp", ".dib"),
        largest_side=2**31 - 1,
        alpha=True,
        metadata=frozenset(),
        bits=(8,),
        whole=True,
        codec="foreign.bmp:BmpFile",
    ),
    Format(
        name="QOI",
        magic=(b"qoif",),
        suffixes=(".qoi",),
        largest_side=65_535,
        alpha=True,
        metadata=frozenset(),
        bits=(8,),
        grey=False,
        whole=True,
        codec="foreign.pillow:QoiFile",
    ),
    Format(
        name="PSD",
        magic=(b"8BPS\0\x01", b"8BPS\0\x02"),
        suffixes=(".psd", ".psb"),
        largest_side=0,
        alpha=True,
        metadata=frozenset(),
        bits=(),
        written_as="PNG",
        codec="foreign.psd:PsdFile",
        loader_class="VipsForeignLoadTiff",
    ),
    Format(
        name="ICO",
        magic=(),
        suffixes=(".ico", ".cur"),
        largest_side=0,
        alpha=True,
        metadata=frozenset(),
        bits=(),
        whole=True,
        written_as="PNG",
        codec="foreign.pillow:IcoFile",
    ),
    Format(
        name="TGA",
        magic=(),
        suffixes=(".tga", ".icb", ".vda", ".vst"),
        largest_side=65_535,
        alpha=True,
        metadata=frozenset(),
        bits=(8,),
        whole=True,
        codec="foreign.pillow:TgaFile",
    ),
)
"""All formats, in the order in which a file's content is compared with them."""
FORMATS = {known.name: known for known in KNOWN}
"""All formats by name."""


def codec_of(known: Format) -> "type[PictureFile]":
    """Import the codec of a format."""
    module, _, name = known.codec.partition(":")
    return cast("type[PictureFile]", getattr(importlib.import_module(f"{__name__}.{module}"), name))
