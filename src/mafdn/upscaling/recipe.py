"""A picture made larger: what happens around the network, a band of rows at a time.

Public names: :func:`enlarge`.
"""

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.pictures.picture import Picture, Pixels
from mafdn.pictures.profiles import Tone, find_tone
from mafdn.pixels.alpha import bleed_colors, snap_alpha
from mafdn.pixels.bands import resized_rows
from mafdn.pixels.rows import MappedRows, Rows, SlidingRows

BAND = 128
"""Rows of the result, and about as many of the picture where it is higher, that are in memory as float at a time."""
DEEP = 65_535.0
Network = Callable[[Rows], Iterator[Pixels]]
"""From (H, W, C) rows to bands of those that are a number of times larger, from the top."""


def enlarge(
    picture: Picture,
    size: tuple[int, int],
    *,
    network: Network,
    scale: int,
    strength: float = 1.0,
) -> Generator[Pixels]:
    """The rows of ``picture`` at ``size`` (width, height), from the top: bands of (any, width, C) in its own depth.

    ``network`` makes rows ``scale`` times larger. When that is not yet the size asked for, or
    ``strength`` in [0, 1] leaves a share to Lanczos, or the profile's tone curve is no display's, everything happens in
    16 bits or float and is rounded to the picture's depth once, at the end. A result with no side longer than the
    picture's is a Lanczos reduction alone.
    """
    width, height = size
    source = bleed_colors(picture.planes) if picture.transparent else picture.planes
    tone = find_tone(picture.profile, picture.colors)
    plain = size == (picture.width * scale, picture.height * scale) and strength == 1 and tone is None
    if plain:
        bands = network(source)
    else:
        deep = source
        if tone or source.dtype != np.uint16:
            deep = MappedRows(source, partial(_deep, tone=tone), np.uint16)
        bands = _resized(deep, size, network, scale, strength, partial(_rounded, tone=tone, dtype=source.dtype))
    top = 0
    for band in bands:
        if picture.transparent:
            snap_alpha(band[..., -1], top, picture.planes, (height, width))
        yield band
        top += len(band)


def _resized(
    deep: Rows,
    size: tuple[int, int],
    network: Network,
    scale: int,
    strength: float,
    rounded: Callable[[NDArray[np.float32]], Pixels],
) -> Generator[Pixels]:
    """Bands of 16-bit rows enlarged by network and Lanczos."""
    (high, wide, channels), (width, height) = deep.shape, size
    wanted = strength > 0 and (width > wide or height > high)
    larger = SlidingRows(network(deep), (high * scale, wide * scale, channels), np.uint16) if wanted else deep
    share = strength if wanted else 1.0
    step = max(1, min(BAND, BAND * height // high))  # of a strong reduction, each row is made of many
    for start in range(0, height, step):
        rows = range(start, min(start + step, height))
        values = resized_rows(larger, rows, shape=(height, width))
        if share < 1:
            values *= share
            values += (1 - share) * resized_rows(deep, rows, shape=(height, width))
        yield rounded(values)


def _deep(planes: Pixels, *, tone: Tone | None) -> Pixels:
    """(H, W, C) in 16 bits, the color channels on a display's tone curve."""
    if tone is None:
        return planes.astype(np.uint16) * np.uint16(257)
    deep = np.empty(planes.shape, np.uint16)
    step = 1 if planes.dtype == np.uint16 else 257
    for channel in range(planes.shape[2]):
        if channel < len(tone.to_display):
            table = np.rint(tone.to_display[channel] * DEEP).astype(np.uint16)[::step]
            deep[..., channel] = table[planes[..., channel]]
        else:
            deep[..., channel] = planes[..., channel].astype(np.uint16) * np.uint16(step)
    return deep


def _rounded(values: NDArray[np.float32], *, tone: Tone | None, dtype: np.dtype[Any]) -> Pixels:
    """Float values over the range of 16 bits (changed in place), off the display's curve again, in ``dtype``."""
    values /= np.float32(DEEP)
    np.clip(values, 0, 1, out=values)
    if tone is not None:
        grid = np.linspace(0, 1, len(tone.from_display[0]), dtype=np.float32)
        for channel, table in enumerate(tone.from_display):
            values[..., channel] = np.interp(values[..., channel], grid, table)
    values *= np.float32(np.iinfo(dtype).max)
    return np.rint(values, out=values).astype(dtype)
