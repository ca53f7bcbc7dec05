"""The one door through which picture files come in.

Every loader is called by name for a format told by content; nothing is guessed by libvips, fetched or run.

Public names: :func:`open_picture`, :class:`Stated`, :func:`read_header`, :func:`waits_in_file`, :func:`read_size`,
:func:`read_rgb8`, :func:`as_rgb8`, and for the way out :func:`file_name`, :func:`one_line_errors`,
:func:`block_other_loaders`.
"""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn._support.atomic import shown
from mafdn.errors import EncodeError, PictureError
from mafdn.pictures import netpbm
from mafdn.pictures.chunks import color_of, count_pictures, frames_of, read_chunks
from mafdn.pictures.color import check_profile
from mafdn.pictures.formats import Format, damaged, sniff
from mafdn.pictures.heic import read_heic, require_heic
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import ICC, fields_of_tags, read_fields
from mafdn.pictures.nclx import stated_color
from mafdn.pictures.picture import SCREEN, Picture, Pixels, space_of
from mafdn.pictures.spill import LARGE, disk_error, spill
from mafdn.pictures.tiff import Directory, check_directory, read_directory
from mafdn.pixels.rows import Rows

DEPTHS = {"uchar": np.uint8, "ushort": np.uint16}
UNREAD = re.compile(r"not (supported|configured|implemented)|unsupported|out of memory", re.IGNORECASE)
"""What codecs say of files that may well be whole."""
GREY, RGB = ("b-w", "grey16"), ("srgb", "rgb16", "rgb")
LOADERS = {
    "JPEG": pyvips.Image.jpegload_source,
    "PNG": pyvips.Image.pngload_source,
    "WebP": pyvips.Image.webpload_source,
    "TIFF": pyvips.Image.tiffload_source,
    "AVIF": pyvips.Image.heifload_source,
    "HEIC": pyvips.Image.heifload_source,
    "GIF": pyvips.Image.gifload_source,
}
LOADER_CLASSES = ("Jpeg", "Png", "Webp", "Tiff", "Heif", "Nsgif")


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a file's header says; width and height are those of the upright picture."""

    format: Format
    width: int
    height: int
    channels: int
    bits: int
    """8 or 16: those of the pixels when read."""

    @property
    def plain_bytes(self) -> int:
        """What the pixels take when read."""
        return self.width * self.height * self.channels * self.bits // 8


def open_picture(path: Path, *, limits: Limits | None = None, scratch: Path | None = None) -> Picture:
    """Decode a picture file of any known format (chosen by content), upright and complete.

    Orientation is applied and its tag dropped; 8 and 16 bits, grey and color, alpha, ICC profile and
    metadata are kept; CMYK and Lab become sRGB with a note; of an animation the first frame is read. The pixels of a
    large picture wait in a file in the folder ``scratch``, where that is given, and not in memory. Raises
    :class:`DamagedError` with one line when the file is damaged, truncated or no known picture, :class:`PictureError`
    when it is missing or beyond ``limits``, and :class:`MissingPackageError` for HEIC without its decoder.
    """
    limits = limits or Limits()
    stated, image, directory = _opened(path, limits)
    kind = stated.format
    with one_line_errors(path):
        if image is None:
            return _open_pnm(path, kind)
        folder = scratch if waits_in_file(stated) else None
        if folder and _field(image, "orientation", 1) == 1:  # rows are needed in their own order, once
            image = _load(path, kind, directory, access="sequential")
        chunks = read_chunks(path) if kind.name == "PNG" else {}
        notes = _further(path, image, kind, frames_of(chunks)) + _notes(image)
        if directory and directory.further:
            notes.append(f"its {' and '.join(directory.further)} data were left out")
        if directory and directory.tiled and directory.absent:
            left_out = f"tiles that the file leaves out ({directory.absent}) were taken as black"
            notes.append(f"{left_out}; damage to others would not show")
        file_bits: int | None = None
        if kind.name == "HEIC":
            image, bits = _with_heic_pixels(path, image)
            file_bits = bits if bits in (10, 12) else None
        elif kind.name == "AVIF" and image.format == "ushort":
            file_bits = 12 if _field(image, "bits-per-sample", 10) == 12 else 10
        image = image.autorot()
        image, changed = _as_grey_or_rgb(image)
        if (image.width, image.height) != (stated.width, stated.height):
            raise damaged(path, "its sizes disagree")
        if file_bits is not None:
            image = _spread(image, file_bits, shifted=kind.name == "AVIF")
        bands = 1 if image.interpretation in GREY else 3
        if image.bands > bands + 1:
            unnamed = bands == 1 and directory is not None and not directory.alpha
            kept = 1 if unnamed else bands + 1
            notes.append(f"of {image.bands} channels the first {'was' if unnamed else f'{kept} were'} read")
            image = image.extract_band(0, n=kept)
        pixels = _pixels(path, image, limits, folder)
        profile = _field(image, ICC, None)
        if profile is None and kind.name in ("AVIF", "HEIC") and bands == 3:
            profile, said = stated_color(path)
            changed += [said] if said else []
        elif profile is None and kind.name == "PNG":
            profile, said = color_of(chunks, grey=bands == 1)
            changed += [said] if said else []
        problem = check_profile(profile, bands) if profile is not None else None
        if problem:
            profile = None
            changed.append(f"{problem}: it was left out, the picture taken as sRGB")
        return Picture(
            planes=pixels,
            format=kind,
            profile=profile,
            pixels_per_mm=_resolution(image),
            fields=read_fields(image) | (fields_of_tags(directory.texts) if directory else {}),
            file_bits=file_bits,
            notes=tuple(notes + changed),
        )


