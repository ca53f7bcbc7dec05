"""Writing pictures: whole under their final name, or not at all.

Public names: :func:`save_picture`, :func:`written_bits`, :func:`check_encodable`, :func:`reserve`.
"""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips

from mafdn.errors import PictureError
from mafdn.files import shown
from mafdn.pictures.formats import Format
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import BLOCKS, EXIF, ICC
from mafdn.pictures.netpbm import write_pixels
from mafdn.pictures.picture import Picture, space_of
from mafdn.pictures.reading import file_name, one_line_errors

QUALITY = 95
KEEP_PROFILE, KEEP_ALL = 8, 31  # libvips's flags
AVIF_EFFORT = 3
"""Of 9; each step more takes about twice the time for one or two percent of the size."""


def check_encodable(path: Path, target: Format, *, width: int, height: int) -> None:
    """Raise :class:`PictureError` when ``target`` cannot hold a picture of this size."""
    if max(width, height) > target.largest_side:
        raise PictureError(
            f"cannot write {shown(path)}: {width}x{height} is beyond {target.name}'s limit of {target.largest_side} "
            "pixels a side; choose PNG or TIFF"
        )


@contextmanager
def reserve(path: Path, *, overwrite: bool) -> Generator[Path]:
    """A temporary file beside ``path`` to write into; on success it becomes ``path``, else it vanishes.

    Raises :class:`PictureError` at once when the folder is missing or not writable, or when ``path``
    exists and ``overwrite`` is false.
    """
    try:
        _refuse(path, overwrite=overwrite)
        final = path.resolve() if overwrite else path  # a link that may be overwritten is written through
        temporary = final.with_name(f".{secrets.token_hex(6)}.partial")
        temporary.open("xb").close()
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise PictureError(f"cannot write {shown(path)}: {getattr(error, 'strerror', None) or error}") from None
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        _publish(temporary, final, overwrite=overwrite)
    except OSError as error:
        raise PictureError(f"cannot write {shown(path)}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def save_picture(
    picture: Picture,
    path: Path,
    target: Format,
    *,
    name: Path | None = None,
    quality: int | None = None,
    lossless: bool = False,
    strip: bool = False,
    limits: Limits | None = None,
) -> tuple[str, ...]:
    """Encode ``picture`` into the file ``path``; returns what ``target`` could not keep, a sentence each.

    Profile and metadata go with it, unless ``strip`` leaves the metadata out; chroma is never subsampled where the
    format has a choice. ``quality`` (1 to 100) is for JPEG, WebP and AVIF; ``lossless`` overrules it. Raises
    :class:`PictureError`, which speaks of ``name`` where ``path`` is only temporary.
    """
    name = name or path
    with one_line_errors(name, "cannot be written"):
        image, notes = _fitted(picture, target)
        if target.name == "PPM":
            write_pixels(image.numpy().reshape(image.height, image.width, image.bands), path)
            return tuple(notes + _lost(picture, target, strip=strip))
        for field, (kind, value) in picture.fields.items():
            block = BLOCKS.get(field, "EXIF" if field.startswith("exif-") else None)
            if not strip and (block is None or block in target.metadata):
                image.set_type(kind, field, value)
        if EXIF in picture.fields and not strip:  # which holds the old orientation, whatever the fields say
            image.set_type(pyvips.GValue.gint_type, "orientation", 1)
        if limits is not None and limits.seconds is not None:
            image.set_progress(True)
            image.signal_connect("eval", lambda running, _: running.set_kill(limits.passed))
        try:
            used = _quality(picture, target) if quality is None else quality
            _encode(image, path, target, used, lossless=lossless, bits=written_bits(picture, target), strip=strip)
        finally:
            if limits is not None:
                limits.check_time(name)
    return tuple(notes + _lost(picture, target, strip=strip))


