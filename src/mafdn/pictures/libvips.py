"""Common ground with libvips: file names, color space names, image fields, errors."""

import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips

from mafdn._support.atomic import DISK_ERRORS, printable
from mafdn._support.machine import thread_count
from mafdn.errors import DamagedError, EncodeError, PictureError
from mafdn.pictures.limits import Limits
from mafdn.pictures.picture import Pixels

NOT_DAMAGE = re.compile(r"not (supported|configured|implemented)|unsupported|out of memory", re.IGNORECASE)
"""Codec messages about files that may be intact."""

PIXEL_TYPES: Mapping[object, type[np.generic]] = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}
"""NumPy types of the libvips band formats of pixels that are supported."""

THREADS = thread_count()
if THREADS is not None and not os.environ.get("VIPS_CONCURRENCY"):
    # libvips does not know about quotas of containers.
    pyvips.concurrency_set(THREADS)  # pyright: ignore[reportAttributeAccessIssue]


def file_name(path: Path) -> str:
    """`path` as pyvips takes it: as bytes, because a file name need not be UTF-8."""
    return cast(str, os.fsencode(path))


def space_of(*, grey: bool, deep: bool) -> str:
    """The libvips name for the color space of grey or RGB pixels, 16 bits per channel if `deep`."""
    if grey:
        return "grey16" if deep else "b-w"
    return "rgb16" if deep else "srgb"


def field_of(image: pyvips.Image, name: str, default: Any) -> Any:
    """The value of a metadata field, or `default` if the image has no such field."""
    return image.get(name) if image.get_typeof(name) else default


def array_of(image: pyvips.Image) -> Pixels:
    """All pixels of an image as (H, W, C)."""
    return np.asarray(image.numpy()).reshape(image.height, image.width, image.bands)


def stop_at_limit(image: pyvips.Image, limits: Limits) -> None:
    """Make the evaluation of `image`, which must not be shared, stop at `set_kill` and at the time limit."""
    image.set_progress(True)  # without it, libvips does not look for either
    if limits.seconds is not None:

        def check(running: pyvips.Image, _: object) -> None:
            running.set_kill(limits.exceeded)

        image.signal_connect("eval", check)


def damaged(path: Path, reason: str) -> DamagedError:
    """The error for a file of a known format with invalid content."""
    return DamagedError(f"{printable(path)} seems damaged or incomplete ({reason})")


def disk_error(error: pyvips.Error) -> int | None:
    """The errno in `DISK_ERRORS` behind a libvips error, which carries the system's text but no number."""
    ends = {f" error: {os.strerror(number)}": number for number in DISK_ERRORS}
    return next((ends[end] for line in str(error).splitlines() for end in ends if line.rstrip().endswith(end)), None)


@contextmanager
def codec_errors(path: Path, *, writing: bool = False) -> Generator[None]:
    """Turn every codec failure into an error of one line.

    Args:
        path: The file to name in the message.
        writing: Whether a file is encoded rather than decoded.

    Raises:
        EncodeError: The codec failed while writing.
        DamagedError: The codec failed while reading.
        PictureError: Memory ran out, or the codec does not support a file that may be intact.
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
            raise EncodeError(f"{printable(path)} cannot be written ({reason})", errno=number) from None
        if NOT_DAMAGE.search(reason):
            raise PictureError(f"{printable(path)} cannot be read here, convert it first ({reason})") from None
        raise damaged(path, reason) from None
    except MemoryError:
        raise PictureError(f"{printable(path)} needs more memory than is available") from None
