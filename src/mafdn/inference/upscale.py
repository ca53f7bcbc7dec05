"""Upscale with an engine, whole or in tiles: an array, or a stream of rows."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn._support.progress import counted
from mafdn.errors import UsageError
from mafdn.inference.engines import Batch, Engine
from mafdn.inference.gates import Windows, sample_windows
from mafdn.inference.tiles import DEFAULT_TILE, Span, Tiling, kept, plan, ramp
from mafdn.pixels.rows import Rows, pieces

Array = NDArray[Any]
Run = Callable[[Batch], Batch]
Progress = Callable[[int, int], None]
FADED_TILE, MARGIN, FADE = 256, 8, 16
"""Tiles of a network without a stencil, in input pixels; the margin is the border affected by the network's padding."""
MIRRORED = 4
"""Pixels that are added to a picture at each border if it is mirrored; with more, flat colors hardly change further."""
ROWS_AT_A_TIME = 64
"""Rows of one channel that are rounded together, so that they stay in the processor's cache."""
FAR_BELOW, FAR_ABOVE = -1.0, 2.0
"""Values so far outside [0, 1] that they are not overshoot: the array must have another range."""
WHITE = {"uint8": 255.0, "uint16": 65_535.0, "float32": 1.0}
"""The value of white for every supported type."""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A picture of the same size and type that was upscaled in the same way before, such as the frame before.

    Args:
        same: Called as `same(rows, columns)`; whether both pictures are equal there.
        result: What the network made of it, (scale*H, scale*W, C).
        on_reuse: Called for every tile that is taken from `result`.
    """

    same: Callable[[slice, slice], bool]
    result: Array
    on_reuse: Callable[[], None]


def upscale(
    engine: Engine,
    array: Array,
    *,
    tile: int | None = None,
    exact: bool = False,
    mirror: bool = False,
    on_progress: Progress | None = None,
) -> Array:
    """Upscale an array by the engine's scale.

    Besides the result, one row of tiles is held in memory. If the network is a stencil (`Stencil`), its gates are
    computed once per plane, and the result depends on the tile size only to within the error measured for its halo.

    Args:
        engine: The network.
        array: (H, W) or (H, W, C): uint8 or uint16 over their full range, or float32 in [0, 1]. Channels: 1 gray,
            2 gray and alpha, 3 RGB, 4 RGB and alpha; alpha is not premultiplied and is upscaled like gray.
        tile: Tile side in input pixels (default: 512, or four margins of a network that needs more); a picture of more
            than `tile**2` pixels is cut into tiles.
        exact: Overlap tiles by the full receptive radius instead of the measured halo. The result then depends on the
            tile size only to within float32 rounding.
        mirror: Continue the picture at its borders by its mirror image. Networks see zeros there otherwise, as in
            training and in published figures, which changes saturated colors at the borders.
        on_progress: Called as `on_progress(done, total)` after every tile.

    Returns:
        An array `scale` times as high and wide, with the type and channels of the input; float32 is clipped to [0, 1].

    Raises:
        UsageError: If the type or shape is unsupported, float32 values are below -1 or above 2, the tile is too small,
            or `exact` is set for a network that is not a stencil.
    """
    check_array(array)
    planes = array if array.ndim == 3 else array[..., None]
    height, width, channels = planes.shape
    result = np.empty((height * engine.scale, width * engine.scale, channels), array.dtype)
    top = 0
    for band in upscale_rows(engine, planes, tile=tile, exact=exact, mirror=mirror, on_progress=on_progress):
        result[top : top + len(band)] = band
        top += len(band)
    return result if array.ndim == 3 else result[..., 0]


def upscale_rows(
    engine: Engine,
    rows: Rows,
    *,
    tile: int | None = None,
    exact: bool = False,
    mirror: bool = False,
    earlier: Earlier | None = None,
    on_progress: Progress | None = None,
) -> Generator[Array]:
    """Upscale (H, W, C) rows like `upscale`, as a stream from the top.

    Rows are read more than once, but at most one row of tiles at a time. With an earlier picture, the result is the
    same: a stencil's tile depends on its own pixels and on the gates alone, and the gates on those of their windows.

    Args:
        engine: The network.
        rows: A picture with a type and channels that `upscale` accepts.
        tile: As for `upscale`.
        exact: As for `upscale`.
        mirror: As for `upscale`.
        earlier: A picture whose tiles are used again where both are equal, if the network is a stencil and both are
            equal in all windows of the gates.
        on_progress: As for `upscale`.

    Yields:
        Bands of (any, scale*W, C), which the caller may change.

    Raises:
        UsageError: At the first band, if the tile is too small or `exact` is set for a network that is not a stencil.
    """
    height, width, channels = rows.shape
    around = MIRRORED if mirror else 0
    tiling = tiling_for(engine, tile, exact=exact, mirror=mirror)
    groups = {1: [(0,)], 2: [(0,), (1,)], 3: [(0, 1, 2)], 4: [(0, 1, 2), (3,)]}[channels]
    constants = [_constant(rows, group) for group in groups]
    spans, columns = plan(height, width, tiling)
    tick = counted(on_progress, len(spans) * len(columns) * constants.count(None))
    earlier = earlier if earlier and engine.stencil and _same_gates(rows, earlier) else None
    planes: list[Iterator[Array]] = []
    for group, constant in zip(groups, constants, strict=True):
        if constant is None:
            whole = len(spans) * len(columns) == 1
            run = _runner_with_gates(engine, rows, group, whole=whole, around=around)
            plane = _Plane(rows, group, spans, columns, engine.scale, run, tick, earlier, around)
            planes.append(_faded_bands(plane, tiling.fade) if tiling.fade else _cut_bands(plane))
        else:
            planes.append(_constant_bands(constant, spans, columns, engine.scale, tiling.fade))
    for bands in zip(*planes, strict=True):
        yield bands[0] if len(bands) == 1 else np.concatenate(bands, axis=2)


def cut(rows: Rows, windows: Windows, *, group: tuple[int, ...] = (0, 1, 2)) -> Batch:
    """Cut windows of the channels `group` out of (H, W, C) rows: (N, 3, h, w) in [0, 1]."""
    parts: list[Batch] = []
    for top in windows.tops:
        line = rows[top : top + windows.height][..., group]
        parts += [_to_batch(line[:, left : left + windows.width]) for left in windows.lefts]
    return np.concatenate(parts)


def tiling_for(engine: Engine, tile: int | None = None, *, exact: bool = False, mirror: bool = False) -> Tiling:
    """Return how `upscale` cuts pictures with these arguments; raises `UsageError` as it does."""
    if engine.stencil:
        around = MIRRORED if mirror else 0  # pixels that the network sees around every tile
        margin = max((engine.stencil.radius if exact else engine.stencil.halo) - around, 1)
        return Tiling(tile=max(DEFAULT_TILE, 4 * margin) if tile is None else tile, margin=margin)
    if exact:
        raise UsageError("exact tiles need a network file with a stencil, and this one has none; export it again")
    return Tiling(tile=FADED_TILE if tile is None else tile, margin=MARGIN, fade=FADE)


def _constant(rows: Rows, group: tuple[int, ...]) -> Array | None:
    """Return the value of a constant plane, else `None`; opaque alpha thus stays exactly opaque, at no cost."""
    if len(group) > 1:
        return None
    value = rows[0:1][0, 0, group]
    return value if all((piece[..., group] == value).all() for _, piece in pieces(rows)) else None


def _runner_with_gates(engine: Engine, rows: Rows, group: tuple[int, ...], *, whole: bool, around: int) -> Run:
    """Return a function that runs the network on a part of a plane; a stencil uses the gates of the whole plane.

    Those of a small plane are computed with what is `around` it, as the network itself does if it runs at once.
    """
    windows = sample_windows(*rows.shape[:2])
    if engine.stencil is None or (whole and windows.whole):  # the whole plane at once: its own gates are the same
        return engine.run
    sample = cut(rows, windows, group=group)
    if windows.whole:
        sample = np.pad(sample, [(0, 0), (0, 0), (around, around), (around, around)], "symmetric")
    stencil, gates = engine.stencil, engine.stencil.gates(sample)
    return lambda x: stencil.run(x, gates)


def _same_gates(rows: Rows, earlier: Earlier) -> bool:
    """Whether the gates of both pictures are the same because the pixels are from which they are computed."""
    windows = sample_windows(*rows.shape[:2])
    return all(
        earlier.same(slice(top, top + windows.height), slice(left, left + windows.width))
        for top in windows.tops
        for left in windows.lefts
    )


@dataclass(frozen=True)
class _Plane:
    """Channels that are run through the network together, and how they are cut."""

    rows: Rows
    group: tuple[int, ...]
    spans: list[Span]
    columns: list[Span]
    scale: int
    run: Run
    tick: Callable[[int], None]
    earlier: Earlier | None
    around: int
    """Pixels around every tile that the network also sees: those of the picture, or of its mirror image."""

    @property
    def width(self) -> int:
        """Width of the result."""
        return self.rows.shape[1] * self.scale

    def known(self, high: slice, wide: slice, row: Span, column: Span) -> Array | None:
        """Return what is at `high`, `wide` of the result if the earlier picture has the same tile there."""
        places = self._pixels_of(row, self.rows.shape[0]), self._pixels_of(column, self.rows.shape[1])
        if self.earlier is None or not self.earlier.same(*places):
            return None
        self.earlier.on_reuse()
        self.tick(1)
        return self.earlier.result[high, wide, self.group]

    def source(self, row: Span) -> Array:
        """Read the rows of a row of tiles, with those around it."""
        pixels = self._pixels_of(row, self.rows.shape[0])
        return self._extended(self.rows[pixels], row, pixels, axis=0)

    def tile(self, source: Array, column: Span) -> Batch:
        """Return the result of one tile, (sH, sW, n); `source` is its rows of the picture, with those around them."""
        pixels = self._pixels_of(column, self.rows.shape[1])
        part = self._extended(source[:, pixels, self.group], column, pixels, axis=1)
        output = self.run(_to_batch(part))
        self.tick(1)
        edge = self.around * self.scale
        high, wide = (side - edge for side in output.shape[2:])
        values = output[0, :, edge:high, edge:wide].transpose(1, 2, 0)
        return values if len(self.group) == 3 else values.mean(2, keepdims=True)

    def _pixels_of(self, span: Span, length: int) -> slice:
        """The pixels of a tile and those around it, as far as the picture has them."""
        return slice(max(span.start - self.around, 0), min(span.start + span.size + self.around, length))

    def _extended(self, part: Array, span: Span, pixels: slice, *, axis: int) -> Array:
        """Mirror `pixels` where the picture ends, so that there are as many around every tile."""
        missing = pixels.start - (span.start - self.around), span.start + span.size + self.around - pixels.stop
        if not any(missing):
            return part
        return np.pad(part, [missing if one == axis else (0, 0) for one in range(part.ndim)], "symmetric")


def _cut_bands(plane: _Plane) -> Generator[Array]:
    """Yield rows of tiles that are cut in the middle of their overlaps."""
    for span in plane.spans:
        source = plane.source(span)
        high, top = kept(span, plane.scale), span.start * plane.scale
        band = np.empty((len(high), plane.width, len(plane.group)), plane.rows.dtype)
        for column in plane.columns:
            wide, left = kept(column, plane.scale), column.start * plane.scale
            place = slice(left + wide.start, left + wide.stop)
            known = plane.known(slice(top + high.start, top + high.stop), place, span, column)
            if known is None:
                tile = plane.tile(source, column)[high.start : high.stop, wide.start : wide.stop]
                _store(tile, band[:, place])
            else:
                band[:, place] = known
        yield band


def _faded_bands(plane: _Plane, fade: int) -> Generator[Array]:
    """Yield rows of tiles that fade into each other, each up to the start of the next."""
    overlap = np.zeros((0, plane.width, len(plane.group)), np.float32)  # shared with the row above, already weighted
    for span in plane.spans:
        source = plane.source(span)
        band = np.zeros((span.size * plane.scale, plane.width, len(plane.group)), np.float32)
        for column in plane.columns:
            tile, left = plane.tile(source, column), column.start * plane.scale
            band[:, left : left + tile.shape[1]] += tile * ramp(column, plane.scale, fade)[None, :, None]
        band *= ramp(span, plane.scale, fade)[:, None, None]
        band[: len(overlap)] += overlap
        complete = len(band) - span.after * plane.scale
        overlap = band[complete:]
        result = np.empty((complete, *band.shape[1:]), plane.rows.dtype)
        _store(band[:complete], result)
        yield result


def _constant_bands(value: Array, spans: list[Span], columns: list[Span], scale: int, fade: int) -> Generator[Array]:
    """Yield bands of one value, as high as those of another plane that is cut in the same way."""
    width = (columns[-1].start + columns[-1].size) * scale
    for span in spans:
        height = (span.size - span.after) * scale if fade else len(kept(span, scale))
        yield np.full((height, width, 1), value)


def _to_batch(part: Array) -> Batch:
    unit = part.astype(np.float32) / np.float32(WHITE[part.dtype.name])
    rgb = np.broadcast_to(unit, (*unit.shape[:2], 3))
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)[None])


def _store(values: Batch, target: Array) -> None:
    """Write `values` (h, w, n), clipped, scaled and rounded, into `target` of the same shape.

    Some rows of one channel, which are contiguous in a network's output, are processed at a time.
    """
    white = np.float32(WHITE[target.dtype.name])
    for channel in range(values.shape[2]):
        for top in range(0, len(values), ROWS_AT_A_TIME):
            part = values[top : top + ROWS_AT_A_TIME, :, channel] * white
            np.clip(part, 0, white, out=part)
            target[top : top + ROWS_AT_A_TIME, :, channel] = (
                np.rint(part, out=part) if target.dtype.kind == "u" else part
            )


def native(array: Array) -> Array:
    """Return an array in this machine's byte order, which all that compares types takes for granted."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def check_array(array: Array) -> None:
    """Raise `UsageError` unless `upscale` accepts the type, shape and values of `array`."""
    if array.dtype.name not in WHITE:
        raise UsageError(f"a picture must be uint8, uint16 or float32 in [0, 1], not {array.dtype}")
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 1 <= array.shape[2] <= 4):
        raise UsageError(f"a picture must be (H, W) or (H, W, C) with 1 to 4 channels, not {array.shape}")
    if 0 in array.shape:
        raise UsageError(f"a picture must have at least one pixel, not {array.shape}")
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not np.isfinite(high - low):
            raise UsageError("the picture contains NaN or infinite values")
        rule = "a float32 picture must be in [0, 1], but this one has"
        if high > FAR_ABOVE:
            white = next((white for white in (255, 65_535) if high <= white), f"{high:g}")
            raise UsageError(f"{rule} values up to {high:g}; divide by {white} first")
        if low < FAR_BELOW:
            raise UsageError(f"{rule} values down to {low:g}; scale it first")
