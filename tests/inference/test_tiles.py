"""Tiles that equal the whole picture: gates, receptive radius and tilings."""

import json
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mafdn.errors import UsageError, WeightsError
from mafdn.inference import ENGINES, Engine, EngineOptions, open_engine, upscale
from mafdn.inference.engines import Stencil
from mafdn.inference.gates import SAMPLE_AREA, WHOLE_AREA, sample_windows
from mafdn.inference.upscale import MIRRORED
from mafdn.networks import AFANSettings, DDistillSettings, IMDNSettings, MAFDNSettings, build
from mafdn.networks.gated import Gated, influence, is_gated, receptive_radius
from mafdn.pictures.reading import read_rgb8
from mafdn.weights.shipped import Variant, shipped

SMALL = MAFDNSettings(scale=2, width=8, blocks=2)  # as in the fixture `exported`
TOLERANCE = 1e-4


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def stencil_of(engine: Engine) -> Stencil:
    assert engine.stencil
    return engine.stencil


@pytest.fixture(scope="session")
def engines(exported: Path) -> dict[str, Engine]:
    return {name: open_engine(exported, EngineOptions(engine=name, threads=1)) for name in ENGINES}


# --- the network


@pytest.mark.parametrize(
    ("made", "radius"),
    [
        (MAFDNSettings(), 39),  # head 1, six blocks of three 3x3 and a 7x7, smooth 1, tail 1
        (SMALL, 15),
        (replace(SMALL, spatial_attention=False), 9),
        (IMDNSettings(), 27),
    ],
)
def test_the_receptive_radius_is_that_of_the_built_network(made: MAFDNSettings | IMDNSettings, radius: int) -> None:
    assert receptive_radius(build(made)) == radius


def test_nothing_beyond_the_radius_matters_and_something_at_it_does() -> None:
    torch.manual_seed(0)
    network = build(replace(SMALL, blocks=1)).double()
    gated, radius = Gated(network), receptive_radius(network)
    x = torch.rand(1, 3, 25, 25, dtype=torch.float64)
    with torch.inference_mode():
        before, gates = gated(x, torch.full(gated.shape, torch.nan))
        x[..., 12, 12] += 0.5
        changed = (gated(x, gates)[0] != before).amax((0, 1)).nonzero() // 2
    assert (changed - 12).abs().amax(0).tolist() == [radius, radius]


def test_only_stencils_have_gates() -> None:
    assert is_gated(build(SMALL))
    assert not is_gated(build(replace(SMALL, channel_attention=False)))
    assert not any(is_gated(build(made)) for made in (AFANSettings(), DDistillSettings()))


def test_supplied_gates_replace_computed_ones() -> None:
    torch.manual_seed(0)
    network = build(SMALL)
    gated, x = Gated(network), torch.rand(2, 3, 12, 14)
    with torch.inference_mode():
        one, own = gated(x[:1], torch.full(gated.shape, torch.nan))
        torch.testing.assert_close(one, network(x[:1]))
        torch.testing.assert_close(gated(x[:1], own)[0], one)
        _, both = gated(x, torch.full(gated.shape, torch.nan))  # two windows of one picture
        assert not torch.allclose(own, both)
        assert gated(x, own)[1].equal(own)
        torch.testing.assert_close(network(x[:1]), one)  # the network itself is unchanged


def test_influence_vanishes_at_the_radius() -> None:
    torch.manual_seed(0)
    changes = influence(build(SMALL), torch.rand(1, 3, 36, 36), 15)
    assert len(changes) == 16
    assert changes[0] > 1e-3
    assert changes[15] < 1e-14


# --- the sampled windows


@given(st.integers(1, 200_000), st.integers(1, 200_000))
@settings(deadline=None)
def test_windows_are_bounded_and_inside_the_picture(height: int, width: int) -> None:
    windows = sample_windows(height, width)
    pixels = len(windows.tops) * len(windows.lefts) * windows.height * windows.width
    if windows.whole:
        assert pixels == height * width <= WHOLE_AREA
    else:
        assert SAMPLE_AREA / 4 < pixels <= SAMPLE_AREA
    for starts, size, length in ((windows.tops, windows.height, height), (windows.lefts, windows.width, width)):
        assert starts[0] >= 0
        assert starts[-1] + size <= length
        assert all(b - a >= size for a, b in pairwise(starts)), "windows overlap"


