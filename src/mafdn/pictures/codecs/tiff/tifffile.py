"""TIFF files whose pixels libvips cannot read: they are decoded by the extra `formats`, tifffile with imagecodecs.

tifffile (BSD) reads the directories and imagecodecs (BSD) decodes. Pictures are held in memory as a whole.
"""

import contextlib
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.codecs.foreign.arrays import require
from mafdn.pictures.libvips import NOT_DAMAGE, PIXEL_TYPES, damaged, space_of
from mafdn.pictures.metadata import ICC, XMP

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
"""Color spaces (PhotometricInterpretation) that are supported."""
DECODED_TO_RGB = (6, 7, 34_892, 34_934, 22_610, 50_001)
"""Compressions whose decoders convert YCbCr to RGB."""
PREMULTIPLIED = 1
"""Of ExtraSamples: alpha that the colors have been multiplied by."""
UNITS_PER_MM = {1: 1, 2: 1 / 25.4, 3: 1 / 10}
"""Print resolution in pixels per mm of one pixel per unit, by ResolutionUnit: none (as in libvips), inch or cm."""

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # or Python prints its remarks on damaged entries


def open_header(path: Path, reason: str, *, page: int = 0) -> pyvips.Image:
    """An image with the size, type and metadata of a TIFF file's picture, and no pixels.

    Args:
        path: The file.
        reason: What libvips cannot read of it, for errors.
        page: Which picture, from 0.

    Raises:
        MissingPackageError: tifffile or imagecodecs is not installed.
        DamagedError: The file is damaged.
        PictureError: The pixels are of an unsupported kind.
    """
    with _opened(path, reason) as file:
        found, tags = file.pages[page], file.pages[page].tags
        if not _is_decoded(int(found.compression)):
            raise PictureError(f"{printable(path)} is a TIFF with {reason}, which is not supported; convert it first")
        kind = _type_of(path, found)
        if not _is_supported(found) or kind is None:
            raise PictureError(
                f"{printable(path)} is a TIFF of {found.dtype} pixels in {found.photometric.name} with {reason}; "
                "convert it first"
            )
        palette = int(found.photometric) == PALETTE
        kind = np.uint8 if palette else kind
        channels, name = (
            3 if palette else int(found.samplesperpixel),
            next(n for n, t in PIXEL_TYPES.items() if t is kind),
        )
        image = pyvips.Image.black(int(found.imagewidth), int(found.imagelength), bands=channels)
        unit = UNITS_PER_MM.get(int(tags.valueof(296, 2)), 1 / 25.4)
        across, down = (_ratio(tags.valueof(tag)) * unit for tag in (282, 283))
        image = image.cast(cast(str, name)).copy(interpretation=_space(found, kind), xres=1.0, yres=1.0)
        image.set_type(pyvips.GValue.gint_type, "n-pages", len(file.pages))
        image.set_type(pyvips.GValue.gint_type, "orientation", int(tags.valueof(274, 1)))
        if across > 0 and down > 0:
            image = image.copy(xres=across, yres=down)
            image.set_type(pyvips.GValue.gstr_type, "resolution-unit", "in")
        for field, tag in ((ICC, 34_675), (XMP, 700)):
            block = tags.valueof(tag)
            if isinstance(block, bytes) and block:
                image.set_type(pyvips.GValue.blob_type, field, cast(Any, block))
        return image


def with_pixels(image: pyvips.Image, path: Path, reason: str, *, page: int = 0) -> pyvips.Image:
    """What `open_header` returned, with the pixels: white is the highest value, alpha is not premultiplied."""
    with _opened(path, reason) as file:
        found = file.pages[page]
        pixels = np.asarray(found.asarray())
        if found.samplesperpixel > 1 and int(found.planarconfig) == 2:
            pixels = np.moveaxis(pixels, 0, -1)
        kind = PIXEL_TYPES[image.format]
        if int(found.photometric) == PALETTE:
            pixels = _over_full_range(np.asarray(found.colormap), 16, kind).T[pixels]
        elif pixels.dtype.kind == "u" and found.bitspersample < 8 * pixels.dtype.itemsize:
            pixels = _over_full_range(pixels, int(found.bitspersample), kind)
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which is looked for later
            pixels = pixels.reshape(image.height, image.width, image.bands).astype(kind)
        colors = 1 if int(found.photometric) in (WHITE_IS_ZERO, BLACK_IS_ZERO) else 3
        if image.bands > colors and found.extrasamples and int(found.extrasamples[0]) == PREMULTIPLIED:
            pixels = _unpremultiplied(pixels, colors)
        if int(found.photometric) == WHITE_IS_ZERO:
            pixels[..., :colors] = _white(pixels) - pixels[..., :colors]
    decoded = pyvips.Image.new_from_array(np.ascontiguousarray(pixels))
    decoded = decoded.copy(interpretation=image.interpretation, xres=image.xres, yres=image.yres)
    for name in image.get_fields():
        if name in (ICC, XMP, "orientation", "resolution-unit", "n-pages"):
            decoded.set_type(image.get_typeof(name), name, image.get(name))
    return decoded