def read_header(path: Path, *, limits: Limits | None = None) -> Stated:
    """What the header of a picture file says, nothing decoded.

    Raises what :func:`open_picture` raises where the header shows it.
    """
    return _opened(path, limits or Limits())[0]


def _opened(path: Path, limits: Limits) -> tuple[Stated, pyvips.Image | None, Directory | None]:
    """What the header says, and what it was read from: an image (none of PNM), and the directory of a TIFF."""
    kind = sniff(path)
    limits.check_file(path)
    image, directory = None, None
    with one_line_errors(path):
        if kind.name == "PPM":
            header = netpbm.read_header(path)
            width, height, channels, bits = header.width, header.height, header.channels, header.bits
        else:
            if kind.name == "HEIC":
                require_heic(path)
            directory = read_directory(path) if kind.name == "TIFF" else None
            if directory:
                check_directory(path, directory)
            image = _load(path, kind, directory)
            width, height, channels = int(image.width), int(image.height), int(image.bands)
            bits = 8 if image.format in ("uchar", "char") else 16
            if _field(image, "orientation", 1) in (5, 6, 7, 8):
                width, height = height, width
    limits.check_pixels(path, width, height)
    stated = Stated(format=kind, width=width, height=height, channels=channels, bits=bits)
    return stated, image, directory


