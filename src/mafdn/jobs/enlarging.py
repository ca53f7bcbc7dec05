"""A picture made larger: what happens around the network, on arrays.

Public names: :func:`enlarge`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.pictures.alpha import extend_colors, settle_alpha
from mafdn.pictures.picture import Picture, Pixels
from mafdn.pictures.profiles import Tone, find_tone
from mafdn.pixels.bands import resized_rows

BAND = 128
"""Rows of the result that are in memory as float at a time."""
DEEP = 65_535.0


def enlarge(
    picture: Picture,
    size: tuple[int, int],
    *,
    network: Callable[[Pixels], Pixels],
    scale: int,
    strength: float = 1.0,
) -> Picture:
    """``picture`` at ``size`` (width, height) pixels; profile, metadata, depth and channels stay.

    ``network`` makes an (H, W, C) array ``scale`` times larger. When that is not yet the size asked for, or
    ``strength`` in [0, 1] leaves a share to Lanczos, or the profile's tone curve is no display's, everything happens in
    16 bits or float and is rounded to the picture's depth once, at the end. A result with no side longer than the
    picture's is a Lanczos reduction alone.
    """
    width, height = size
    alpha = picture.alpha
    if alpha is not None:
        picture = replace(picture, color=extend_colors(picture.color, alpha))
    planes, bands = picture.planes, picture.color.shape[2]
    tone = find_tone(picture.profile, bands)
    plain = size == (picture.width * scale, picture.height * scale) and strength == 1 and tone is None
    if plain:
        result = network(planes)
    else:
        planes = _deep(planes, tone)
        wanted = strength > 0 and (width > picture.width or height > picture.height)
        larger = network(planes) if wanted else planes
        share = strength if wanted else 1.0
        result = np.empty((height, width, planes.shape[2]), picture.color.dtype)
        for start in range(0, height, BAND):
            rows = range(start, min(start + BAND, height))
            values = resized_rows(larger, rows, size=(height, width))
            if share < 1:
                values *= share
                values += (1 - share) * resized_rows(planes, rows, size=(height, width))
            result[rows.start : rows.stop] = _rounded(values, tone, picture.color.dtype)
    if alpha is not None:
        settle_alpha(result[..., bands], alpha)
    return replace(picture, color=result[..., :bands], alpha=None if alpha is None else result[..., bands])


def _deep(planes: Pixels, tone: Tone | None) -> Pixels:
    """(H, W, C) in 16 bits, the color channels on a display's tone curve."""
    if tone is None:
        return planes if planes.dtype == np.uint16 else planes.astype(np.uint16) * np.uint16(257)
    deep = np.empty(planes.shape, np.uint16)
    step = 1 if planes.dtype == np.uint16 else 257
    for channel in range(planes.shape[2]):
        if channel < len(tone.to_display):
            table = np.rint(tone.to_display[channel] * DEEP).astype(np.uint16)[::step]
            deep[..., channel] = table[planes[..., channel]]
        else:
            deep[..., channel] = planes[..., channel].astype(np.uint16) * np.uint16(step)
    return deep


def _rounded(values: NDArray[np.float32], tone: Tone | None, dtype: np.dtype[Any]) -> Pixels:
    """Float values over the range of 16 bits (changed in place), off the display's curve again, in ``dtype``."""
    values /= np.float32(DEEP)
    np.clip(values, 0, 1, out=values)
    if tone is not None:
        grid = np.linspace(0, 1, len(tone.from_display[0]), dtype=np.float32)
        for channel, table in enumerate(tone.from_display):
            values[..., channel] = np.interp(values[..., channel], grid, table)
    values *= np.float32(np.iinfo(dtype).max)
    return np.rint(values, out=values).astype(dtype)
