"""What happens around the network: transparency, tone curves, other sizes and the share of Lanczos.

Everything is done a band of rows at a time.
"""

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.pixels.alpha import bleed_colors, snap_alpha
from mafdn.pixels.bands import resized_rows
from mafdn.pixels.floats import FloatView
from mafdn.pixels.rows import MappedRows, Rows, SlidingRows
from mafdn.pixels.tone import Tone

BAND_ROWS = 128
"""Rows that are in memory as float at a time, of the result or, for a reduction, of the picture."""
EXCESS_KERNEL = "bicubic"
"""Kernel for what lies outside of the network's range; Lanczos would leave a bright ring around a very bright pixel."""
WHITE_16 = 65_535.0
"""The value of white in 16 bits."""
Array = NDArray[Any]
Network = Callable[[Rows], Iterator[Array]]
"""Maps (H, W, C) rows to bands of the rows of a picture that is a number of times larger, from the top."""


def enlarge(
    planes: Rows,
    size: tuple[int, int],
    *,
    network: Network,
    scale: int,
    strength: float = 1.0,
    tone: Tone | None = None,
) -> Iterator[Array]:
    """Enlarge a picture as files are: with its transparency, and floats beyond [0, 1].

    Args:
        planes: As for `enlarge_rows`, or with alpha (`with_transparency`); float32 may leave [0, 1], except for alpha,
            and must be finite.
        size: As for `enlarge_rows`.
        network: As for `enlarge_rows`.
        scale: As for `enlarge_rows`.
        strength: As for `enlarge_rows`.
        tone: As for `enlarge_rows`.

    Returns:
        As `enlarge_rows`; float32 is neither rounded nor clipped.
    """
    way = _enlarge_floats if planes.dtype.kind == "f" else enlarge_rows
    return with_transparency(
        planes, size, partial(way, size=size, network=network, scale=scale, strength=strength, tone=tone)
    )


def with_transparency(planes: Rows, size: tuple[int, int], way: Callable[[Rows], Iterator[Array]]) -> Iterator[Array]:
    """Enlarge a picture in some way; with an even number of channels, the last one is alpha.

    Colors are extended below transparent parts, and clear and opaque parts stay exactly that.

    Args:
        planes: As for `enlarge`.
        size: As for `enlarge`.
        way: Enlarges planes to `size`.

    Returns:
        The bands of `way`.
    """
    if planes.shape[2] not in (2, 4):
        return way(planes)
    return _snapped(way(bleed_colors(planes)), planes, size)


def enlarge_rows(
    rows: Rows,
    size: tuple[int, int],
    *,
    network: Network,
    scale: int,
    strength: float = 1.0,
    tone: Tone | None = None,
) -> Iterator[Array]:
    """Enlarge (H, W, C) rows by the network, by Lanczos, or both.

    If the size is not that of the network's result, or Lanczos has a share, or there is a tone curve, everything is
    computed in 16 bits or float and rounded once, at the end. A result that is not larger than the picture on any side
    is a Lanczos reduction alone.

    Args:
        rows: uint8 or uint16 over their full range, or float32 in [0, 1].
        size: Width and height of the result.
        network: Enlarges rows `scale` times.
        scale: The network's scale.
        strength: Share of the network in the result, 0 to 1; the rest is Lanczos.
        tone: Tone curve of the color channels, if it is not that of a display.

    Returns:
        Bands of (any, width, C), from the top, of the type of `rows`.
    """
    if size == (rows.shape[1] * scale, rows.shape[0] * scale) and strength == 1 and tone is None:
        yield from network(rows)
        return
    deep = rows
    if tone or rows.dtype != np.uint16:
        deep = MappedRows(rows, partial(_to_16_bits, tone=tone), np.uint16)
    finish = partial(_from_16_bits, tone=tone, dtype=rows.dtype)
    for _, values in _resized(deep, size, network, scale, strength):
        yield finish(values)


def _enlarge_floats(
    rows: Rows, size: tuple[int, int], *, network: Network, scale: int, strength: float, tone: Tone | None
) -> Generator[Array]:
    """Yield bands of a float picture whose values may leave [0, 1]; arguments as for `enlarge`."""
    view = FloatView(rows, tone)
    shape = (size[1], size[0])
    for place, values in _resized(view.inside, size, network, scale, strength):
        values += view.outside(partial(resized_rows, rows=place, shape=shape, kernel=EXCESS_KERNEL))
        yield view.finish(values)


def _snapped(bands: Iterator[Array], planes: Rows, size: tuple[int, int]) -> Generator[Array]:
    """Yield bands whose alpha is exactly clear or opaque wherever that of `planes` is."""
    width, height = size
    top = 0
    for band in bands:
        snap_alpha(band[..., -1], top, planes, (height, width))
        yield band
        top += len(band)


def _resized(
    deep: Rows,
    size: tuple[int, int],
    network: Network,
    scale: int,
    strength: float,
) -> Generator[tuple[range, NDArray[np.float32]]]:
    """Yield bands of 16-bit or float rows enlarged by network and Lanczos, and their places."""
    (high, wide, channels), (width, height) = deep.shape, size
    use_network = strength > 0 and (width > wide or height > high)
    shape = (high * scale, wide * scale, channels)
    larger = SlidingRows(network(deep), shape, deep.dtype.type) if use_network else deep
    share = strength if use_network else 1.0
    step = max(1, min(BAND_ROWS, BAND_ROWS * height // high))  # in a strong reduction, each row depends on many
    for start in range(0, height, step):
        rows = range(start, min(start + step, height))
        values = resized_rows(larger, rows, shape=(height, width))
        if share < 1:
            values *= share
            values += (1 - share) * resized_rows(deep, rows, shape=(height, width))
        yield rows, values


def _to_16_bits(planes: Array, *, tone: Tone | None) -> NDArray[np.uint16]:
    """Convert (H, W, C) to 16 bits, the color channels to a display's tone curve."""
    if planes.dtype.kind == "f":
        return np.rint(np.clip(planes, 0, 1) * np.float32(WHITE_16)).astype(np.uint16)
    if tone is None:
        return planes.astype(np.uint16) * np.uint16(257)
    deep = np.empty(planes.shape, np.uint16)
    step = 1 if planes.dtype == np.uint16 else 257
    for channel in range(planes.shape[2]):
        if channel < len(tone.to_display):
            table = np.rint(tone.to_display[channel] * WHITE_16).astype(np.uint16)[::step]
            deep[..., channel] = table[planes[..., channel]]
        else:
            deep[..., channel] = planes[..., channel].astype(np.uint16) * np.uint16(step)
    return deep


def _from_16_bits(values: NDArray[np.float32], *, tone: Tone | None, dtype: np.dtype[Any]) -> Array:
    """Convert float values over the range of 16 bits to `dtype` and the picture's tone curve; `values` are changed."""
    values /= np.float32(WHITE_16)
    np.clip(values, 0, 1, out=values)
    if tone is not None:
        grid = np.linspace(0, 1, len(tone.from_display[0]), dtype=np.float32)
        for channel, table in enumerate(tone.from_display):
            values[..., channel] = np.interp(values[..., channel], grid, table)
    if dtype.kind == "f":
        return values
    values *= np.float32(np.iinfo(dtype).max)
    return np.rint(values, out=values).astype(dtype)
