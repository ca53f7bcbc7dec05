"""Files that a library decodes into an array, and what such codecs have in common."""

import errno
import struct
import warnings
from abc import abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn._support.atomic import printable
from mafdn._support.extras import pip_install
from mafdn.errors import MissingPackageError, PictureError
from mafdn.pictures.codecs.base import PictureFile
from mafdn.pictures.codecs.foreign.blocks import fields_of_blocks
from mafdn.pictures.floats import cleaned_floats
from mafdn.pictures.libvips import NOT_DAMAGE, damaged, space_of
from mafdn.pictures.limits import Limits
from mafdn.pictures.picture import DEFAULT_PIXELS_PER_MM, Picture, Pixels
from mafdn.pictures.profiles import PROFILE_IGNORED, check_profile, grey_profile
from mafdn.pictures.spill import spill, spill_errors

DECODER_ERRORS: tuple[type[Exception], ...] = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, struct.error),
)
"""What decoders written in Python raise for damaged files."""
COLORS_OF_CHANNELS = (1, 1, 3, 3)
"""Number of color channels among 1 to 4."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What a decoder gives."""

    pixels: Pixels
    """(H, W, 1 to 4) upright: grey or RGB, then alpha if present. uint8 or uint16 over the full range, or float32."""
    profile: bytes | None = None
    pixels_per_mm: tuple[float, float] = DEFAULT_PIXELS_PER_MM
    exif: bytes | None = None
    xmp: bytes | None = None
    file_bits: int | None = None
    """As in `Picture`."""
    notes: tuple[str, ...] = ()


class ArrayFile(PictureFile):
    """A file that is decoded whole, into an array."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.width = self.height = self.channels = 0
        self.bits = 8
        with decoder_errors(path):
            self.read_header()
        if self.width <= 0 or self.height <= 0:
            raise damaged(path, "its header has no size")

    @abstractmethod
    def read_header(self) -> None:
        """Set `width`, `height`, `channels` and `bits`; errors as in `read`."""

    @abstractmethod
    def read(self) -> Decoded:
        """Decode the file.

        Raises:
            PictureError: The pixels are of an unsupported kind.
            DECODER_ERRORS: The file is damaged.
        """

    def decode(self, limits: Limits, *, spill_folder: Path | None) -> Picture:
        with decoder_errors(self.path), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of decoders about oddities that they handle
            decoded = self.read()
        limits.check_time(self.path)
        pixels = np.ascontiguousarray(decoded.pixels)
        if pixels.shape[:2] != (self.height, self.width):
            raise damaged(self.path, "its sizes disagree")
        profile, notes, colors = decoded.profile, list(decoded.notes), COLORS_OF_CHANNELS[pixels.shape[2] - 1]
        floating = pixels.dtype.kind == "f"
        if floating:
            cleaned, changes = cleaned_floats(pixels, transparent=pixels.shape[2] > colors)
            pixels = np.ascontiguousarray(cleaned[:])
            notes += changes
        if profile and colors == 1:
            profile = grey_profile(profile) or profile
        problem = check_profile(profile, colors) if profile else None
        if problem:
            profile = None
            notes.append(f"{problem}: {PROFILE_IGNORED.format('linear light' if floating else 'sRGB')}")
        with spill_errors(self.path, spill_folder):
            planes = spill(pyvips.Image.new_from_array(pixels), spill_folder) if spill_folder else pixels
        return Picture(
            planes=planes,
            format=self.format,
            profile=profile or None,
            code_points=self.code_points,
            pixels_per_mm=decoded.pixels_per_mm,
            fields=fields_of_blocks(exif=decoded.exif, xmp=decoded.xmp),
            file_bits=decoded.file_bits,
            notes=tuple(notes),
        )


@contextmanager
def decoder_errors(path: Path) -> Generator[None]:
    """Turn every failure of a decoder into one line.

    Raises:
        DamagedError: The decoder failed.
        PictureError: The file cannot be read, or the decoder does not support a file that may be intact.
    """
    try:
        yield
    except DECODER_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # EINVAL: seeking before the start
            raise PictureError.from_os_error(f"cannot read {printable(path)}", error) from None
        if NOT_DAMAGE.search(reason) or isinstance(error, NotImplementedError):
            raise PictureError(f"{printable(path)} cannot be read here, convert it first ({reason})") from None
        raise damaged(path, "it ends too early" if reason.endswith("NEED_MORE_INPUT") else reason) from None


@contextmanager
def encoder_errors() -> Generator[None]:
    """Turn failures of an encoder, except for those of the system, into `ValueError` with one line."""
    try:
        yield
    except OSError:
        raise
    except DECODER_ERRORS as error:
        raise ValueError(" ".join(str(error).split())) from None


def require(package: str, path: Path, what: str) -> Any:
    """Import `package` of the extra `formats`.

    Args:
        package: The module to import.
        path: The picture for which it is needed.
        what: What the picture is, for the message: "is JPEG XL".

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        return import_module(package)
    except ImportError:
        needed = f"{printable(path)} {what}, which needs {package}: {pip_install('formats')}"
        raise MissingPackageError(needed) from None


def over_full_range(values: NDArray[Any], bits: int) -> Pixels:
    """Stretch values of `bits` bits to uint8 (up to 8 bits) or uint16, so that white is its largest value."""
    full, top = (255 if bits <= 8 else 65_535), 2**bits - 1
    if top == full:
        return values
    wide = (np.minimum(values, top).astype(np.uint32) * full + top // 2) // top
    return wide.astype(np.uint8 if full == 255 else np.uint16)


def with_three_axes(pixels: NDArray[Any]) -> NDArray[Any]:
    """(H, W) as (H, W, 1); others unchanged."""
    return pixels[..., None] if pixels.ndim == 2 else pixels


def without_empty_alpha(pixels: Pixels) -> tuple[Pixels, tuple[str, ...]]:
    """Drop an alpha channel of zeros, as programs write that do not know of it; and the note on that."""
    if pixels.shape[2] in (2, 4) and not pixels[..., -1].any():
        return pixels[..., :-1], ("its alpha channel, clear everywhere, was left out",)
    return pixels, ()


def image_of(pixels: Pixels) -> pyvips.Image:
    """(H, W, 1 to 4) pixels as an image in grey or RGB."""
    space = space_of(grey=pixels.shape[2] < 3, deep=pixels.dtype == np.uint16)
    return pyvips.Image.new_from_array(np.ascontiguousarray(pixels)).copy(interpretation=space)


def straight(values: Pixels) -> Pixels:
    """Divide colors by the alpha that they were multiplied by."""
    top = {"f": 1.0}.get(values.dtype.kind, 255.0 if values.dtype.itemsize == 1 else 65_535.0)
    alpha = values[..., -1:].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        colors = np.where(alpha > 0, values[..., :-1] * (top / alpha), 0)
    if values.dtype.kind != "f":
        colors = np.minimum(np.rint(colors), top)
    return cast(Pixels, np.concatenate([colors.astype(values.dtype), values[..., -1:]], 2))
