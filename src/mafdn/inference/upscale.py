"""Upscaling an array with an engine, whole or in tiles.

Public names: :func:`upscale`, :func:`cut`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import UsageError
from mafdn.inference.engines import Batch, Engine
from mafdn.inference.gates import Windows, sample_windows
from mafdn.inference.tiles import TILE, Span, Tiling, plan, ramp

Array = NDArray[Any]
Run = Callable[[Batch], Batch]
FADED_TILE, MARGIN, FADE = 256, 8, 16
"""Tiles, in input pixels, of a network that cannot hold its gates; in the margin a tile's own padding shows."""
RANGES = {"uint8": 255.0, "uint16": 65_535.0, "float32": 1.0}
"""The value of white for every type that is taken."""


def upscale(
    engine: Engine,
    array: Array,
    *,
    tile: int | None = None,
    exact: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Array:
    """Upscale an (H, W, C) or (H, W) array by the engine's scale; type and channels stay.

    Types: uint8 and uint16 over their full range, float32 in [0, 1] (results are clipped to it).
    Channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; alpha is not premultiplied, and goes
    through the network as grey.

    A picture of more than ``tile**2`` input pixels is upscaled in tiles of at most ``tile`` x ``tile``. Where the
    network is a stencil (:class:`Stencil`) its gates are found once per plane, and the result is that of any other
    tile to within what was measured for its halo; with ``exact``, to within the rounding of float32 sums.
    ``on_progress(done, total)`` is called after every tile. Besides the result, memory holds one row of
    tiles. Raises :class:`UsageError` for other types and shapes, a tile that is too small, and ``exact`` where the
    network is none.
    """
    _check(array)
    tiling = _tiling(engine, tile, exact=exact)
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
            run = _held(engine, planes, group, whole=len(rows) * len(columns) == 1)
            _upscale_group(run, engine.scale, planes, result, group, rows, columns, tiling.fade, tick)
    return result if array.ndim == 3 else result[..., 0]


def _tiling(engine: Engine, tile: int | None, *, exact: bool) -> Tiling:
    if engine.stencil:
        return Tiling(
            tile=TILE if tile is None else tile, margin=engine.stencil.radius if exact else engine.stencil.halo
        )
    if exact:
        raise UsageError("exact tiles need a network whose gates can be held; this file has none: export it again")
    return Tiling(tile=FADED_TILE if tile is None else tile, margin=MARGIN, fade=FADE)


def _held(engine: Engine, planes: Array, group: tuple[int, ...], *, whole: bool) -> Run:
    """The network as it is run on every part of a plane, with the plane's gates where it can hold them."""
    windows = sample_windows(*planes.shape[:2])
    if engine.stencil is None or (whole and windows.all):  # its own gates are those of the whole
        return engine.run
    stencil, gates = engine.stencil, engine.stencil.gates(cut(planes, windows, group=group))
    return lambda x: stencil.run(x, gates)


def cut(planes: Array, windows: Windows, *, group: tuple[int, ...] = (0, 1, 2)) -> Batch:
    """Windows of the channels ``group`` of an (H, W, C) array that :func:`upscale` takes: (N, 3, h, w) in [0, 1]."""
    parts = [
        _to_batch(planes[top : top + windows.height, left : left + windows.width, group])
        for top in windows.tops
        for left in windows.lefts
    ]
    return np.concatenate(parts)


def _upscale_group(
    run: Run,
    scale: int,
    planes: Array,
    result: Array,
    group: tuple[int, ...],
    rows: list[Span],
    columns: list[Span],
    fade: int,
    tick: Callable[[], None],
) -> None:
    """Fill ``result[..., group]`` row of tiles by row of tiles, from the top."""
    waiting = np.zeros((0, result.shape[1], len(group)), np.float32)  # shared with the row above
    for row in rows:
        band = np.zeros((row.size * scale, result.shape[1], len(group)), np.float32)
        for column in columns:
            part = planes[row.start : row.start + row.size, column.start : column.start + column.size, group]
            output = run(_to_batch(part))[0].transpose(1, 2, 0)  # (sH, sW, 3)
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
