"""Upscaling with an engine, whole or in tiles: an array, or rows that come and go.

Public names: :func:`upscale`, :func:`upscale_rows`, :func:`cut`.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn._support.progress import counted
from mafdn.errors import UsageError
from mafdn.inference.engines import Batch, Engine
from mafdn.inference.gates import Windows, sample_windows
from mafdn.inference.tiles import TILE, Span, Tiling, kept, plan, ramp
from mafdn.pixels.rows import Rows, pieces

Array = NDArray[Any]
Run = Callable[[Batch], Batch]
Progress = Callable[[int, int], None]
FADED_TILE, MARGIN, FADE = 256, 8, 16
"""Tiles, in input pixels, of a network that cannot hold its gates; in the margin a tile's own padding shows."""
LINES = 64
FAR_BELOW, FAR_ABOVE = -1.0, 2.0
"""Values that no overshoot explains, so that another range is meant."""
RANGES = {"uint8": 255.0, "uint16": 65_535.0, "float32": 1.0}
"""The value of white for every type that is taken."""


def upscale(
    engine: Engine,
    array: Array,
    *,
    tile: int | None = None,
    exact: bool = False,
    on_progress: Progress | None = None,
) -> Array:
    """Upscale an (H, W, C) or (H, W) array by the engine's scale; type and channels stay.

    Types: uint8 and uint16 over their full range, float32 in [0, 1] (results are clipped to it; below -1 or
    above 2 another range is meant, and refused).
    Channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; alpha is not premultiplied, and goes
    through the network as grey.

    A picture of more than ``tile**2`` input pixels is upscaled in tiles of at most as many. Where the
    network is a stencil (:class:`Stencil`) its gates are found once per plane, and the result is that of any other
    tile to within what was measured for its halo; with ``exact``, to within the rounding of float32 sums.
    ``on_progress(done, total)`` is called after every tile. Besides the result, memory holds one row of
    tiles. Raises :class:`UsageError` for other types and shapes, a tile that is too small, and ``exact`` where the
    network is none.
    """
    _check(array)
    planes = array if array.ndim == 3 else array[..., None]
    height, width, channels = planes.shape
    result = np.empty((height * engine.scale, width * engine.scale, channels), array.dtype)
    top = 0
    for band in upscale_rows(engine, planes, tile=tile, exact=exact, on_progress=on_progress):
        result[top : top + len(band)] = band
        top += len(band)
    return result if array.ndim == 3 else result[..., 0]


def upscale_rows(
    engine: Engine,
    rows: Rows,
    *,
    tile: int | None = None,
    exact: bool = False,
    on_progress: Progress | None = None,
) -> Generator[Array]:
    """What :func:`upscale` makes of (H, W, C) ``rows``, from the top: bands of (any, scale*W, C).

    ``rows`` are of a type and of channels that :func:`upscale` takes. They are read more than once, and no more of them
    are held than one row of tiles takes. Each band is the caller's to change. Raises, at the first, what
    :func:`upscale` raises of tiles.
    """
    height, width, channels = rows.shape
    tiling = _tiling(engine, tile, exact=exact)
    groups = {1: [(0,)], 2: [(0,), (1,)], 3: [(0, 1, 2)], 4: [(0, 1, 2), (3,)]}[channels]
    constants = [_constant(rows, group) for group in groups]
    spans, columns = plan(height, width, tiling)
    tick = counted(on_progress, len(spans) * len(columns) * constants.count(None))
    planes: list[Iterator[Array]] = []
    for group, constant in zip(groups, constants, strict=True):
        if constant is None:
            run = _held(engine, rows, group, whole=len(spans) * len(columns) == 1)
            plane = _Plane(rows, group, spans, columns, engine.scale, run, tick)
            planes.append(_faded_bands(plane, tiling.fade) if tiling.fade else _cut_bands(plane))
        else:
            planes.append(_constant_bands(constant, spans, columns, engine.scale, tiling.fade))
    for bands in zip(*planes, strict=True):
        yield bands[0] if len(bands) == 1 else np.concatenate(bands, axis=2)


def cut(rows: Rows, windows: Windows, *, group: tuple[int, ...] = (0, 1, 2)) -> Batch:
    """Windows of the channels ``group`` of (H, W, C) rows that :func:`upscale_rows` takes: (N, 3, h, w) in [0, 1]."""
    parts: list[Batch] = []
    for top in windows.tops:
        line = rows[top : top + windows.height][..., group]
        parts += [_to_batch(line[:, left : left + windows.width]) for left in windows.lefts]
    return np.concatenate(parts)


def _tiling(engine: Engine, tile: int | None, *, exact: bool) -> Tiling:
    if engine.stencil:
        return Tiling(
            tile=TILE if tile is None else tile, margin=engine.stencil.radius if exact else engine.stencil.halo
        )
    if exact:
        raise UsageError("exact tiles need a network whose gates can be held; this file has none: export it again")
    return Tiling(tile=FADED_TILE if tile is None else tile, margin=MARGIN, fade=FADE)