def _fitted(picture: Picture, target: Format) -> tuple[pyvips.Image, list[str]]:
    """The pixels as ``target`` can hold them, with their profile, and what that changed."""
    notes: list[str] = []
    color, alpha = picture.color, picture.alpha
    grey, deep = color.shape[2] == 1, color.dtype == np.uint16
    image = pyvips.Image.new_from_array(np.ascontiguousarray(color))
    if alpha is not None:
        image = image.bandjoin(pyvips.Image.new_from_array(np.ascontiguousarray(alpha)))
    space = space_of(grey=grey, deep=deep)
    image = image.copy(interpretation=space, xres=picture.pixels_per_mm[0], yres=picture.pixels_per_mm[1])
    if picture.profile is not None:
        image.set_type(pyvips.GValue.blob_type, ICC, cast(Any, picture.profile))
        if "ICC" not in target.metadata or (grey and not target.grey):
            image = image.icc_transform("srgb", embedded=True, depth=16 if deep else 8)
            what = (
                f"{target.name} has no color profile" if "ICC" not in target.metadata else f"{target.name} has no grey"
            )
            notes.append(f"{what}: the picture was converted to sRGB")
            grey = False
    if alpha is not None and not target.alpha:
        image = image.flatten(background=[65_535.0 if deep else 255.0])
        notes.append(f"{target.name} has no transparency: the picture was laid on white")
    bits = written_bits(picture, target)
    if bits < picture.bits:
        notes.append(f"{target.name} has {bits} bits: {picture.bits} were rounded")
    if deep and bits == 8:
        image = (image / 257).rint().cast("uchar").copy(interpretation=space_of(grey=grey, deep=False))
    elif deep and bits < 16:  # the encoder cuts off the low bits
        top = 2**bits - 1
        image = ((image * (top / 65_535)).rint() * 2 ** (16 - bits)).cast("ushort")
        image = image.copy(interpretation=space_of(grey=grey, deep=True))
    return image.copy(), notes


def _quality(picture: Picture, target: Format) -> int:
    """AVIF stores transparency at the quality of its colors, and only the highest keeps opaque parts opaque."""
    return 100 if target.name == "AVIF" and picture.alpha is not None else QUALITY


def _lost(picture: Picture, target: Format, *, strip: bool) -> list[str]:
    """The blocks of metadata that ``target`` is written without, a sentence each."""
    blocks = [] if strip else [BLOCKS[f] for f in picture.fields if f in BLOCKS and BLOCKS[f] not in target.metadata]
    return [f"{target.name} files are written without {block}: it was left out" for block in blocks]


def written_bits(picture: Picture, target: Format) -> int:
    """The depth ``target`` is written with: the least that holds the picture's, else its greatest."""
    return min((b for b in target.bits if b >= picture.bits), default=target.bits[-1])


def _encode(
    image: pyvips.Image, path: Path, target: Format, quality: int, *, lossless: bool, bits: int, strip: bool
) -> None:
    name = file_name(path)
    keep = KEEP_PROFILE if strip else KEEP_ALL
    if target.name == "JPEG":
        image.jpegsave(name, Q=quality, subsample_mode="off", keep=keep)
    elif target.name == "PNG":
        image.pngsave(name, compression=6, keep=keep)
    elif target.name == "WebP" and lossless:
        image.webpsave(name, lossless=True, exact=True, keep=keep)
    elif target.name == "WebP":
        image.webpsave(name, Q=quality, smart_subsample=True, keep=keep)
    elif target.name == "AVIF":
        image.heifsave(
            name,
            compression="av1",
            bitdepth=bits,
            Q=quality,
            lossless=lossless,
            subsample_mode="off",
            effort=AVIF_EFFORT,
            keep=keep,
        )
    elif target.name == "GIF":
        image.gifsave(name, keep=keep)
    else:
        image.tiffsave(name, compression="deflate", predictor="horizontal", bigtiff=_is_big(image), keep=keep)


def _is_big(image: pyvips.Image) -> bool:
    sample = 2 if image.format == "ushort" else 1
    return image.width * image.height * image.bands * sample > 2**31


def _refuse(path: Path, *, overwrite: bool) -> None:
    if path.is_dir():
        raise PictureError(f"cannot write {shown(path)}: it is a folder")
    if path.exists() and not path.is_file():
        raise PictureError(f"cannot write {shown(path)}: it is no regular file")
    if not overwrite and os.path.lexists(path):
        raise PictureError(f"{shown(path)} exists; give another name or --overwrite")


def _publish(temporary: Path, final: Path, *, overwrite: bool) -> None:
    """Give the finished file its name; without ``overwrite`` the name is taken only if it is still free."""
    if not overwrite:
        try:
            os.link(temporary, final)
        except OSError:  # the name is taken, or the file system has no hard links
            _refuse(final, overwrite=False)
        else:
            return
    temporary.replace(final)
