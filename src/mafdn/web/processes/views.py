"""Parts of pictures as the page shows them: windows at any whole-number reduction, and thumbnails."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn.pictures.encoding import KEEP_PROFILE, EncodeOptions, save_picture
from mafdn.pictures.formats import FORMATS
from mafdn.pictures.libvips import space_of
from mafdn.pictures.metadata import ICC
from mafdn.pictures.picture import Picture
from mafdn.pixels.resize import imresize, taps
from mafdn.pixels.rows import Rows

Array = NDArray[Any]
PIECE = 2**24
"""Target number of values that are read at a time."""
PNG_EFFORT = 1
"""zlib level of previews: they are sent once, mostly within one machine."""
WEBP_QUALITY = 90


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of a picture, in pixels of the picture reduced by `reduce`."""

    x: int
    y: int
    width: int
    height: int
    reduce: int

    def within(self, width: int, height: int) -> "Window | None":
        """Return the part that lies in a picture of this size; `None` if there is none."""
        wide, high = math.ceil(width / self.reduce), math.ceil(height / self.reduce)
        if self.x >= wide or self.y >= high:
            return None
        return replace(self, width=min(self.width, wide - self.x), height=min(self.height, high - self.y))


def reduced_window(rows: Rows, window: Window) -> Array:
    """Return a window of a picture, each pixel the mean of `reduce` x `reduce` pixels or what is left at the border."""
    factor = window.reduce
    height, width, channels = rows.shape
    left, right = window.x * factor, min(width, (window.x + window.width) * factor)
    if factor == 1:
        return np.ascontiguousarray(rows[window.y : window.y + window.height][:, left:right])
    result = np.empty((window.height, window.width, channels), rows.dtype)
    step = max(1, PIECE // (width * channels * factor))
    starts = np.arange(0, right - left, factor)
    for top in range(0, window.height, step):
        lines = slice((window.y + top) * factor, min(height, (window.y + min(top + step, window.height)) * factor))
        part = rows[lines][:, left:right]
        sums = np.add.reduceat(part, starts, axis=1, dtype=np.float32)
        tops = np.arange(0, part.shape[0], factor)
        sums = np.add.reduceat(sums, tops, axis=0)
        across = np.diff(np.append(starts, part.shape[1]))
        down = np.diff(np.append(tops, part.shape[0]))
        means = sums / (down[:, None, None] * across[None, :, None])
        result[top : top + len(means)] = means if rows.dtype.kind == "f" else np.rint(means)
    return result


def enlarged_window(rows: Rows, new_size: tuple[int, int], window: Window) -> Array:
    """Return a window of a picture resized by MATLAB's bicubic to `new_size` divided by `reduce`.

    It equals that part of the whole picture resized by `imresize`, but only the rows that it needs are read.
    """
    height, width, _ = rows.shape
    axes = (
        _axis(height, new_size[1], window.reduce, window.y, window.height),
        _axis(width, new_size[0], window.reduce, window.x, window.width),
    )
    spans = [slice(int(indices.min()), int(indices.max()) + 1) for indices, _ in axes]
    part = rows[spans[0]][:, spans[1]]
    factors = (new_size[1] / height, new_size[0] / width)
    for axis in sorted((0, 1), key=lambda axis: factors[axis]):  # as in `imresize`
        indices, weights = axes[axis]
        part = _weighted(part, axis, indices - spans[axis].start, weights)
    return part


def thumbnail(rows: Rows, side: int) -> Array:
    """Return a picture reduced so that its longest side has at most `side` pixels."""
    height, width, _ = rows.shape
    longest = max(width, height)
    if longest <= side:
        return rows[:]
    factor = max(1, longest // (2 * side))
    wide, high = math.ceil(width / factor), math.ceil(height / factor)
    coarse = reduced_window(rows, Window(x=0, y=0, width=wide, height=high, reduce=factor))
    shape = (max(1, round(height * side / longest)), max(1, round(width * side / longest)))
    return imresize(coarse, shape=shape)


def encode(picture: Picture, part: Array, folder: Path, *, kind: str) -> bytes:
    """Encode a part of a picture as `png` or `webp`, with the colors of the picture.

    8 and 16 bits become 8; what has floating-point numbers or colors stated by number is written as results are.
    """
    if picture.floating or picture.code_points is not None:
        path = folder / f"part.{kind}"
        small = Picture(planes=part, format=picture.format, profile=picture.profile, code_points=picture.code_points)
        try:
            save_picture(small, path, FORMATS["PNG"], options=EncodeOptions(strip=True))
            return path.read_bytes()
        finally:
            path.unlink(missing_ok=True)
    if part.dtype == np.uint16:
        part = ((part.astype(np.uint32) + 128) // 257).astype(np.uint8)
    grey = part.shape[2] < 3
    image = pyvips.Image.new_from_array(np.ascontiguousarray(part)).copy(interpretation=space_of(grey=grey, deep=False))
    if picture.profile is not None:
        image.set_type(pyvips.GValue.blob_type, ICC, cast(Any, picture.profile))
    if kind == "webp":
        return image.webpsave_buffer(Q=WEBP_QUALITY, effort=0, keep=KEEP_PROFILE)
    return image.pngsave_buffer(compression=PNG_EFFORT, keep=KEEP_PROFILE)


def _axis(old: int, new: int, reduce: int, start: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the inputs and weights of the outputs from `start` on along an axis."""
    indices, weights = taps(old, math.ceil(new / reduce), new / old / reduce, "bicubic")
    return indices[start : start + count], weights[start : start + count]


def _weighted(part: Array, axis: int, indices: NDArray[np.intp], weights: NDArray[np.float64]) -> Array:
    """Return the weighted sums of a part of a picture along an axis; integers are rounded and clipped."""
    moved = np.moveaxis(part, axis, 0)
    total = np.zeros((len(indices), *moved.shape[1:]), np.float64)
    for tap in range(indices.shape[1]):
        total += weights[:, tap, None, None] * moved[indices[:, tap]]
    if part.dtype.kind != "f":
        total = np.clip(np.floor(total + 0.5), 0, np.iinfo(part.dtype).max)
    return np.moveaxis(total, 0, axis).astype(part.dtype)