def _constant(rows: Rows, group: tuple[int, ...]) -> Array | None:
    """The one value of a plane that has no other: an opaque alpha stays exactly opaque, and costs nothing."""
    if len(group) > 1:
        return None
    value = rows[0:1][0, 0, group]
    return value if all((piece[..., group] == value).all() for _, piece in pieces(rows)) else None


def _held(engine: Engine, rows: Rows, group: tuple[int, ...], *, whole: bool) -> Run:
    """The network as it is run on every part of a plane, with the plane's gates where it can hold them."""
    windows = sample_windows(*rows.shape[:2])
    if engine.stencil is None or (whole and windows.all):  # its own gates are those of the whole
        return engine.run
    stencil, gates = engine.stencil, engine.stencil.gates(cut(rows, windows, group=group))
    return lambda x: stencil.run(x, gates)


@dataclass(frozen=True)
class _Plane:
    """Channels that go through the network together, and how they are cut."""

    rows: Rows
    group: tuple[int, ...]
    spans: list[Span]
    columns: list[Span]
    scale: int
    run: Run
    tick: Callable[[int], None]

    @property
    def width(self) -> int:
        """Of the result."""
        return self.rows.shape[1] * self.scale

    def tile(self, source: Array, column: Span) -> Batch:
        """The result of one tile, (sH, sW, n), from its rows of the picture."""
        output = self.run(_to_batch(source[:, column.start : column.start + column.size, self.group]))
        self.tick(1)
        values = output[0].transpose(1, 2, 0)
        return values if len(self.group) == 3 else values.mean(2, keepdims=True)


def _cut_bands(plane: _Plane) -> Generator[Array]:
    """Rows of tiles that are cut where they meet, each as high as what is kept of it."""
    for span in plane.spans:
        source = plane.rows[span.start : span.start + span.size]
        high = kept(span, plane.scale)
        band = np.empty((len(high), plane.width, len(plane.group)), plane.rows.dtype)
        for column in plane.columns:
            wide, left = kept(column, plane.scale), column.start * plane.scale
            tile = plane.tile(source, column)[high.start : high.stop, wide.start : wide.stop]
            _settle(tile, band[:, left + wide.start : left + wide.stop])
        yield band


def _faded_bands(plane: _Plane, fade: int) -> Generator[Array]:
    """Rows of tiles that fade into each other, each down to where the next begins."""
    waiting = np.zeros((0, plane.width, len(plane.group)), np.float32)  # shared with the row above
    for span in plane.spans:
        source = plane.rows[span.start : span.start + span.size]
        band = np.zeros((span.size * plane.scale, plane.width, len(plane.group)), np.float32)
        for column in plane.columns:
            tile, left = plane.tile(source, column), column.start * plane.scale
            band[:, left : left + tile.shape[1]] += tile * ramp(column, plane.scale, fade)[None, :, None]
        band *= ramp(span, plane.scale, fade)[:, None, None]
        band[: len(waiting)] += waiting
        settled = len(band) - span.after * plane.scale
        waiting = band[settled:]
        result = np.empty((settled, *band.shape[1:]), plane.rows.dtype)
        _settle(band[:settled], result)
        yield result


def _constant_bands(value: Array, spans: list[Span], columns: list[Span], scale: int, fade: int) -> Generator[Array]:
    """Bands of one value, as high as those of another plane that is cut the same way."""
    width = (columns[-1].start + columns[-1].size) * scale
    for span in spans:
        height = (span.size - span.after) * scale if fade else len(kept(span, scale))
        yield np.full((height, width, 1), value)


def _to_batch(part: Array) -> Batch:
    unit = part.astype(np.float32) / np.float32(RANGES[part.dtype.name])
    rgb = np.broadcast_to(unit, (*unit.shape[:2], 3))
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)[None])


def _settle(values: Batch, target: Array) -> None:
    """Put ``values`` (h, w, n), clipped, scaled and rounded, into ``target`` of the same shape.

    Some rows of one channel at a time: they stay in the processor's cache, and lie together in what a network makes.
    """
    white = np.float32(RANGES[target.dtype.name])
    for channel in range(values.shape[2]):
        for top in range(0, len(values), LINES):
            part = values[top : top + LINES, :, channel] * white
            np.clip(part, 0, white, out=part)
            target[top : top + LINES, :, channel] = np.rint(part, out=part) if target.dtype.kind == "u" else part


def _check(array: Array) -> None:
    if array.dtype.name not in RANGES:
        raise UsageError(f"pictures are uint8, uint16 or float32 in [0, 1], not {array.dtype}")
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 1 <= array.shape[2] <= 4):
        raise UsageError(f"a picture is (H, W) or (H, W, C) with 1 to 4 channels, not {array.shape}")
    if 0 in array.shape:
        raise UsageError(f"a picture needs at least one pixel, not {array.shape}")
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not np.isfinite(high - low):
            raise UsageError("the picture holds values that are not finite")
        if high > FAR_ABOVE:
            white = next((white for white in (255, 65_535) if high <= white), f"{high:g}")
            raise UsageError(f"float32 in [0, 1] is taken, and here are values up to {high:g}; divide by {white} first")
        if low < FAR_BELOW:
            raise UsageError(f"float32 in [0, 1] is taken, and here are values down to {low:g}; scale them first")
