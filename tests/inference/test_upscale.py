"""Tiling, engines and upscaling of arrays."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mafdn.errors import UsageError, WeightsError
from mafdn.inference import ENGINES, EngineOptions, open_engine, upscale
from mafdn.inference.engines import Stencil
from mafdn.inference.tiles import LEAST_HEIGHT, ROW_AREA, Tiling, kept, plan, plan_axis, ramp
from mafdn.inference.upscale import tiling_for
from mafdn.weights.shipped import shipped
from tests.support import Repeat


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    margin, fade = draw(st.integers(1, 12)), draw(st.integers(0, 16))
    overlap = 2 * margin + fade
    return Tiling(tile=draw(st.integers(2 * overlap + fade, 5 * overlap + fade)), margin=margin, fade=fade)


@given(st.integers(1, 900), tilings(), st.sampled_from([1, 2, 3, 4]))
@settings(deadline=None)
def test_tiles_cover_an_axis_and_their_weights_sum_to_one(length: int, tiling: Tiling, scale: int) -> None:
    spans = plan_axis(length, tiling, tiling.tile)
    total = np.zeros(length * scale)
    for span in spans:
        assert span.start >= 0
        assert span.start + span.size <= length
        if tiling.fade:
            weights = ramp(span, scale, tiling.fade)
        else:
            weights = np.isin(range(span.size * scale), kept(span, scale)).astype(np.float32)
        total[span.start * scale : (span.start + span.size) * scale] += weights
        for inner, edge in (
            (span.before, weights[: tiling.margin * scale]),
            (span.after, weights[-tiling.margin * scale :]),
        ):
            if inner:
                assert inner >= tiling.overlap
                assert not edge.any(), "a tile's own padding is used"
    assert len({span.size for span in spans}) == 1
    assert spans[0].size <= max(tiling.tile, length)
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(st.integers(1, 230), st.integers(1, 230), st.sampled_from([1, 2, 3, 4]), st.sampled_from([2, 3]))
@settings(deadline=None, max_examples=60)
def test_joined_tiles_equal_the_whole_picture(height: int, width: int, channels: int, scale: int) -> None:
    picture = np.random.default_rng(height).integers(0, 65_536, (height, width, channels), np.uint16)
    engine = Repeat(scale)
    result = upscale(engine, picture, tile=96)
    assert np.array_equal(result, picture.repeat(scale, 0).repeat(scale, 1))
    assert len(engine.shapes) <= 1, "tiles of more than one shape"


@given(st.integers(1, 40_000), st.integers(1, 40_000), st.sampled_from([96, 192, 512, 640]))
def test_rows_of_tiles_do_not_grow_with_the_width(height: int, width: int, tile: int) -> None:
    tiling = Tiling(tile=tile, margin=16)
    rows, columns = plan(height, width, tiling)
    assert rows[0].size * columns[0].size <= tile**2
    lowest = min(tile, LEAST_HEIGHT)
    assert len(rows) == 1 or rows[0].size * width <= max(ROW_AREA, lowest * width)


@pytest.mark.parametrize("margin", [90, 95, 96, 99, 120, 128])
def test_rows_of_tiles_are_high_enough_for_a_wide_overlap(margin: int) -> None:
    tiling = Tiling(tile=512, margin=margin)
    rows, columns = plan(2000, 7000, tiling)
    assert len(rows) <= 2000 / margin
    assert rows[0].size * columns[0].size <= 512**2
    assert all(row.after == 0 or row.after >= tiling.overlap for row in rows)


def test_small_pictures_are_not_cut() -> None:
    tiling = Tiling(tile=128, margin=16)
    assert [len(axis) for axis in plan(1000, 10, tiling)] == [1, 1]
    assert [len(axis) for axis in plan(1000, 100, tiling)] == [11, 1]


def test_tiles_are_no_larger_than_necessary() -> None:
    rows, _ = plan(600, 1000, Tiling(tile=512, margin=16))
    assert [(row.start, row.size) for row in rows] == [(0, 320), (280, 320)]


@pytest.mark.parametrize(("tile", "margin"), [(63, 16), (0, 0), (-5, 20)])
def test_invalid_tilings_are_refused(tile: int, margin: int) -> None:
    with pytest.raises(UsageError, match="tile"):
        Tiling(tile=tile, margin=margin)


@pytest.mark.parametrize(("radius", "tile"), [(39, 512), (128, 512), (387, 1548)])
def test_the_default_tile_suits_the_margin_of_the_network(radius: int, tile: int) -> None:
    engine = Repeat()
    engine.stencil = Stencil(
        radius=radius, halo=20, gates=lambda _: np.zeros((1, 1), np.float32), run=lambda x, _: engine.run(x)
    )
    assert tiling_for(engine, exact=True) == Tiling(tile=tile, margin=radius)
    picture = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    assert np.array_equal(upscale(engine, picture, exact=True), picture.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4)])
def test_type_and_channels_are_kept(dtype: type, shape: tuple[int, ...]) -> None:
    top = 1 if dtype is np.float32 else np.iinfo(dtype).max
    picture = (np.random.default_rng(0).random(shape) * top).astype(dtype)
    result = upscale(Repeat(), picture)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, picture.repeat(2, 0).repeat(2, 1), rtol=1e-6)


def test_a_constant_alpha_is_not_run_through_the_network() -> None:
    picture = np.full((6, 6, 4), 255, np.uint8)
    picture[..., :3] = np.random.default_rng(0).integers(0, 256, (6, 6, 3))
    ticks: list[tuple[int, int]] = []
    assert (upscale(Repeat(), picture, on_progress=lambda *t: ticks.append(t))[..., 3] == 255).all()
    assert ticks == [(1, 1)]


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4), np.float64),
        np.zeros((4, 4), bool),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.full((4, 4), np.nan, np.float32),
        np.full((4, 4), np.inf, np.float32),
        np.array([[0, 2.1]], np.float32),
        np.array([[-1.1, 1]], np.float32),
    ],
)
def test_unsupported_arrays_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(UsageError):
        upscale(Repeat(), bad)


def test_floats_of_another_range_are_refused_with_advice() -> None:
    picture = np.array([[0, 254.5]], np.float32)
    with pytest.raises(UsageError, match=r"values up to 254\.5; divide by 255 first"):
        upscale(Repeat(), picture)
    with pytest.raises(UsageError, match="divide by 65535 first"):
        upscale(Repeat(), picture * 200)
    assert upscale(Repeat(), np.array([[-0.9, 1.9]], np.float32)).tolist() == [[0, 0, 1, 1]] * 2


def test_results_are_clipped_and_rounded() -> None:
    class Overshoot(Repeat):
        def run(self, x: np.ndarray) -> np.ndarray:
            return super().run(x) * 4 - 1.5

    picture = np.array([[0, 128, 255]], np.uint8)
    assert upscale(Overshoot(), picture)[0].tolist() == [0, 0, 130, 130, 255, 255]


# --- engines with shipped weights


@pytest.mark.parametrize("name", ENGINES)
def test_engines_agree(name: str) -> None:
    x = np.random.default_rng(0).random((1, 3, 30, 22), np.float32)
    engine = open_engine(shipped(4, ".onnx"), EngineOptions(engine=name, threads=1))
    assert engine.scale == 4
    assert engine.name == name
    assert np.abs(engine.run(x) - open_engine(shipped(4, ".onnx")).run(x)).max() < 1e-4


def test_unusable_files_give_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no network")
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "half.onnx").write_bytes(shipped(4, ".onnx").read_bytes()[:100_000])
    for name in ("missing", "text", "empty", "half"):
        for engine in ("auto", *ENGINES):
            with pytest.raises(WeightsError) as caught:
                open_engine(tmp_path / f"{name}.onnx", EngineOptions(engine=engine))
            assert f"{name}.onnx" in str(caught.value)
            assert "\n" not in str(caught.value)


def test_a_network_that_does_not_enlarge_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    shape = [1, 3, "h", "w"]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("GlobalAveragePool", ["x"], ["y"])],
        "pool",
        [value("x", onnx.TensorProto.FLOAT, shape)],
        [value("y", onnx.TensorProto.FLOAT, [1, 3, 1, 1])],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "pool.onnx")
    for engine in ENGINES:
        with pytest.raises(WeightsError, match="not an upscaling network"):
            open_engine(tmp_path / "pool.onnx", EngineOptions(engine=engine))


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(UsageError, match="openvino"):
        open_engine(shipped(4, ".onnx"), EngineOptions(engine="tpu"))
