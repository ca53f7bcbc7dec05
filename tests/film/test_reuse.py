"""Frames that are upscaled one after the other are, bit for bit, what each of them gives alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mafdn.film.reuse import FrameUpscaler
from mafdn.inference import EngineOptions, gates, open_engine
from mafdn.inference.engines import Batch, Gates, Stencil
from mafdn.upscaling.array import upscale_array
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.size import Size
from tests.support import Repeat

HEIGHT, WIDTH, TILE = 40, 56, 24
Change = tuple[int, int, int, int, int]


class Blur:
    """A network that is a stencil: each pixel is the mean of 3x3, times a gate, and repeated twice along each axis."""

    name, version, device, precision, scale = "blur", "0", "cpu", "fp32", 2

    def __init__(self) -> None:
        self.runs = self.gate_runs = 0
        self.stencil: Stencil | None = Stencil(radius=1, halo=1, gates=self._gates, run=self._run)

    def run(self, x: Batch) -> Batch:
        return self._run(x, self._gates(x))

    def _gates(self, windows: Batch) -> Gates:
        self.gate_runs += 1
        return windows.mean(keepdims=True)[0, 0]

    def _run(self, x: Batch, gates: Gates) -> Batch:
        self.runs += 1
        height, width = x.shape[2:]
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "edge")
        mean = sum(padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)) / np.float32(9)
        return (mean * (1 + gates[0, 0]) / 2).astype(np.float32).repeat(2, 2).repeat(2, 3)


@pytest.fixture
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """Compute gates from four windows of 4x4 pixels, so that small frames have windows and tiles."""
    monkeypatch.setattr(gates, "WHOLE_AREA", 100)
    monkeypatch.setattr(gates, "WINDOW_SIDE", 4)
    monkeypatch.setattr(gates, "SAMPLE_AREA", 4 * 4**2)


def changed(frame: np.ndarray, change: Change) -> np.ndarray:
    top, left, high, wide, value = change
    frame = frame.copy()
    frame[top : top + high, left : left + wide] = value
    return frame


def film(changes: Sequence[Change], dtype: Any = np.uint8) -> list[np.ndarray]:
    """A frame of noise, followed by frames with one change each."""
    frames = [np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (HEIGHT, WIDTH, 3), dtype)]
    for change in changes:
        frames.append(changed(frames[-1], change))
    return frames


def alone(frame: np.ndarray, size: tuple[int, int], options: UpscaleOptions) -> np.ndarray:
    """What a new upscaler, which knows no other frame, makes of a frame."""
    return FrameUpscaler(Blur(), size, options).upscale(frame)


changes = st.lists(
    st.tuples(
        st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.integers(0, 20), st.integers(0, 20), st.just(7)
    ),
    max_size=5,
)


@pytest.mark.usefixtures("_small_windows")
@given(
    changes,
    st.sampled_from([np.uint8, np.uint16]),
    st.sampled_from([(2 * WIDTH, 2 * HEIGHT), (70, 50), (150, 101)]),
    st.sampled_from([1.0, 0.5]),
    st.sampled_from([True, False]),
)
@settings(max_examples=60)
def test_every_frame_is_what_it_gives_alone(
    made: list[Change], dtype: Any, size: tuple[int, int], strength: float, exact: bool
) -> None:
    options = UpscaleOptions(tile=TILE, strength=strength, exact=exact)
    upscaler = FrameUpscaler(Blur(), size, options)
    for frame in film(made, dtype):
        result = upscaler.upscale(frame)
        assert result.dtype == dtype
        assert np.array_equal(result, alone(frame, size, options))
        if strength == 1:
            by_array = upscale_array(Blur(), frame, size=Size(width=size[0]), tile=TILE, exact=exact)
            assert by_array.shape != result.shape or np.array_equal(result, by_array)


@pytest.mark.usefixtures("_small_windows")
def test_only_changed_tiles_are_computed() -> None:
    engine = Blur()
    upscaler = FrameUpscaler(engine, (2 * WIDTH, 2 * HEIGHT), UpscaleOptions(tile=TILE))
    windows = gates.sample_windows(HEIGHT, WIDTH)
    assert min(windows.tops) > 0
    assert min(windows.lefts) > 0
    first, corner = film([(0, 0, 1, 1, 0)])
    upscaler.upscale(first)
    tiles = engine.runs
    assert tiles > 4
    upscaler.upscale(corner)
    assert (engine.runs, upscaler.reused.tiles) == (tiles + 1, tiles - 1)
    assert engine.gate_runs == 1
    upscaler.upscale(changed(corner, (windows.tops[0], windows.lefts[0], 1, 1, 0)))
    assert (engine.runs, upscaler.reused.tiles) == (2 * tiles + 1, tiles - 1), "the gates changed, and so did all tiles"
    assert upscaler.reused.frames == 0


@pytest.mark.parametrize("engine", [Blur(), Repeat()], ids=["stencil", "no stencil"])
def test_equal_frames_give_the_same_object(engine: Any) -> None:
    upscaler = FrameUpscaler(engine, (2 * WIDTH, 2 * HEIGHT), UpscaleOptions())
    frame = film([])[0]
    result = upscaler.upscale(frame)
    assert upscaler.upscale(frame.copy()) is result
    assert upscaler.upscale(frame.astype(np.uint16)) is not result
    assert upscaler.reused.frames == 1


def test_a_frame_of_another_size_or_depth_is_computed() -> None:
    upscaler = FrameUpscaler(Repeat(), (80, 80), UpscaleOptions())
    for frame in (np.zeros((40, 40, 3), np.uint8), np.zeros((20, 40, 3), np.uint8), np.zeros((20, 40, 3), np.uint16)):
        result = upscaler.upscale(frame)
        assert (result.shape, result.dtype) == ((80, 80, 3), frame.dtype)
    assert upscaler.reused.frames == 0


def test_an_interrupted_frame_leaves_nothing() -> None:
    stop = [True]

    def tick(_done: int, _total: int) -> None:
        if stop[0]:
            raise KeyboardInterrupt

    frame, size = film([])[0], (2 * WIDTH, 2 * HEIGHT)
    upscaler = FrameUpscaler(Blur(), size, UpscaleOptions(), on_progress=tick)
    with pytest.raises(KeyboardInterrupt):
        upscaler.upscale(frame)
    stop[0] = False
    assert np.array_equal(upscaler.upscale(frame), alone(frame, size, UpscaleOptions()))
    assert upscaler.reused.frames == 0


def test_the_tiles_of_a_real_network_are_used_again(exported: Path) -> None:
    engine = open_engine(exported, EngineOptions(engine="onnxruntime", threads=1))
    options = UpscaleOptions(tile=256)
    first = np.random.default_rng(1).integers(0, 256, (520, 512, 3), np.uint8)
    second = changed(first, (0, 0, 3, 3, 9))
    windows = gates.sample_windows(*first.shape[:2])
    assert not windows.whole
    assert min(windows.tops) > 3 or min(windows.lefts) > 3
    upscaler = FrameUpscaler(engine, (1024, 1040), options)
    upscaler.upscale(first)
    result = upscaler.upscale(second)
    assert upscaler.reused.tiles > 0
    assert np.array_equal(result, upscale_array(engine, second, size=Size(scale=2), tile=256))