# --- tiles


@given(st.data())
@settings(deadline=None, max_examples=25)
def test_any_tiling_equals_the_whole_picture(engines: dict[str, Engine], data: st.DataObject) -> None:
    height, width = data.draw(st.tuples(st.integers(1, 220), st.integers(1, 220)))
    tile = data.draw(st.integers(60, 140))
    engine, other = (engines[data.draw(st.sampled_from(list(ENGINES)))] for _ in range(2))
    mirror = data.draw(st.booleans())
    picture = noise(height, width, 3, seed=height)
    around = MIRRORED if mirror else 0
    x = picture.transpose(2, 0, 1)[None]
    larger = np.pad(x, [(0, 0), (0, 0), (around, around), (around, around)], "symmetric")
    assert height * width <= WHOLE_AREA, "gates would be those of parts"
    whole = stencil_of(other).run(larger, stencil_of(other).gates(larger))[0].transpose(1, 2, 0)
    whole = whole[2 * around : 2 * (around + height), 2 * around : 2 * (around + width)]
    tiled = upscale(engine, picture, tile=tile, exact=True, mirror=mirror)
    assert np.abs(tiled - whole.clip(0, 1)).max() <= TOLERANCE


@given(st.data())
@settings(deadline=None, max_examples=25)
def test_a_crop_extended_by_the_radius_equals_that_part_of_the_whole(
    engines: dict[str, Engine], data: st.DataObject
) -> None:
    stencil = stencil_of(engines[data.draw(st.sampled_from(list(ENGINES)))])
    size = data.draw(st.tuples(st.integers(1, 90), st.integers(1, 90)))
    x = noise(1, 3, *size, seed=size[0])
    gates = stencil.gates(noise(3, 3, 20, 20))  # arbitrary gates
    inner: list[slice] = []
    outer: list[slice] = []
    for length in size:
        start = data.draw(st.integers(0, length - 1))
        stop = data.draw(st.integers(start + 1, length))
        inner.append(slice(start, stop))
        outer.append(slice(max(0, start - stencil.radius), min(length, stop + stencil.radius)))
    part = stencil.run(np.ascontiguousarray(x[:, :, outer[0], outer[1]]), gates)
    whole = stencil.run(x, gates)
    used = (slice(2 * (i.start - o.start), 2 * (i.stop - o.start)) for i, o in zip(inner, outer, strict=True))
    same = (slice(2 * i.start, 2 * i.stop) for i in inner)
    assert np.abs(part[:, :, *used] - whole[:, :, *same]).max() <= TOLERANCE


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("shape", [(600, 700), (1, 300_000), (530, 530)])
def test_a_large_picture_is_the_same_with_every_tile_size(
    engines: dict[str, Engine], name: str, shape: tuple[int, int]
) -> None:
    picture = np.broadcast_to(noise(*shape), (*shape,))
    first, *others = (upscale(engines[name], picture, tile=tile, exact=True) for tile in (None, 300, 1000))
    for other in others:
        assert np.abs(first - other).max() <= TOLERANCE


def test_engines_agree_on_a_large_picture(engines: dict[str, Engine]) -> None:
    one, two = (upscale(engine, noise(520, 560, 3), tile=200) for engine in engines.values())
    assert np.abs(one - two).max() <= TOLERANCE


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (2, 3)])
def test_the_smallest_pictures(engines: dict[str, Engine], shape: tuple[int, int]) -> None:
    one, two = (upscale(engine, noise(*shape), tile=90, exact=True) for engine in engines.values())
    assert one.shape == (2 * shape[0], 2 * shape[1])
    assert np.abs(one - two).max() <= TOLERANCE


