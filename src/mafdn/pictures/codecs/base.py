"""What a codec is: how files of one format are opened, decoded and encoded."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyvips

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.codecs.jpeg_coding import JpegCoding
from mafdn.pictures.limits import Limits
from mafdn.pictures.picture import CodePoints, Format, Picture, PngChunk
from mafdn.pictures.sequences.sequence import Sequence, single

DEFAULT_QUALITY = 95
"""Encoder quality, 1 to 100, unless chosen."""


@dataclass(frozen=True, kw_only=True)
class SaveOptions:
    """How one picture is encoded; each codec uses what its format has."""

    quality: int | None
    """1 to 100; `None` for the format's default."""
    lossless: bool
    """Preserve every pixel exactly; `quality` is then ignored."""
    bits: int
    """Bits per channel to write, one of `Format.bits` or `Format.float_bits`."""
    keep: int
    """Flags (`VipsForeignKeep`) of the metadata to write."""
    chunks: tuple[PngChunk, ...] = ()
    """Chunks to write into a PNG file, directly after its header or after its pixels."""
    comments: tuple[bytes, ...] = ()
    """Comments to write into a JPEG or GIF file."""
    big: bool = False
    """Write BigTIFF whatever the size."""
    half: bool = False
    """Whether 16-bit values are the bits of float16, which libvips does not know."""
    code_points: CodePoints | None = None
    """Colors to state by number."""


class PictureFile(ABC):
    """An opened picture file: the header has been read, the pixels have not."""

    format: ClassVar[Format]
    path: Path

    width: int
    """Columns of the upright picture."""
    height: int
    """Rows of the upright picture."""
    channels: int
    """Channels as stored in the file."""
    bits: int
    """Bits per channel of the decoded pixels: 8 or 16, or 32 for floating-point numbers."""
    code_points: CodePoints | None = None
    """The colors that the file states by number, if they are not those of sRGB."""

    @property
    def coding(self) -> JpegCoding | None:
        """How the pixels are coded if that is JPEG; `None` otherwise, or if the file does not state it."""
        return None

    @property
    def vp8_quantizer(self) -> float | None:
        """Quantizer index of lossy WebP, 0 (finest) to 127; `None` of other files."""
        return None

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of every picture that `decode_all` reads; the attributes are those of the first."""
        return ((self.width, self.height),)

    def choose(self, number: int) -> None:
        """Make `decode` read the picture of this number, from 1, in place of the first.

        Raises:
            PictureError: There is no such picture, or it cannot be read.
            pyvips.Error: From libvips.
        """
        if number != 1:
            raise PictureError(f"{printable(self.path)} has no frame or page {number} that can be read alone")

    @classmethod
    def recognizes(cls, start: bytes, path: Path) -> bool:
        """Whether a file is of this format, for formats without a signature.

        Args:
            start: Its first 256 bytes, or all if it has fewer.
            path: Its name.
        """
        raise NotImplementedError("this format has a signature")

    @abstractmethod
    def __init__(self, path: Path) -> None:
        """Read the header of `path`.

        Raises:
            PictureError: The header is of a kind that is not supported; `DamagedError` when it is invalid.
            MissingPackageError: An optional decoder is not installed.
            pyvips.Error: From libvips.
        """

    @abstractmethod
    def decode(self, limits: Limits, *, spill_folder: Path | None) -> Picture:
        """Decode the picture.

        Args:
            limits: Their time limit ends decoding.
            spill_folder: Where to put the pixels in a temporary file; `None` to hold them in memory.

        Raises:
            PictureError: The pixels are of an unsupported kind, time or disk space ran out; `DamagedError` when the
                file is damaged.
            pyvips.Error: From libvips.
        """

    def decode_all(self, limits: Limits, *, spill_folder: Path | None) -> Sequence:
        """Decode all pictures: frames at once, pages when their turn comes; arguments and errors as for `decode`."""
        return single(self.decode(limits, spill_folder=spill_folder))

    @classmethod  # noqa: B027 - most need nothing
    def check_encoder(cls, path: Path, bits: int) -> None:
        """Raise `MissingPackageError` if an optional encoder is needed to write `path` and not installed."""

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        """Encode `image`, which has a depth and channels that the format stores, to `path`.

        Raises:
            pyvips.Error: From libvips.
            OSError: From the system.
            ValueError: The encoder failed; the reason in one line.
        """
        raise NotImplementedError("this format is only read")
