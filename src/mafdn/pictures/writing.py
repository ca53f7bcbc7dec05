"""Writing pictures: whole under their final name, or not at all.

Public names: :func:`save_picture`, :func:`check_encodable`, :func:`reserve`.
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
from mafdn.pictures.formats import Format
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import EXIF, ICC, IPTC, XMP, file_name, one_line_errors

QUALITY = 95
BLOCKS = {EXIF: "EXIF", XMP: "XMP", IPTC: "IPTC"}


def check_encodable(path: Path, target: Format, *, width: int, height: int) -> None:
    """Raise :class:`PictureError` when ``target`` cannot hold a picture of this size."""
    if max(width, height) > target.largest_side:
        raise PictureError(
            f"cannot write {path}: {width}x{height} is beyond {target.name}'s limit of {target.largest_side} "
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
        raise PictureError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        _publish(temporary, final, overwrite=overwrite)
    except OSError as error:
        raise PictureError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def save_picture(
    picture: Picture, path: Path, target: Format, *, name: Path | None = None, quality: int = QUALITY
) -> tuple[str, ...]:
    """Encode ``picture`` into the file ``path``; returns what ``target`` could not keep, a sentence each.

    Profile and metadata go with it; chroma is never subsampled. Raises :class:`PictureError`, which
    speaks of ``name`` where ``path`` is only temporary.
    """
    name = name or path
    notes: list[str] = []
    color, alpha = picture.color, picture.alpha
    with one_line_errors(name, "cannot be written"):
        image = pyvips.Image.new_from_array(np.ascontiguousarray(color))
        grey, deep = color.shape[2] == 1, color.dtype == np.uint16
        space = ("grey16" if deep else "b-w") if grey else ("rgb16" if deep else "srgb")
        if alpha is not None:
            image = image.bandjoin(pyvips.Image.new_from_array(np.ascontiguousarray(alpha)))
        image = image.copy(interpretation=space, xres=picture.pixels_per_mm[0], yres=picture.pixels_per_mm[1])
        if alpha is not None and not target.alpha:
            image = image.flatten(background=[65_535.0 if deep else 255.0])
            notes.append(f"{target.name} has no transparency: the picture was laid on white")
        if deep and not target.depth16:
            image = (image / 257).rint().cast("uchar").copy(interpretation="b-w" if grey else "srgb")
            notes.append(f"{target.name} has 8 bits: 16 were rounded")
        for field, (kind, value) in picture.fields.items():
            block = BLOCKS.get(field, "EXIF" if field.startswith("exif-") else None)
            if block is None or block in target.metadata:
                image.set_type(kind, field, value)
            elif field in BLOCKS:
                notes.append(f"{target.name} files are written without {block}: it was left out")
        if EXIF in picture.fields:  # which holds the old orientation, whatever the fields say
            image.set_type(pyvips.GValue.gint_type, "orientation", 1)
        if picture.profile is not None:
            image.set_type(pyvips.GValue.blob_type, ICC, cast(Any, picture.profile))
        _encode(image, path, target, quality)
    return tuple(notes)


def _encode(image: pyvips.Image, path: Path, target: Format, quality: int) -> None:
    name = file_name(path)
    if target.name == "JPEG":
        image.jpegsave(name, Q=quality, subsample_mode="off")
    elif target.name == "PNG":
        image.pngsave(name, compression=6)
    elif target.name == "WebP":
        image.webpsave(name, Q=quality, smart_subsample=True)
    else:
        image.tiffsave(name, compression="deflate", predictor="horizontal", bigtiff=_is_big(image))


def _is_big(image: pyvips.Image) -> bool:
    sample = 2 if image.format == "ushort" else 1
    return image.width * image.height * image.bands * sample > 2**31


def _refuse(path: Path, *, overwrite: bool) -> None:
    if path.is_dir():
        raise PictureError(f"cannot write {path}: it is a folder")
    if path.exists() and not path.is_file():
        raise PictureError(f"cannot write {path}: it is no regular file")
    if not overwrite and os.path.lexists(path):
        raise PictureError(f"{path} exists; give another name or --overwrite")


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
