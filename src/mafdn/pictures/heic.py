"""HEIC pixels, which the libvips that pip brings cannot decode, through the extra ``heic``.

libvips reads everything else of such a file. The extra is pi-heif, which carries libheif and a decoder (LGPL) and no
encoder.

Public names: :func:`require_heic`, :func:`read_heic`.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np

from mafdn._support.atomic import shown
from mafdn.errors import MissingPackageError, PictureError
from mafdn.pictures.formats import damaged
from mafdn.pictures.picture import Pixels

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def require_heic(path: Path) -> Any:
    """The decoder; raises :class:`MissingPackageError` when it is not installed."""
    try:
        import pi_heif  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
    except ImportError:
        raise MissingPackageError(f"{shown(path)} is HEIC, which needs pi-heif: pip install 'mafdn[heic]'") from None
    return cast(Any, pi_heif)


def read_heic(path: Path) -> tuple[Pixels, int]:
    """(H, W, 1 to 4) upright pixels, uint8 or the whole range of uint16, and the bits the file has.

    Raises :class:`PictureError`, :class:`DamagedError` when the file is damaged, and :class:`MissingPackageError`.
    """
    decoder = require_heic(path)
    try:
        image = decoder.open_heif(str(path), convert_hdr_to_8bit=False)
        bits = int(image.info.get("bit_depth", 8))
        mode, _, _ = str(image.mode).partition(";")
        pixels = np.asarray(image)
    except (ValueError, OSError, RuntimeError, EOFError, SyntaxError) as error:
        reason = " ".join(str(error).split())
        raise damaged(path, reason) from None
    if mode not in CHANNELS:
        raise PictureError(f"{shown(path)} has {mode} pixels; grey and RGB are supported")
    pixels = pixels.reshape(*pixels.shape[:2], CHANNELS[mode])
    return (pixels.astype(np.uint8), 8) if pixels.dtype.itemsize == 1 else (pixels.astype(np.uint16), bits)
