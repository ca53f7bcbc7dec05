"""Reading picture files: the one way into the package.

Formats are detected by content and each is decoded by its own codec; libvips never guesses, fetches or runs anything.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.codecs import FORMATS, codec_of
from mafdn.pictures.codecs.base import PictureFile
from mafdn.pictures.formats import sniff
from mafdn.pictures.libvips import codec_errors
from mafdn.pictures.limits import Limits
from mafdn.pictures.picture import CodePoints, Format, Picture, Pixels
from mafdn.pictures.sequences.sequence import Sequence
from mafdn.pictures.spill import LARGE


@dataclass(frozen=True, kw_only=True)
class PictureHeader:
    """The header of an opened picture file, from which the picture can be decoded.

    It can keep the file open, so hold on to sizes rather than to many headers.
    """

    path: Path
    format: Format
    """Detected by content."""
    width: int
    """Columns of the upright picture."""
    height: int
    """Rows of the upright picture."""
    channels: int
    """Channels as stored in the file."""
    bits: int
    """Bits per channel of the decoded pixels: 8 or 16, or 32 for floating-point numbers."""
    code_points: CodePoints | None
    """The colors that the file states by number, if they are not those of sRGB."""
    file: PictureFile = field(repr=False, compare=False)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of every picture that `decode_all` reads: frames and pages."""
        return self.file.sizes

    @property
    def pixel_bytes(self) -> int:
        """Size of the decoded pixels in bytes."""
        return self.bytes_of(self.width * self.height)

    def bytes_of(self, pixels: int) -> int:
        """Size of this many decoded pixels in bytes."""
        return pixels * self.channels * self.bits // 8

    @property
    def spills_to_disk(self) -> bool:
        """Whether `decode` puts the pixels into a temporary file, given a folder: they are too many for memory."""
        return self.pixel_bytes > LARGE and not self.format.raw

    def decode(self, *, limits: Limits | None = None, scratch: Path | None = None) -> Picture:
        """Decode the picture, upright and complete.

        Orientation is applied and its tag dropped. 8 and 16 bits and floating-point numbers, grey and color, alpha, ICC
        profile, colors by number and metadata are kept. CMYK and Lab become sRGB, with a note. Of several
        pictures the chosen one is read, by default the first.

        Args:
            limits: Their time limit ends decoding.
            scratch: Folder for a temporary file with the pixels of a large picture; `None` to decode to memory.

        Raises:
            DamagedError: The file is damaged or truncated.
            PictureError: The pixels are of an unsupported kind, or time, memory or disk space ran out.
        """
        with codec_errors(self.path):
            return self.file.decode(limits or Limits(), spill_folder=scratch if self.spills_to_disk else None)

    def decode_all(self, *, limits: Limits | None = None, scratch: Path | None = None) -> Sequence:
        """Decode all frames of an animation, each complete, or pages; a file of one picture is a sequence of one.

        Frames are decoded now, pages when their turn comes. Arguments and errors are those of `decode`.
        """
        spills = self.bytes_of(sum(width * height for width, height in self.sizes)) > LARGE and not self.format.raw
        with codec_errors(self.path):
            return self.file.decode_all(limits or Limits(), spill_folder=scratch if spills else None)


def read_header(path: Path, *, limits: Limits | None = None, number: int | None = None) -> PictureHeader:
    """Open a picture file of any known format and read its header; nothing is decoded.

    Args:
        path: The file; its name and ending do not matter.
        limits: Refuse files and pictures beyond these.
        number: Which frame or page `decode` reads, from 1 (default: the first, with a note if there are others).

    Raises:
        DamagedError: The file is of no known format, or its header is damaged.
        PictureError: The file is missing, unsupported or beyond `limits`.
        MissingPackageError: The file is HEIC and its decoder is not installed.
    """
    limits = limits or Limits()
    known = sniff(path)
    limits.check_file(path)
    with codec_errors(path):
        file = codec_of(known)(path)
        if number is not None:
            file.choose(number)
    limits.check_pixels(path, file.width, file.height)
    return PictureHeader(
        path=path,
        format=known,
        width=file.width,
        height=file.height,
        channels=file.channels,
        bits=file.bits,
        code_points=file.code_points,
        file=file,
    )


def open_picture(path: Path, *, limits: Limits | None = None, scratch: Path | None = None) -> Picture:
    """Read a picture file: `read_header` and `PictureHeader.decode`, with their arguments and errors."""
    limits = limits or Limits()
    return read_header(path, limits=limits).decode(limits=limits, scratch=scratch)


def read_integers(path: Path, *, advice: str = "convert it to 8 or 16 bits first") -> Picture:
    """Read a picture of 8 or 16 bits.

    Raises:
        PictureError: The picture cannot be read, or it has floating-point numbers; the message then ends in `advice`.
    """
    return decode_integers(read_header(path), advice=advice)


def decode_integers(header: PictureHeader, *, advice: str) -> Picture:
    """Decode an opened picture of 8 or 16 bits; errors as for `read_integers`."""
    picture = None if header.bits > 16 else header.decode()
    if picture is None or picture.floating:
        raise PictureError(f"{printable(header.path)} has floating-point numbers; {advice}")
    return picture


def read_rgb8(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 3) uint8: alpha dropped, 16 bits rounded to 8, grey repeated.

    Raises:
        PictureError: As `read_integers`.
    """
    return as_rgb8(read_integers(path).color)


def as_rgb8(color: Pixels) -> NDArray[np.uint8]:
    """Convert an (H, W, 1 or 3) picture of 8 or 16 bits to (H, W, 3) uint8."""
    eight = color if color.dtype == np.uint8 else ((color.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(eight, (*eight.shape[:2], 3)), dtype=np.uint8)


def block_other_loaders() -> None:
    """Block, for the rest of this process, all libvips loaders that no codec uses."""
    pyvips.operation_block_set("VipsForeignLoad", True)
    for known in FORMATS.values():
        if known.loader_class is not None:
            pyvips.operation_block_set(known.loader_class, False)
