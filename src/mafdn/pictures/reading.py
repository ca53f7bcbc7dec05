"""The one door through which picture files come in.

Public names: :func:`open_picture`, :func:`read_size`, :func:`read_rgb8`, and for the way out
:func:`file_name`, :func:`one_line_errors`.
"""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn.errors import PictureError
from mafdn.pictures.formats import Format, sniff
from mafdn.pictures.picture import Picture, Pixels

ICC, EXIF, XMP, IPTC = "icc-profile-data", "exif-data", "xmp-data", "iptc-data"
DAMAGED = "seems damaged or incomplete"
XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|\s*>\s*))[2-8]""")
DEPTHS = {"uchar": np.uint8, "ushort": np.uint16}
TEXTS = ("exif-ifd", "png-comment-", "image-description")
GREY, RGB = ("b-w", "grey16"), ("srgb", "rgb16", "rgb")


def open_picture(path: Path) -> Picture:
    """Decode a JPEG, PNG, WebP or TIFF file (chosen by content), upright and complete.

    Orientation is applied and its tag dropped; 8 and 16 bits, grey and color, alpha, ICC profile and
    metadata are kept; CMYK and Lab become sRGB with a note. Raises :class:`PictureError` with one line when the
    file is missing, damaged, truncated or of another kind.
    """
    kind = sniff(path)
    with one_line_errors(path, DAMAGED):
        image = _load(path, kind)
        pages = _field(image, "n-pages", 1)
        notes = [f"only the first of {pages} pages was read"] if pages > 1 else []
        image = image.autorot()
        image, changed = _as_grey_or_rgb(image)
        pixels = _pixels(path, image)
        bands = 1 if image.interpretation in GREY else 3
        if pixels.shape[2] > bands + 1:
            notes.append(f"of {pixels.shape[2]} channels the first {bands + 1} were read")
        alpha = pixels[..., bands] if pixels.shape[2] > bands else None
        return Picture(
            color=pixels[..., :bands],
            alpha=alpha,
            format=kind,
            profile=_field(image, ICC, None),
            pixels_per_mm=(float(image.xres), float(image.yres)),
            fields=_metadata(image),
            notes=tuple(notes + changed),
        )


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture file when upright, from its header alone."""
    kind = sniff(path)
    with one_line_errors(path, DAMAGED):
        image = _load(path, kind)
        height, width = int(image.height), int(image.width)
        turned = _field(image, "orientation", 1) in (5, 6, 7, 8)
        return (width, height) if turned else (height, width)


def read_rgb8(path: Path) -> NDArray[np.uint8]:
    """A picture as (H, W, 3) uint8: alpha dropped, 16 bits rounded to 8, grey repeated."""
    color = open_picture(path).color
    eight = color if color.dtype == np.uint8 else ((color.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(eight, (*eight.shape[:2], 3)), dtype=np.uint8)


def file_name(path: Path) -> str:
    """``path`` as libvips takes it: its bytes, since a name need not be UTF-8."""
    return cast(str, os.fsencode(path))


@contextmanager
def one_line_errors(path: Path, problem: str) -> Generator[None]:
    """Turn every failure of the codecs into one :class:`PictureError`, ``path`` and ``problem`` first."""
    try:
        yield
    except pyvips.Error as error:
        lines = [re.sub(r"^\w*: ", "", line.strip()) for line in str(error).splitlines()]
        reasons = [line for line in lines if line and not line.startswith(("unable to call", "unable to write"))]
        raise PictureError(f"{path} {problem} ({reasons[-1] if reasons else 'the codec gives no reason'})") from None
    except MemoryError:
        raise PictureError(f"{path} needs more memory than there is") from None


def _load(path: Path, kind: Format) -> pyvips.Image:
    source = pyvips.Source.new_from_file(file_name(path))
    loaders = {
        "JPEG": pyvips.Image.jpegload_source,
        "PNG": pyvips.Image.pngload_source,
        "WebP": pyvips.Image.webpload_source,
        "TIFF": pyvips.Image.tiffload_source,
    }
    return loaders[kind.name](source, fail_on="error")


def _as_grey_or_rgb(image: pyvips.Image) -> tuple[pyvips.Image, list[str]]:
    """Bring exotic color spaces to sRGB; the common ones stay exactly as they are."""
    space = str(image.interpretation)
    if space in GREY + RGB:
        return image, []
    if space == "multiband" and image.bands in (1, 2):
        return image.copy(interpretation="b-w"), []
    if space == "cmyk":
        depth = 8 if image.format == "uchar" else 16
        converted = image.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=depth)
        return converted, ["CMYK was converted to sRGB"]
    sixteen = image.format not in ("uchar", "char")
    converted = image.colourspace("rgb16" if sixteen else "srgb").copy()
    if ICC in converted.get_fields():
        converted.remove(ICC)
    return converted, [f"{space} was converted to sRGB"]


def _pixels(path: Path, image: pyvips.Image) -> Pixels:
    """(H, W, bands) in the file's own depth."""
    if image.format not in DEPTHS:
        raise PictureError(f"{path} has {image.format} pixels; 8 and 16 bit integers are supported, convert it first")
    return np.asarray(image.numpy()).reshape(image.height, image.width, image.bands)


def _field(image: pyvips.Image, name: str, default: Any) -> Any:
    return image.get(name) if name in image.get_fields() else default


def _metadata(image: pyvips.Image) -> dict[str, tuple[Any, Any]]:
    """EXIF, XMP, IPTC and texts; the embedded thumbnail and orientation no longer fit and stay behind."""
    kept: dict[str, tuple[Any, Any]] = {}
    for name in image.get_fields():
        stale = name.startswith("exif-ifd1-") or name.endswith("-Orientation")
        if name in (EXIF, XMP, IPTC) or (name.startswith(TEXTS) and not stale):
            kept[name] = (image.get_typeof(name), image.get(name))
    if XMP in kept:
        kind, packet = kept[XMP]
        kept[XMP] = (kind, XMP_ORIENTATION.sub(rb"\g<1>1", packet))
    return kept