def waits_in_file(stated: Stated) -> bool:
    """Whether the pixels of such a picture are too many to be in memory; those of PPM files are in a file already."""
    return stated.plain_bytes > LARGE and stated.format.name != "PPM"


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture file when upright, from its header alone."""
    stated = read_header(path)
    return stated.height, stated.width


def read_rgb8(path: Path) -> NDArray[np.uint8]:
    """A picture as (H, W, 3) uint8: alpha dropped, 16 bits rounded to 8, grey repeated."""
    return as_rgb8(open_picture(path).color)


def as_rgb8(color: Pixels) -> NDArray[np.uint8]:
    """An (H, W, 1 or 3) picture of 8 or 16 bits as (H, W, 3) uint8."""
    eight = color if color.dtype == np.uint8 else ((color.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(eight, (*eight.shape[:2], 3)), dtype=np.uint8)


def file_name(path: Path) -> str:
    """``path`` as libvips takes it: its bytes, since a name need not be UTF-8."""
    return cast(str, os.fsencode(path))


@contextmanager
def one_line_errors(path: Path, *, writing: bool = False) -> Generator[None]:
    """Turn every failure of the codecs into one line.

    Raises :class:`EncodeError` when ``writing``, else :class:`DamagedError`, or :class:`PictureError` where the file
    may well be whole.
    """
    try:
        yield
    except pyvips.Error as error:
        number = disk_error(error)
        lines = [re.sub(r"^\w*: ", "", line.strip()) for line in str(error).splitlines()]
        lines += [os.strerror(number)] if number else []
        reasons = [line for line in lines if line and not line.startswith(("unable to call", "unable to write"))]
        reason = reasons[-1] if reasons else "the codec gives no reason"
        if writing:
            raise EncodeError(f"{shown(path)} cannot be written ({reason})", errno=number) from None
        if UNREAD.search(reason):
            raise PictureError(f"{shown(path)} cannot be read here, convert it first ({reason})") from None
        raise damaged(path, reason) from None
    except MemoryError:
        raise PictureError(f"{shown(path)} needs more memory than there is") from None


def block_other_loaders() -> None:
    """Keep libvips, for the rest of this process, from every loader that this module does not call."""
    pyvips.operation_block_set("VipsForeignLoad", True)
    for name in LOADER_CLASSES:
        pyvips.operation_block_set(f"VipsForeignLoad{name}", False)


def _load(path: Path, kind: Format, directory: Directory | None, *, access: str = "random") -> pyvips.Image:
    # Errors in tiles are mere warnings to libvips; tiles that are absent on purpose are errors to it.
    strict = directory is not None and directory.tiled and not directory.absent
    source = pyvips.Source.new_from_file(file_name(path))
    return LOADERS[kind.name](source, fail_on="warning" if strict else "error", access=access)


def _open_pnm(path: Path, kind: Format) -> Picture:
    header = netpbm.read_header(path)
    notes = ["1 bit a channel became 8"] if header.kind in (1, 4) else []
    if netpbm.has_further(path, header):
        notes.append("only the first of several pictures was read")
    return Picture(planes=netpbm.read_pixels(path), format=kind, notes=tuple(notes))


def _notes(image: pyvips.Image) -> list[str]:
    """What of this file cannot come along, as far as its header tells."""
    notes: list[str] = []
    bits = int(_field(image, "bits-per-sample", 8))
    if bits < 8 and not _field(image, "palette", 0):
        notes.append(f"{bits} bit{'s' if bits > 1 else ''} a channel became 8")
    if image.get_typeof("gainmap-data"):
        notes.append("its gain map for bright displays was left out")
    return notes


def _further(path: Path, image: pyvips.Image, kind: Format, frames: int) -> list[str]:
    """That the file holds more than one picture, and how many of which kind."""
    pages = int(_field(image, "n-pages", 1))
    if pages > 1:
        moving = kind.name in ("GIF", "WebP") or image.get_typeof("delay")
        count, what = pages, "frames" if moving else "pages"
    elif kind.name == "JPEG":  # a gain map is one more picture
        count, what = count_pictures(path) - bool(image.get_typeof("gainmap-data")), "pictures"
    else:
        count, what = frames, "frames"
    return [f"only the first of {count} {what} was read"] if count > 1 else []


def _with_heic_pixels(path: Path, header: pyvips.Image) -> tuple[pyvips.Image, int]:
    """The pixels of a HEIC file with all that libvips reads of it, and its bits."""
    pixels, bits = read_heic(path)
    grey, deep = pixels.shape[2] < 3, pixels.dtype == np.uint16
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels)).copy(
        interpretation=space_of(grey=grey, deep=deep), xres=header.xres, yres=header.yres
    )
    for name in header.get_fields():
        if name == ICC or name.startswith(("exif-", "xmp-", "iptc-")):
            image.set_type(header.get_typeof(name), name, header.get(name))
    return image, bits


def _spread(image: pyvips.Image, bits: int, *, shifted: bool) -> pyvips.Image:
    """10 or 12 bits over the full range of 16; libvips only shifts them up, which leaves white a little grey."""
    values = image >> (16 - bits) if shifted else image
    full = (values.cast("double") * (65_535 / (2**bits - 1))).rint().cast("ushort")
    return full.copy(interpretation=image.interpretation)


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
    converted = image.colourspace(space_of(grey=False, deep=sixteen)).copy()
    if converted.get_typeof(ICC):
        converted.remove(ICC)
    return converted, [f"{space} was converted to sRGB"]


def _pixels(path: Path, image: pyvips.Image, limits: Limits, folder: Path | None) -> Rows:
    """(H, W, bands) in the file's own depth, in memory or a file in ``folder``, unless that takes too long."""
    if image.format not in DEPTHS:
        name = shown(path)
        raise PictureError(f"{name} has {image.format} pixels; 8 and 16 bit integers are supported, convert it first")
    if limits.seconds is not None:
        image = image.copy()
        image.set_progress(True)
        image.signal_connect("eval", lambda running, _: running.set_kill(limits.passed))  # pyright: ignore[reportUnknownLambdaType]
    try:
        if folder:
            return spill(image, folder)
        return np.asarray(image.numpy()).reshape(image.height, image.width, image.bands)
    except OSError as error:
        what = f"cannot put the pixels of {shown(path)} into {shown(folder or path)}"
        raise PictureError.from_os_error(what, error) from None
    finally:
        limits.check_time(path)


def _resolution(image: pyvips.Image) -> tuple[float, float]:
    """The print resolution; one pixel per mm is what libvips takes where a file has none."""
    stated = float(image.xres), float(image.yres)
    return stated if stated != (1.0, 1.0) or image.get_typeof("resolution-unit") else SCREEN


def _field(image: pyvips.Image, name: str, default: Any) -> Any:
    return image.get(name) if image.get_typeof(name) else default
