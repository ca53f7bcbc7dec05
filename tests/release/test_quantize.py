"""Quantization to int8: the file, its results, and calibration."""

import contextlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from mafdn._support.atomic import sha256
from mafdn.errors import ConfigError, WeightsError
from mafdn.inference import ENGINES, Engine, EngineOptions, open_engine, upscale
from mafdn.inference.engines.base import HALF_RANGE
from mafdn.networks import MAFDNSettings
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import psnr
from mafdn.release import quantize
from mafdn.release.quantize import (
    DRAWN,
    PHOTOS,
    calibration_crops,
    largest_weight,
    quantize_onnx,
    read_onnx_header,
)
from mafdn.training.data.build import build_bank
from mafdn.weights.resolve import NAMES_OF_SCALES
from tests.release.conftest import shipped_fp32, shipped_int8
from tests.support import soft_batch

SMALL = MAFDNSettings(scale=2, width=8, blocks=2)


@pytest.fixture(scope="session")
def engine(quantized: Path) -> Engine:
    return open_engine(quantized, EngineOptions(engine="openvino", threads=1))


def test_the_header_describes_the_file_and_its_source(exported: Path, quantized: Path) -> None:
    header, source = read_onnx_header(quantized), read_onnx_header(exported)
    assert (header["precision"], header["weight_range"]) == ("int8", "half")
    assert header["source_sha256"] == sha256(exported)
    assert header["quantized"]["crops"] == 8
    assert header.items() >= source.items()
    stored = {entry.key: entry.value for entry in onnx.load(quantized).metadata_props}
    assert json.loads(stored["mafdn"]) == header


def test_most_convolutions_are_int8_and_activations_unsigned(quantized: Path) -> None:
    graph = onnx.load(quantized).graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    weights = {n.output[0] for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    left = [node.input[1] for node in convolutions if node.input[1] not in weights]
    assert len(left) == 3 + 2 * SMALL.blocks, "first, last two, and two in each gate"
    zeros = [
        constants[n.input[2]]
        for n in graph.node
        if n.op_type in ("QuantizeLinear", "DequantizeLinear") and n.input[0] not in constants
    ]
    assert zeros
    assert all(zero.data_type == onnx.TensorProto.UINT8 for zero in zeros)


@pytest.mark.slow
def test_quantizing_again_gives_the_same_bytes(exported: Path, quantized: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.onnx"
    quantize_onnx(exported, again, [soft_batch(32, 32, seed) for seed in range(8)])
    assert again.read_bytes() == quantized.read_bytes()


def test_only_a_float_mafdn_is_quantized(quantized: Path, tmp_path: Path) -> None:
    peer = tmp_path / "imdn.onnx"
    header = {"architecture": "imdn", "stencil": {"radius": 27, "halo": 20}}
    model = onnx.load(quantized)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {"mafdn": json.dumps(header)})
    onnx.save(model, peer)
    for path in (peer, quantized):
        with pytest.raises(WeightsError, match="not a float MAFDN"):
            quantize_onnx(path, tmp_path / "n.onnx", [soft_batch(32, 32)])
    assert [path.name for path in tmp_path.iterdir()] == ["imdn.onnx"]


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_a_damaged_file_has_a_header_or_is_rejected(
    quantized: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(quantized.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "n.onnx"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with contextlib.suppress(WeightsError):
        assert isinstance(read_onnx_header(path), dict)


def test_int8_is_near_float(exported: Path, quantized: Path) -> None:
    x = soft_batch(60, 70, seed=5)
    for name in ENGINES:
        assert (
            psnr(open_engine(exported).run(x), open_engine(quantized, EngineOptions(engine=name)).run(x), peak=1.0) > 40
        )


@given(st.data())
@settings(deadline=None, max_examples=10)
def test_any_tiling_equals_the_whole_bit_for_bit(engine: Engine, data: st.DataObject) -> None:
    height, width = data.draw(st.tuples(st.integers(1, 130), st.integers(1, 130)))
    picture = soft_batch(height, width, seed=height)[0].transpose(1, 2, 0)
    if data.draw(st.booleans()):
        picture = np.round(picture)
    assert engine.stencil
    x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None])
    whole = engine.stencil.run(x, engine.stencil.gates(x))[0].transpose(1, 2, 0).clip(0, 1)
    tiled = upscale(engine, picture, tile=data.draw(st.integers(60, 90)), exact=True)
    assert np.array_equal(tiled, whole)


@pytest.mark.parametrize("name", NAMES_OF_SCALES)
def test_engines_agree_on_shipped_int8_networks(name: str, datasets: Path) -> None:
    """OpenVINO computes signed activations incorrectly; the result was 12 dB off."""
    picture = read_rgb8(datasets / "Set14" / "HR" / "comic.png")[:96, :80]
    results = [upscale(open_engine(shipped_int8(name), EngineOptions(engine=engine)), picture) for engine in ENGINES]
    assert psnr(results[0], results[1]) > 40
    float32 = upscale(open_engine(shipped_fp32(name)), picture)
    assert all(psnr(float32, result) > 35 for result in results)


def test_tiles_of_shipped_int8_networks_equal_the_whole() -> None:
    picture = soft_batch(60, 420, seed=3)[0].transpose(1, 2, 0)
    engine = open_engine(shipped_int8("x4"), EngineOptions(engine="openvino"))
    assert engine.stencil
    x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None])
    whole = engine.stencil.run(x, engine.stencil.gates(x))[0].transpose(1, 2, 0).clip(0, 1)
    assert np.array_equal(upscale(engine, picture, tile=156, exact=True), whole)
    # A whole picture computes its gates in the same graph, where the engine fuses operations differently.
    assert psnr(upscale(engine, picture), whole, peak=1.0) > 50


def test_weights_use_half_the_range(quantized: Path, full_range: Path) -> None:
    assert 60 <= largest_weight(onnx.load(quantized).graph) <= HALF_RANGE
    assert largest_weight(onnx.load(full_range).graph) >= 120
    assert "weight_range" not in read_onnx_header(full_range)


def test_a_file_beyond_half_range_is_not_written(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize, "HALF_RANGE", 30)
    with pytest.raises(WeightsError, match=r"int8 weights up to 6\d in .*n\.onnx: it was not written"):
        quantize_onnx(exported, tmp_path / "n.onnx", [soft_batch(32, 32)])
    assert not list(tmp_path.iterdir())


def test_crops_are_reproducible_and_some_are_binarized(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(2):
        noise = np.random.default_rng(i).integers(64, 192, (140, 150, 3), np.uint8)
        pyvips.Image.new_from_array(noise).pngsave(str(tmp_path / "photos" / f"{i}.png"))
    bank = build_bank([tmp_path / "photos"], tmp_path / "bank", scales=(2, 4), workers=1)
    crops = calibration_crops(bank, scale=2)
    assert len(crops) == PHOTOS + DRAWN
    assert all(crop.shape == (1, 3, 64, 64) for crop in crops)
    assert all(np.array_equal(a, b) for a, b in zip(crops, calibration_crops(bank, scale=2), strict=True))
    values = [np.unique(crop) for crop in crops]
    assert all(len(v) > 10 for v in values[:PHOTOS])
    assert all(v.tolist() == [0, 1] for v in values[PHOTOS:])
    assert (crops[PHOTOS] == crops[PHOTOS][:, :1]).all()
    assert not (crops[PHOTOS + 1] == crops[PHOTOS + 1][:, :1]).all()
    with pytest.raises(ConfigError, match="at least 256x256"):
        calibration_crops(bank, scale=4)