def test_a_constant_picture_has_no_seams(engines: dict[str, Engine]) -> None:
    result = upscale(engines["openvino"], np.full((300, 250, 3), 0.4, np.float32), tile=96, exact=True)
    inner = result[40:-40, 40:-40].reshape(-1, 2, 210, 2, 3)[..., :, :]
    assert np.ptp(inner, axis=(0, 2)).max() < 1e-5


def test_alpha_has_its_own_gates(engines: dict[str, Engine]) -> None:
    picture = noise(130, 140, 4)
    tiled = upscale(engines["openvino"], picture, tile=96, exact=True)
    alone = upscale(engines["openvino"], picture[..., 3], tile=96, exact=True)
    assert np.array_equal(tiled[..., 3], alone)
    assert np.array_equal(tiled[..., :3], upscale(engines["openvino"], picture[..., :3], tile=96, exact=True))


# --- shipped weights


@pytest.mark.parametrize("network", [(2, "classic"), (4, "classic"), (4, "photo")])
def test_saturated_colors_stay_at_the_borders_of_mirrored_pictures(network: tuple[int, Variant]) -> None:
    engine = open_engine(shipped(network[0], ".onnx", network[1]))
    for color in product((0, 255), repeat=3):
        picture = np.full((24, 24, 3), color, np.uint8)
        result = upscale(engine, picture, mirror=True).astype(int)
        assert np.abs(result - color).max() <= 3, color


@pytest.mark.parametrize("scale", [2, *(pytest.param(scale, marks=pytest.mark.slow) for scale in (3, 4))])
def test_the_default_halo_is_exact_on_photographs(datasets: Path, scale: int) -> None:
    picture = read_rgb8(datasets / "Set14" / "HR" / "comic.png")[:200, :200] / np.float32(255)
    engine = open_engine(shipped(scale, ".onnx"))
    stencil = stencil_of(engine)
    assert stencil.radius == 39
    assert stencil.halo < stencil.radius
    whole = upscale(engine, picture)
    assert np.abs(upscale(engine, picture, tile=128) - whole).max() <= TOLERANCE / 10


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINES)
def test_the_full_radius_is_exact_for_shipped_networks(name: str) -> None:
    engine, picture = open_engine(shipped(4, ".onnx"), EngineOptions(engine=name)), noise(60, 1100, 3)
    whole = upscale(engine, picture)
    assert np.abs(upscale(engine, picture, tile=156, exact=True) - whole).max() <= TOLERANCE


# --- files


def test_other_programs_see_an_ordinary_network(exported: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(exported), options)
    assert [value.name for value in session.get_inputs()] == ["lr"]
    x = noise(1, 3, 20, 30)
    sr = session.run(None, {"lr": x})[0]
    assert np.abs(sr - open_engine(exported).run(x)).max() <= TOLERANCE


def without_stencil(path: Path, target: Path, **header: object) -> Path:
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"mafdn": json.dumps(header)})
    onnx.save(model, target)
    return target


def test_tiles_of_a_file_without_a_stencil_fade(exported: Path, tmp_path: Path) -> None:
    path = without_stencil(exported, tmp_path / "n.onnx", architecture="mafdn")
    picture = noise(120, 150, 3)
    for name in ENGINES:
        engine = open_engine(path, EngineOptions(engine=name))
        assert engine.stencil is None
        with pytest.raises(UsageError, match="exact"):
            upscale(engine, picture, exact=True)
        assert upscale(engine, picture, tile=96).shape == (240, 300, 3)


@pytest.mark.parametrize(
    "stencil",
    [3, [], {"radius": 9}, {"radius": 9, "halo": 10}, {"radius": 10**9, "halo": 5}, {"radius": "9", "halo": 5}],
)
def test_a_damaged_header_is_refused(exported: Path, tmp_path: Path, stencil: object) -> None:
    path = without_stencil(exported, tmp_path / "n.onnx", stencil=stencil)
    for name in ENGINES:
        with pytest.raises(WeightsError, match="damaged mafdn header"):
            open_engine(path, EngineOptions(engine=name))
