"""Upscaling an array with an engine, whole or in tiles.

Public names: :func:`upscale`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import UsageError
from mafdn.inference.engines import Batch, Engine
from mafdn.inference.tiles import Span, Tiling, plan, ramp

Array = NDArray[Any]
RANGES = {"uint8": 255.0, "uint16": 65_535.0, "float32": 1.0}
"""The value of white for every type that is taken."""


def upscale(
    engine: Engine,
    array: Array,
    *,
    tiling: Tiling | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Array:
    """Upscale an (H, W, C) or (H, W) array by the engine's scale; type and channels stay.

    Types: uint8 and uint16 over their full range, float32 in [0, 1] (results are clipped to it).
    Channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; alpha is not premultiplied, and goes
    through the network as grey.
    ``on_progress(done, total)`` is called after every tile. Besides the result, memory holds one row of
    tiles. Raises :class:`UsageError` for other types and shapes.
    """
    _check(array)
    tiling = tiling or Tiling()
    planes = array if array.ndim == 3 else array[..., None]
    height, width, channels = planes.shape
    groups = {1: [(0,)], 2: [(0,), (1,)], 3: [(0, 1, 2)], 4: [(0, 1, 2), (3,)]}[channels]
    flat = [len(g) == 1 and bool((planes[..., g[0]] == planes[0, 0, g[0]]).all()) for g in groups]
    result = np.empty((height * engine.scale, width * engine.scale, channels), array.dtype)
    rows, columns = plan(height, width, tiling)
    total = len(rows) * len(columns) * flat.count(False)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if on_progress:
            on_progress(done, total)

    for group, constant in zip(groups, flat, strict=True):
        if constant:  # an opaque alpha stays exactly opaque, and costs nothing
            result[..., group] = planes[0, 0, group]
        else:
            _upscale_group(engine, planes, result, group, rows, columns, tiling.fade, tick)
    return result if array.ndim == 3 else result[..., 0]


def _upscale_group(
    engine: Engine,
    planes: Array,
    result: Array,
    group: tuple[int, ...],
    rows: list[Span],
    columns: list[Span],
    fade: int,
    tick: Callable[[], None],
) -> None:
    """Fill ``result[..., group]`` row of tiles by row of tiles, from the top."""
    scale = engine.scale
    waiting = np.zeros((0, result.shape[1], len(group)), np.float32)  # shared with the row above
    for row in rows:
        band = np.zeros((row.size * scale, result.shape[1], len(group)), np.float32)
        for column in columns:
            part = planes[row.start : row.start + row.size, column.start : column.start + column.size, group]
            output = engine.run(_to_batch(part))[0].transpose(1, 2, 0)  # (sH, sW, 3)
            if len(group) == 1:
                output = output.mean(2, keepdims=True)
            left = column.start * scale
            band[:, left : left + output.shape[1]] += output * ramp(column, scale, fade)[None, :, None]
            tick()
        band *= ramp(row, scale, fade)[:, None, None]
        band[: len(waiting)] += waiting
        settled = len(band) - row.after * scale
        top = row.start * scale
        result[top : top + settled, :, group] = _from_unit(band[:settled], result.dtype)
        waiting = band[settled:]


def _to_batch(part: Array) -> Batch:
    unit = part.astype(np.float32) / np.float32(RANGES[part.dtype.name])
    rgb = np.broadcast_to(unit, (*unit.shape[:2], 3))
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)[None])


def _from_unit(values: Batch, dtype: np.dtype[Any]) -> Array:
    """``values`` (changed in place: a row of tiles is large) clipped, scaled and rounded for ``dtype``."""
    np.clip(values, 0.0, 1.0, out=values)
    values *= np.float32(RANGES[dtype.name])
    return np.rint(values, out=values).astype(dtype) if dtype.kind == "u" else values


def _check(array: Array) -> None:
    if array.dtype.name not in RANGES:
        raise UsageError(f"pictures are uint8, uint16 or float32 in [0, 1], not {array.dtype}")
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 1 <= array.shape[2] <= 4):
        raise UsageError(f"a picture is (H, W) or (H, W, C) with 1 to 4 channels, not {array.shape}")
    if 0 in array.shape:
        raise UsageError(f"a picture needs at least one pixel, not {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UsageError("the picture holds values that are not finite")