@contextlib.contextmanager
def _opened(path: Path, reason: str) -> Generator[Any]:
    """The file, opened by tifffile, whose errors become ours."""
    require("imagecodecs", path, f"is a TIFF with {reason}")
    tifffile = require("tifffile", path, f"is a TIFF with {reason}")
    try:
        with tifffile.TiffFile(path) as file:
            yield file
    except (MemoryError, PictureError):
        raise
    except Exception as error:  # decoders raise all kinds
        cause = " ".join(str(error).split()) or type(error).__name__
        if NOT_DAMAGE.search(cause) or cause.startswith("COMPRESSION."):
            name = f"{printable(path)} is a TIFF with {reason}"
            raise PictureError(f"{name}, which is not supported ({cause}); convert it first") from None
        raise damaged(path, cause) from None


def _is_decoded(compression: int) -> bool:
    """Whether tifffile has a decoder for this compression."""
    import tifffile  # pyright: ignore

    decoders = cast(Any, tifffile).TIFF.DECOMPRESSORS
    try:
        return decoders[compression] is not None
    except KeyError:
        return False


def _type_of(path: Path, page: Any) -> type[np.generic] | None:
    """The type that pixels are held as; `None` if they are of no supported kind."""
    dtype = np.dtype(page.dtype) if page.dtype is not None else None
    if dtype is None:
        return None
    if page.imagedepth != 1:
        raise damaged(path, "it has several layers of pixels")
    if dtype.kind == "f":
        return np.float32
    return next((t for t in (np.uint8, np.uint16) if dtype == t), None)


def _is_supported(page: Any) -> bool:
    space, channels = int(page.photometric), int(page.samplesperpixel)
    if space == PALETTE:
        return channels == 1 and page.colormap is not None
    if space == YCBCR:
        return int(page.compression) in DECODED_TO_RGB and channels == 3
    return space in (WHITE_IS_ZERO, BLACK_IS_ZERO) or (space == RGB and channels >= 3)


def _space(page: Any, kind: type[np.generic]) -> str:
    grey = int(page.photometric) in (WHITE_IS_ZERO, BLACK_IS_ZERO)
    return "scrgb" if kind is np.float32 and not grey else space_of(grey=grey, deep=kind is np.uint16)


def _over_full_range(values: NDArray[Any], bits: int, kind: type[np.generic]) -> NDArray[Any]:
    """Stretch integers of `bits` bits to the whole range of `kind`."""
    top, full = 2**bits - 1, 255 if kind is np.uint8 else 65_535
    return ((values.astype(np.uint32) * full + top // 2) // top).astype(kind)


def _ratio(value: Any) -> float:
    """A fraction as TIFF has it, 0 if there is none."""
    return value[0] / value[1] if isinstance(value, tuple) and len(value) == 2 and value[1] else 0.0


def _white(pixels: NDArray[Any]) -> Any:
    return pixels.dtype.type(1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max)


def _unpremultiplied(pixels: NDArray[Any], colors: int) -> NDArray[Any]:
    """Divide colors by alpha, the channel after them; those of clear pixels become 0."""
    white = float(_white(pixels))
    alpha = pixels[..., colors : colors + 1].astype(np.float64) / white
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.where(alpha > 0, pixels[..., :colors] / alpha, 0)
    if pixels.dtype.kind != "f":
        result = np.rint(np.minimum(result, white))
    return np.concatenate([result.astype(pixels.dtype), pixels[..., colors:]], axis=2)
