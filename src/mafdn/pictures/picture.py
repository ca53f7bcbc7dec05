"""Picture formats and decoded pictures as data; reading and writing them is elsewhere."""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mafdn.pixels.rows import Rows

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Names of the HDR transfer functions by their number in H.273."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""The first bytes of a PNG file."""
DEFAULT_PIXELS_PER_MM = (72 / 25.4, 72 / 25.4)
"""Print resolution (horizontal, vertical) of a file that states none: 72 dpi."""
QUARTER_TURNS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One picture format: how its files begin, how they are named, what its encoder can store."""

    name: str
    codec: str
    """Its codec: a module of `mafdn.pictures.codecs` and a class, as in `png:PngFile`."""
    magic: tuple[bytes, ...]
    """The first bytes of its files; `?` matches any byte. Empty if only the codec recognizes them."""
    suffixes: tuple[str, ...]
    """Lower-case file name endings, the default one first."""
    largest_side: int
    """Largest width and height its encoder accepts, in pixels."""
    alpha: bool
    """Whether its encoder stores transparency."""
    metadata: frozenset[str]
    """Which of ICC, EXIF, XMP and IPTC its encoder writes."""
    bits: tuple[int, ...] = (8, 16)
    """Bits per channel its encoder writes, ascending; empty for a format that is only read."""
    float_bits: tuple[int, ...] = ()
    """Bits per channel of the floating-point numbers its encoder writes, ascending; empty for none."""
    code_points: bool = False
    """Whether its encoder states colors by number (`CodePoints`)."""
    lossless: bool = True
    """Whether its encoder can preserve every pixel exactly."""
    lossy: bool = False
    """Whether its encoder has a quality setting."""
    grey: bool = True
    """Whether its encoder stores grey pictures with one channel."""
    whole: bool = False
    """Whether its codec holds all pixels in memory at once; the others read and write rows."""
    raw: bool = False
    """Whether its pixels are stored uncompressed: they are read from the file itself, a band at a time."""
    several: Literal["frames", "pages"] | None = None
    """What the pictures are if a file holds several and all of them are read and written."""
    always_loses: tuple[str, ...] = ()
    """Notes on what every picture loses in this format."""
    alpha_loses: tuple[str, ...] = ()
    """Notes on what a picture with transparency loses in addition."""
    written_as: str | None = None
    """Name of the default output format for one that is only read."""
    loader_class: str | None = None
    """The libvips class of the loaders that its codec uses, to be exempted from blocking; `None` for none."""


@dataclass(frozen=True, kw_only=True)
class PngChunk:
    """One chunk of a PNG file."""

    kind: bytes
    """Four letters."""
    data: bytes
    after_pixels: bool = False
    """Whether it belongs after the pixels."""

    def encoded(self) -> bytes:
        """The chunk as it is stored: length, kind, data and checksum."""
        check = zlib.crc32(self.kind + self.data)
        return struct.pack(">I", len(self.data)) + self.kind + self.data + struct.pack(">I", check)


@dataclass(frozen=True, kw_only=True)
class CodePoints:
    """Colors that a file states by number (ITU-T H.273), and the display they were graded on."""

    primaries: int
    transfer: int
    full_range: bool = True
    """Whether values span the whole range of their type; otherwise black is 16/255 and white 235/255."""
    mastering: tuple[int, ...] | None = None
    """Chromaticities x, y of red, green, blue and white in 0.00002, then the highest and the lowest luminance in 0.0001
    cd/m2 (SMPTE ST 2086)."""
    light_levels: tuple[int, int] | None = None
    """Luminance of the brightest pixel, and of the brightest frame on average, in 0.0001 cd/m2 (CTA-861.3)."""

    @property
    def hdr(self) -> str | None:
        """Name of the HDR transfer function, `PQ` or `HLG`; `None` for others."""
        return HDR_TRANSFERS.get(self.transfer)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A decoded picture, upright, in its own color space and depth."""

    planes: Rows
    """(H, W, 1 to 4) pixels: grey or RGB, then alpha (not premultiplied) if present.

    uint8 or uint16 over the full range; or float32, finite, white at 1, where colors may lie outside of [0, 1]. An
    array, or rows in a file where the picture is large.
    """
    format: Format
    """The format of the file, detected by content."""
    profile: bytes | None = None
    """ICC profile of the colors; `None` for sRGB (or its grey), with float32 in linear light."""
    code_points: CodePoints | None = None
    """The colors as the file states them by number, if they are not those of sRGB. With HDR values that is all there is
    to go by; otherwise `profile` describes the same colors."""
    pixels_per_mm: tuple[float, float] = DEFAULT_PIXELS_PER_MM
    """Print resolution (horizontal, vertical) as stated in the file."""
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict[str, tuple[Any, Any]])
    """Other metadata (EXIF, XMP, IPTC) by libvips field name: GType and value."""
    chunks: tuple[PngChunk, ...] = ()
    """Chunks of a PNG file that are copied into the result if that is PNG, too; texts above all."""
    comments: tuple[bytes, ...] = ()
    """Comments of a JPEG or GIF file, in an encoding that is not stated."""
    file_bits: int | None = None
    """Bits per channel in the file if not those of `planes`: 10 or 12 in AVIF, whose pixels span 16 bits regardless;
    16, 24 or 64 for floating-point numbers."""
    page_number: tuple[int, int] | None = None
    """Number of a page of a TIFF file, from 0, and of all pages (0 if unknown), as stated in the file."""
    notes: tuple[str, ...] = ()
    """What was lost or changed while reading, one sentence each."""
    lost_metadata: tuple[str, ...] = ()
    """Which metadata were lost while reading, one sentence each; noted unless metadata are to be left out."""

    @property
    def colors(self) -> int:
        """Number of channels without alpha: 1 for grey, 3 for RGB."""
        return 1 if self.planes.shape[2] < 3 else 3

    @property
    def transparent(self) -> bool:
        """Whether there is an alpha channel."""
        return self.planes.shape[2] in (2, 4)

    @property
    def floating(self) -> bool:
        """Whether the pixels are floating-point numbers."""
        return self.planes.dtype.kind == "f"

    @property
    def color(self) -> Pixels:
        """Color channels as an (H, W, 1 or 3) array."""
        return self.planes[:][..., : self.colors]

    @property
    def alpha(self) -> Pixels | None:
        """Alpha channel as an (H, W) array; `None` for an opaque picture."""
        return self.planes[:][..., -1] if self.transparent else None

    @property
    def height(self) -> int:
        """Rows, in pixels."""
        return self.planes.shape[0]

    @property
    def width(self) -> int:
        """Columns, in pixels."""
        return self.planes.shape[1]

    @property
    def bits(self) -> int:
        """Bits per channel in the file."""
        return self.file_bits or self.planes.dtype.itemsize * 8
