"""Upscale frame after frame, and compute nothing again that has not changed, exactly.

A frame that equals the one before has its result. Of a frame that does not, the tiles are used again whose pixels, with
their overlaps, are unchanged, provided that the channel gates are: they depend on windows that are spread over the
whole picture (`mafdn.inference.gates`), so all of these must be unchanged, too. Either way the result is, bit for bit,
what the frame gives alone.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.inference import Engine, ensembled, upscale_rows
from mafdn.inference.engines import Batch, Gates, Stencil
from mafdn.inference.upscale import Earlier, tiling_for
from mafdn.pixels.enlarge import enlarge
from mafdn.pixels.rows import Rows
from mafdn.upscaling.options import UpscaleOptions

Array = NDArray[Any]
LARGEST_KEPT = 2**29
"""Most bytes of a network's result that are kept beside that of the last frame, where these differ."""


@dataclass
class Reused:
    """What was not computed.

    Attributes:
        frames: Number of frames that equal the one before.
        tiles: Number of tiles of other frames that equal those of the frame before.
    """

    frames: int = 0
    tiles: int = 0


class FrameUpscaler:
    """Upscales the frames of one film, in order.

    Attributes:
        reused: What was not computed so far.
    """

    def __init__(
        self,
        engine: Engine,
        size: tuple[int, int],
        options: UpscaleOptions,
        *,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Prepare for frames of any size.

        Args:
            engine: The network.
            size: Width and height of results.
            options: `strength`, `tile`, `exact` and `ensemble` are used.
            on_progress: Called as `on_progress(done, total)` after every tile of a frame, and may raise.
        """
        self.reused = Reused()
        self._engine = _Remembering(ensembled(engine, options.ensemble))
        self._size, self._options, self._on_progress = size, options, on_progress
        self._pixels: Array | None = None
        """The last frame."""
        self._result: Array | None = None
        """Its result."""
        self._native: Array | None = None
        """What the network made of it, if that is kept."""

    def upscale(self, pixels: Array) -> Array:
        """Upscale a frame.

        Args:
            pixels: (H, W, 3) uint8 or uint16 over their full range; it must not be changed afterwards.

        Returns:
            The result, of the type of `pixels`. It is the same object as the last one if the frames are equal, and must
            not be changed.
        """
        last, native = self._pixels, self._native
        if last is not None and (last.shape, last.dtype) == (pixels.shape, pixels.dtype):
            if self._result is not None and np.array_equal(last, pixels):
                self.reused.frames += 1
                return self._result
        else:
            native = None
        self._pixels = self._result = self._native = None  # not kept if this is interrupted
        width, height = self._size
        result = np.empty((height, width, 3), pixels.dtype)
        earlier = None if last is None or native is None else self._earlier(last, pixels, native)
        top = 0
        for band in enlarge(
            pixels,
            self._size,
            network=lambda rows: self._network(rows, earlier),
            scale=self._engine.scale,
            strength=self._options.strength,
        ):
            result[top : top + len(band)] = band
            top += len(band)
        if self._is_cut(pixels) and self._is_native(pixels):
            self._native = result
        self._pixels, self._result = pixels, result
        return result

    def _network(self, rows: Rows, earlier: Earlier | None) -> Generator[Array]:
        """Run the network and keep what it makes if the next frame may use it."""
        options, scale = self._options, self._engine.scale
        bands: Iterator[Array] = upscale_rows(
            self._engine,
            rows,
            tile=options.tile,
            exact=options.exact,
            mirror=True,
            earlier=earlier,
            on_progress=self._on_progress,
        )
        height, width, channels = rows.shape
        shape = (height * scale, width * scale, channels)
        if not self._is_cut(rows) or self._is_native(rows) or np.prod(shape) * rows.dtype.itemsize > LARGEST_KEPT:
            yield from bands
            return
        kept, top = np.empty(shape, rows.dtype), 0
        for band in bands:
            kept[top : top + len(band)] = band
            top += len(band)
            yield band
        self._native = kept

    def _earlier(self, last: Array, pixels: Array, native: Array) -> Earlier:
        def same(rows: slice, columns: slice) -> bool:
            return np.array_equal(last[rows, columns], pixels[rows, columns])

        def count() -> None:
            self.reused.tiles += 1

        return Earlier(same=same, result=native, on_reuse=count)

    def _is_cut(self, rows: Rows) -> bool:
        """Whether a frame has tiles that can be used again; a single one is the frame itself."""
        if self._engine.stencil is None:
            return False
        tiling = tiling_for(self._engine, self._options.tile, exact=self._options.exact, mirror=True)
        return rows.shape[0] * rows.shape[1] > tiling.tile**2

    def _is_native(self, rows: Rows) -> bool:
        """Whether the network's result is that of the frame."""
        height, width = rows.shape[:2]
        return self._size == (width * self._engine.scale, height * self._engine.scale) and self._options.strength == 1


class _Remembering:
    """An engine that does not compute the gates of the same windows again."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.version, self.device, self.precision = (
            engine.name,
            engine.version,
            engine.device,
            engine.precision,
        )
        self.scale = engine.scale
        self.run = engine.run
        self.stencil: Stencil | None = None
        if engine.stencil is not None:
            self.stencil = replace(engine.stencil, gates=_remembered(engine.stencil.gates))


def _remembered(gates: Callable[[Batch], Gates]) -> Callable[[Batch], Gates]:
    """Return `gates` with a memory of the last windows."""
    last: tuple[Batch, Gates] | None = None

    def remember(windows: Batch) -> Gates:
        nonlocal last
        if last is None or not np.array_equal(last[0], windows):
            last = windows, gates(windows).copy()
        return last[1]

    return remember
