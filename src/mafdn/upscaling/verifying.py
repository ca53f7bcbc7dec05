"""Verification of results: `mafdn.verify`, and of every picture that is upscaled if the options ask for it."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mafdn._support.validate import as_kind, as_path, as_whole
from mafdn.errors import MafdnError
from mafdn.inference.upscale import check_array, native
from mafdn.pictures.limits import Limits
from mafdn.pictures.sequences.sequence import MOST_PICTURES
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.pillow import is_image, to_array
from mafdn.verification.figures import Verification

Array = NDArray[Any]


def verify(
    source: Any,
    result: Any,
    *,
    frame: int | None = None,
    limits: Limits | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Compare an upscaled picture with its original: reduce it to the original size again.

    The reduction is antialiased bicubic (MATLAB's `imresize`). What is left of the original's values shows what was
    added or lost; for a JPEG, so does the share of its DCT coefficients that the reduced result still meets.

    Example:
        verification = mafdn.verify("photo.jpg", "photo_x4.jpg")
        print(verification.mean_difference, verification.coefficients)

    Args:
        source: The original: the path of a picture file, an array as for `mafdn.upscale`, or an image of Pillow.
        result: The upscaled picture, in any format and size. An array has the colors of the other side if that is a
            file.
        frame: Number of the only frame of an animation, or page of a TIFF file, to compare, from 1 (default: all if
            the result has as many, else the first).
        limits: Limits on the size of both pictures and files, and on the time (default: `Limits()`).
        on_progress: Called as `on_progress(done, total)`, in rows of the original.

    Returns:
        The differences, in 8-bit levels.

    Raises:
        PictureError: If a file cannot be read or exceeds a limit, or the sides of the two have different ratios.
        UsageError: If an argument is invalid.
    """
    from mafdn.verification.verify import verify_pictures  # not needed to upscale

    limits = None if limits is None else as_kind("limits", limits, Limits).begun()
    return verify_pictures(
        _rows_or_path("source", source),
        _rows_or_path("result", result),
        frame=None if frame is None else as_whole("frame", frame, least=1, most=MOST_PICTURES),
        limits=limits,
        on_progress=on_progress,
    )


def verify_result(
    source: Path,
    result: Path,
    options: UpscaleOptions,
    *,
    seconds: float,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Verification | None, tuple[str, ...]]:
    """Verify a result that has just been written.

    Args:
        source: The picture.
        result: The result.
        options: How it was upscaled.
        seconds: How much of the time limit is used up.
        on_progress: Called as `on_progress(done, total)`; may raise.

    Returns:
        The verification; or `None` and a note that says why there is none. The result is complete all the same.
    """
    from mafdn.verification.verify import verify_pictures

    try:
        verification = verify_pictures(
            source,
            result,
            frame=options.frame,
            limits=replace(options.limits, began=time.monotonic() - seconds),
            result_limits=Limits(pixels=sys.maxsize, file_mb=math.inf),
            on_progress=on_progress,
        )
    except (MafdnError, MemoryError, OSError) as error:
        reason = str(error) or "it does not fit into memory"
        return None, (f"the result was not verified: {reason}",)
    return verification, ()


def _rows_or_path(name: str, picture: Any) -> Path | Array:
    """Return a path, or (H, W, C) pixels of any type that `mafdn.upscale` takes."""
    if isinstance(picture, np.ndarray):
        array = cast(Array, picture)
    elif is_image(picture):
        array = to_array(picture)
    else:
        return as_path(name, picture, wanted="an array or a path")
    check_array(array)
    return native(array if array.ndim == 3 else array[..., None])
