"""The exported form, int8 made from it, and the gate that decides whether int8 ships."""

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import pyvips
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from mafdn import load
from mafdn._support.atomic import sha256
from mafdn._support.machine import X86, machine
from mafdn.bench.convolutions import profile_layers
from mafdn.errors import ConfigError, UsageError, WeightsError
from mafdn.evaluation.benchset import PictureScore, SetScore
from mafdn.evaluation.methods import open_method
from mafdn.inference import ENGINES, Engine, EngineOptions, open_engine, upscale
from mafdn.inference.engines import onnxruntime, openvino, registry
from mafdn.inference.engines.base import HALF_RANGE
from mafdn.inference.engines.choice import Choice, Trial
from mafdn.inference.engines.model_files import has_int8, int8_file
from mafdn.inference.engines.openvino import OpenVINOEngine
from mafdn.networks import MAFDN, IMDNSettings, MAFDNSettings, build
from mafdn.networks.exported import exported_form
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize, psnr
from mafdn.release import int8_gate as int8
from mafdn.release import quantize
from mafdn.release.int8_gate import judge
from mafdn.release.quantize import (
    DRAWN,
    PHOTOS,
    calibration_crops,
    largest_weight,
    parts,
    quantize_onnx,
    read_onnx_header,
)
from mafdn.training.data.bank import Bank
from mafdn.training.data.build import build_bank
from mafdn.weights.header import SCALES
from mafdn.weights.shipped import shipped
from tests.conftest import ROOT, Run
from tools import documents
from tools.documents import RESULTS
from tools.quantize import quantize_and_document

SMALL = MAFDNSettings(scale=2, width=8, blocks=2)
FLOAT, INT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT8
CHOICE = Choice(
    when="", network="", precision="", threads=None, trials=(Trial(engine="openvino", device="cpu", seconds=1.0),)
)


def lively(made: MAFDNSettings) -> MAFDN:
    torch.manual_seed(0)
    network = build(made)
    assert isinstance(network, MAFDN)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if name.startswith("blocks"):
                tensor.mul_(2)
    return network


def soft(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(1, 3, H, W) in [0, 1]."""
    spots = np.random.default_rng(seed).random((-(-height // 4), -(-width // 4), 3))
    picture = imresize(spots, shape=(height, width)).clip(0, 1)
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)


@pytest.fixture(scope="session")
def quantized(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "small-int8.onnx"
    assert quantize_onnx(exported, path, [soft(32, 32, seed) for seed in range(8)]) > 40
    return path


def with_full_range(source: Path, target: Path) -> Path:
    """Nearly the function of ``source``, its weights at twice their size and half their scale, as files were before."""
    model = onnx.load(source)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and constants.get(node.input[0], onnx.TensorProto()).data_type == INT8:
            weights, scales = (numpy_helper.to_array(constants[name]) for name in node.input[:2])
            doubled = (2 * weights.astype(np.int16)).clip(-128, 127).astype(np.int8)
            constants[node.input[0]].CopyFrom(numpy_helper.from_array(doubled, node.input[0]))
            constants[node.input[1]].CopyFrom(numpy_helper.from_array(scales / 2, node.input[1]))
    header = read_onnx_header(source)
    del header["weight_range"]
    onnx.helper.set_model_props(model, {"mafdn": json.dumps(header)})
    onnx.save(model, target)
    return target


@pytest.fixture(scope="session")
def full_range(quantized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_full_range(quantized, tmp_path_factory.mktemp("full") / "full-int8.onnx")


@pytest.fixture
def without_vnni(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an x86 processor that has no VNNI, as far as the program can tell."""
    simulate(monkeypatch, "Linux x86_64", "avx2")


def simulate(monkeypatch: pytest.MonkeyPatch, system: str, *features: str) -> None:
    for module in (registry, openvino, onnxruntime):
        monkeypatch.setattr(module, "machine", lambda: replace(machine(), system=system, features=features))


@pytest.fixture(scope="session")
def engine(quantized: Path) -> Engine:
    return open_engine(quantized, EngineOptions(engine="openvino", threads=1))


# --- the exported form


@pytest.mark.parametrize("switch", ["", "pixel_attention", "channel_attention", "spatial_attention"])
@pytest.mark.parametrize("over_parameterized", [True, False])
def test_the_exported_form_computes_the_same(switch: str, over_parameterized: bool) -> None:
    made = replace(SMALL, over_parameterized=over_parameterized)
    network = lively(replace(made, **{switch: False}) if switch else made)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    x = torch.rand(2, 3, 13, 17)
    with torch.inference_mode():
        torch.testing.assert_close(exported_form(network)(x), network(x), atol=1e-5, rtol=0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_the_exported_form_has_fewer_operations(exported: Path) -> None:
    graph = onnx.load(exported).graph
    # Two for each block: its bias and its product; one after the blocks; two in each gate's statistics.
    assert len(parts(graph)["sums"]) == 2 * SMALL.blocks + 1 + 2 * SMALL.blocks
    assert len(parts(graph)["products"]) == SMALL.blocks + 1


def test_a_peer_is_exported_folded() -> None:
    peer = build(IMDNSettings(scale=2))
    x = torch.rand(1, 3, 9, 9)
    with torch.inference_mode():
        assert torch.equal(exported_form(peer)(x), peer.fold()(x))


# --- the file


def test_the_header_says_what_it_is_and_of_what(exported: Path, quantized: Path) -> None:
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
    quantize_onnx(exported, again, [soft(32, 32, seed) for seed in range(8)])
    assert again.read_bytes() == quantized.read_bytes()


def test_only_a_float_mafdn_is_quantized(quantized: Path, tmp_path: Path) -> None:
    peer = tmp_path / "imdn.onnx"
    header = {"architecture": "imdn", "stencil": {"radius": 27, "halo": 20}}
    model = onnx.load(quantized)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {"mafdn": json.dumps(header)})
    onnx.save(model, peer)
    for path in (peer, quantized):
        with pytest.raises(WeightsError, match="not a MAFDN in float"):
            quantize_onnx(path, tmp_path / "n.onnx", [soft(32, 32)])
    assert [path.name for path in tmp_path.iterdir()] == ["imdn.onnx"]


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_a_damaged_file_has_a_header_or_is_refused(
    quantized: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(quantized.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "n.onnx"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with contextlib.suppress(WeightsError):
        assert isinstance(read_onnx_header(path), dict)


# --- results


def test_int8_is_near_float(exported: Path, quantized: Path) -> None:
    x = soft(60, 70, seed=5)
    for name in ENGINES:
        assert (
            psnr(open_engine(exported).run(x), open_engine(quantized, EngineOptions(engine=name)).run(x), peak=1.0) > 40
        )


@given(st.data())
@settings(deadline=None, max_examples=10)
def test_any_tiling_equals_the_whole_bit_for_bit(engine: Engine, data: st.DataObject) -> None:
    height, width = data.draw(st.tuples(st.integers(1, 130), st.integers(1, 130)))
    picture = soft(height, width, seed=height)[0].transpose(1, 2, 0)
    if data.draw(st.booleans()):
        picture = np.round(picture)
    assert engine.stencil
    x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None])
    whole = engine.stencil.run(x, engine.stencil.gates(x))[0].transpose(1, 2, 0).clip(0, 1)
    tiled = upscale(engine, picture, tile=data.draw(st.integers(60, 90)), exact=True)
    assert np.array_equal(tiled, whole)


@pytest.mark.parametrize("scale", SCALES)
def test_engines_agree_on_what_ships_in_int8(scale: int, shared: Path) -> None:
    """OpenVINO computes wrongly when activations are signed: this was 12 dB off."""
    picture = read_rgb8(shared / "data" / "bench" / "Set14" / "HR" / "comic.png")[:96, :80]
    results = [upscale(open_engine(shipped_int8(scale), EngineOptions(engine=name)), picture) for name in ENGINES]
    assert psnr(results[0], results[1]) > 40
    float32 = upscale(open_engine(shipped(scale, ".onnx")), picture)
    assert all(psnr(float32, result) > 35 for result in results)


def test_tiles_of_what_ships_in_int8_are_the_whole() -> None:
    picture = soft(60, 420, seed=3)[0].transpose(1, 2, 0)
    engine = open_engine(shipped_int8(4), EngineOptions(engine="openvino"))
    assert engine.stencil
    x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None])
    whole = engine.stencil.run(x, engine.stencil.gates(x))[0].transpose(1, 2, 0).clip(0, 1)
    assert np.array_equal(upscale(engine, picture, tile=156, exact=True), whole)
    # Alone, a whole picture finds its gates in the same graph; the engine joins operations otherwise there.
    assert psnr(upscale(engine, picture), whole, peak=1.0) > 50


# --- processors without VNNI, on which full-range weights saturate


def test_weights_take_half_the_range(quantized: Path, full_range: Path) -> None:
    assert 60 <= largest_weight(onnx.load(quantized).graph) <= HALF_RANGE
    assert largest_weight(onnx.load(full_range).graph) >= 120
    assert "weight_range" not in read_onnx_header(full_range)


def test_a_file_beyond_half_range_is_not_written(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize, "HALF_RANGE", 30)
    with pytest.raises(WeightsError, match=r"int8 weights up to 6\d in .*n\.onnx: it was not written"):
        quantize_onnx(exported, tmp_path / "n.onnx", [soft(32, 32)])
    assert not list(tmp_path.iterdir())


OPENED: dict[str, Callable[[Path], object]] = {
    "load": lambda path: load(path),
    "load in int8": lambda path: load(path, engine=EngineOptions(precision="int8")),
    "load in bf16": lambda path: load(path, engine=EngineOptions(precision="bf16", engine="openvino", device="cpu")),
    "openvino": lambda path: open_engine(path, EngineOptions(engine="openvino")),
    "openvino on the CPU": lambda path: open_engine(path, EngineOptions(engine="openvino", device="CPU")),
    "the engine itself": lambda path: OpenVINOEngine(path),
    "beside its network": lambda path: open_engine(path.with_name("full.onnx"), EngineOptions(precision="int8")),
    "a method": lambda path: open_method(str(path), scale=2),
    "layers": lambda path: profile_layers(path, (16, 16), threads=1),
}


@pytest.mark.usefixtures("without_vnni")
@pytest.mark.parametrize("way", OPENED)
def test_full_range_is_refused_without_vnni(
    way: str, exported: Path, full_range: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "load in bf16" and "bf16" not in OpenVINOEngine.devices()["cpu"]:
        pytest.skip("this processor has no bf16")
    shutil.copy(exported, full_range.with_name("full.onnx"))
    monkeypatch.setattr(registry, "measure_engines", None)  # engines are not timed again for it
    monkeypatch.setattr(registry, "remembered", lambda _: CHOICE)
    for _ in range(2):  # read anew, and from what is kept
        with pytest.raises(UsageError) as caught:
            OPENED[way](full_range)
        message = str(caught.value)
        assert message.startswith(f"{full_range} has full-range int8 weights")
        assert "VNNI" in message
        assert "mafdn quantize" in message
        assert "\n" not in message


@pytest.mark.usefixtures("without_vnni")
def test_full_range_is_refused_by_every_command(
    full_range: Path, png: Path, bank: Bank, tmp_path: Path, cli: Run
) -> None:
    folder = tmp_path / "Small"
    folder.mkdir()
    shutil.copy(png, folder)
    for command in (
        ("upscale", png, "--network", full_range),
        ("upscale", folder, "--network", full_range, "--output-dir", tmp_path / "out"),
        ("evaluate", "--network", full_range, "--bench", folder, "--scale", 2),
        ("bank", "teach", bank.folder, "--network", full_range, "--name", "full"),
    ):
        code, _, err = cli(*command)
        assert (code, err.count("\n")) == (2, 1), (command, err)
        assert f"{full_range} has full-range int8 weights" in err


@pytest.mark.usefixtures("without_vnni")
def test_half_range_is_taken_without_vnni(quantized: Path, full_range: Path) -> None:
    x = soft(40, 50, seed=2)
    results = [open_engine(quantized, EngineOptions(engine=name, precision="int8")).run(x) for name in ENGINES]
    assert psnr(results[0], results[1], peak=1.0) > 40
    # onnxruntime computes these convolutions in float.
    assert psnr(open_engine(full_range, EngineOptions(engine="onnxruntime")).run(x), results[1], peak=1.0) > 40


@pytest.mark.parametrize(
    ("system", "features", "refused"),
    [
        ("Linux x86_64", ("avx2", "avx512f"), True),
        ("Linux x86_64", ("avx2", "avx512f", "avx512_vnni"), False),
        ("Linux x86_64", ("avx2", "avx_vnni"), False),
        ("Linux aarch64", ("asimd",), False),
        ("Darwin arm64", (), False),
        ("Darwin x86_64", (), True),
        ("Windows AMD64", (), True),  # which does not tell
    ],
)
def test_only_a_processor_known_to_be_safe_takes_full_range(
    system: str, features: tuple[str, ...], refused: bool, full_range: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(monkeypatch, system, *features)
    with pytest.raises(UsageError, match="VNNI") if refused else contextlib.nullcontext():
        assert OpenVINOEngine(full_range).precision == "int8"


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        ("float", False),
        ("QDQ", True),
        ("QDQ, half range", False),
        ("QDQ, unsigned weights", False),
        ("QDQ, weights in float", True),
        ("weights only", False),
        ("QLinearConv", True),
    ],
)
@pytest.mark.usefixtures("without_vnni")
def test_full_range_is_found_in_the_files_of_other_programs(kind: str, refused: bool, tmp_path: Path) -> None:
    path = foreign(tmp_path / "foreign.onnx", kind)
    with pytest.raises(UsageError, match="full-range") if refused else contextlib.nullcontext():
        open_engine(path, EngineOptions(engine="openvino"))
    assert open_engine(path, EngineOptions(engine="onnxruntime")).scale == 1


def foreign(path: Path, kind: str) -> Path:
    """A convolution (x1) without a header of ours, with int8 weights as other programs write them."""
    weights = np.full((3, 3, 1, 1), 32 if "half" in kind else 127, np.int8)
    constants: dict[str, np.ndarray] = {"s": np.array(1 / 255, np.float32), "z": np.array(0, np.uint8)}
    constants |= {"w": weights, "ws": np.array(1 / 381, np.float32), "wz": np.array(0, np.int8)}
    quantize, dequantize = (["QuantizeLinear", "lr", "s", "z", "q"], ["DequantizeLinear", "q", "s", "z", "x"])
    weight = ["DequantizeLinear", "w", "ws", "wz", "wf"]
    nodes = [quantize, dequantize, weight, ["Conv", "x", "wf", "sr"]]
    if kind == "float":
        constants["wf"], nodes = weights * constants["ws"], [["Conv", "lr", "wf", "sr"]]
    elif "unsigned" in kind:
        constants |= {"w": (weights.astype(np.int16) + 128).astype(np.uint8), "wz": np.array(128, np.uint8)}
    elif "in float" in kind:
        constants["w"] = weights * constants["ws"]
        nodes = [["QuantizeLinear", "w", "ws", "wz", "wq"], ["DequantizeLinear", "wq", "ws", "wz", "wf"], *nodes]
        del nodes[4]
    elif kind == "weights only":
        nodes = [weight, ["Conv", "lr", "wf", "sr"]]
    elif kind == "QLinearConv":
        nodes = [quantize, ["QLinearConv", "q", "s", "z", "w", "ws", "wz", "s", "z", "y"]]
        nodes += [["DequantizeLinear", "y", "s", "z", "sr"]]
    lr, sr = (onnx.helper.make_tensor_value_info(name, FLOAT, [1, 3, "h", "w"]) for name in ("lr", "sr"))
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, inputs, [output]) for kind, *inputs, output in nodes],
        "foreign",
        [lr],
        [sr],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opset = onnx.helper.make_opsetid("", 18)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


@pytest.mark.usefixtures("without_vnni")
def test_onnxruntime_makes_full_range_unsigned(tmp_path: Path) -> None:
    engine: Any = open_engine(foreign(tmp_path / "foreign.onnx", "QLinearConv"), EngineOptions(engine="onnxruntime"))
    options = engine._session.get_session_options()
    assert options.get_session_config_entry("session.x64quantprecision") == "1"
    white = engine.run(np.ones((1, 3, 4, 4), np.float32))
    assert white == pytest.approx(np.ones_like(white), abs=1e-6)  # three products of 255 and 127 each


NEARNESS = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from mafdn.inference import EngineOptions, open_engine
from mafdn.inference.engines import openvino
from mafdn.pixels import psnr
real = openvino.machine
openvino.machine = lambda: replace(real(), features=("avx512_vnni",))  # nothing is refused: it is what is measured
x = np.load(sys.argv[1])
float32, int8 = (open_engine(Path(path), EngineOptions(engine="openvino", threads=1)).run(x) for path in sys.argv[2:])
print(psnr(float32, int8, peak=1.0))
"""


def nearness_in_avx2(float32: Path, int8: Path, folder: Path) -> float:
    """PSNR in dB of ``int8`` against ``float32`` in OpenVINO that uses no instructions beyond AVX2."""
    np.save(folder / "x.npy", soft(64, 64, seed=1))
    line = [sys.executable, "-c", NEARNESS, *map(str, (folder / "x.npy", float32, int8))]
    capped = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    return float(subprocess.run(line, stdout=subprocess.PIPE, timeout=100, check=True, env=capped).stdout)


x86_only = pytest.mark.skipif(platform.machine().lower() not in X86, reason="only x86 processors have AVX2")


@x86_only
@pytest.mark.parametrize("scale", SCALES)
def test_what_ships_in_int8_is_near_float_without_vnni(scale: int, tmp_path: Path) -> None:
    assert nearness_in_avx2(shipped(scale, ".onnx"), shipped_int8(scale), tmp_path) > 40


@x86_only
def test_full_range_is_wrong_without_vnni(tmp_path: Path) -> None:
    """The reason for all of this; of what ships, x2 shows it most."""
    full = with_full_range(shipped_int8(2), tmp_path / "full-int8.onnx")
    assert nearness_in_avx2(shipped(2, ".onnx"), full, tmp_path) < 30


# --- calibration


def test_crops_are_always_the_same_and_some_are_drawn(tmp_path: Path) -> None:
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


# --- the gate


def scored(bench: str, *psnrs: float) -> SetScore:
    pictures = tuple(PictureScore(name=str(i), psnr=value, ssim=0.9) for i, value in enumerate(psnrs))
    return SetScore(network="n", bench=bench, scale=2, pictures=pictures)


def test_the_gate_is_the_mean_over_sets_and_the_worst_picture() -> None:
    float32 = scored("A", 30, 30), scored("B", 30)
    passed = judge([float32[0], scored("A", 29.92, 29.96), float32[1], scored("B", 29.97)])
    assert passed.reason == ""
    assert passed.mean == pytest.approx(0.045)
    assert passed.sets == pytest.approx({"A": 0.06, "B": 0.03})
    assert (passed.worst, passed.worst_loss) == ("A/0", pytest.approx(0.08))
    mean = judge([float32[0], scored("A", 29.9, 29.9), float32[1], scored("B", 29.99)])
    assert "0.055 dB on average" in mean.reason
    assert "A/" not in mean.reason
    single = judge([float32[0], scored("A", 29.79, 30.2), float32[1], scored("B", 30)])
    assert "0.210 dB on A/0" in single.reason
    assert "average" not in single.reason
    assert judge([float32[0], scored("A", float("nan"), 30)]).reason


def test_quantize_writes_only_what_passes(
    exported: Path, tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, weights = tmp_path / "photos", tmp_path / "weights"
    for folder in (photos, weights):
        folder.mkdir(parents=True)
    pyvips.Image.new_from_array((255 * soft(140, 140)[0].transpose(1, 2, 0)).astype(np.uint8)).pngsave(
        str(photos / "a.png")
    )
    build_bank([photos], tmp_path / "bank", scales=(2,), workers=1)
    network = weights / "n.onnx"
    shutil.copy(exported, network)
    # The crops are a test of their own; a few are faster.
    monkeypatch.setattr("mafdn.release.int8_gate.calibration_crops", lambda _bank, *, scale: [soft(32, 32, scale)] * 3)
    arguments = ("quantize", network, "--calibration", tmp_path / "bank", "--bench", photos)
    monkeypatch.setattr(int8, "MEAN_LIMIT", -100.0)
    code, _, err = cli(*arguments)
    assert code == 1
    assert "int8 loses" in err
    assert "was not written" in err
    assert [path.name for path in weights.iterdir()] == ["n.onnx"]
    monkeypatch.setattr(int8, "MEAN_LIMIT", 100.0)
    monkeypatch.setattr(int8, "PICTURE_LIMIT", 100.0)
    code, out, err = cli(*arguments, "--json")
    assert code == 0, err
    assert json.loads(out)["sets"].keys() == {"photos"}
    assert (weights / "n-int8.onnx").is_file()
    assert cli(*arguments)[0] == 1  # exists
    assert cli(*arguments, "--overwrite", "--bench", tmp_path / "no")[0] == 2


def test_quantizing_what_ships_is_documented(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = tmp_path / "photos"
    for folder in (photos, tmp_path / "weights", tmp_path / "docs" / "results"):
        folder.mkdir(parents=True)
    (tmp_path / "README.md").write_text("")
    (tmp_path / "docs" / "int8.md").write_text("<!-- int8: mafdn quantize -->\n<!-- /int8 -->\n")
    picture = (255 * soft(140, 140)[0].transpose(1, 2, 0)).astype(np.uint8)
    pyvips.Image.new_from_array(picture).pngsave(str(photos / "a.png"))
    build_bank([photos], tmp_path / "bank", scales=(2,), workers=1)
    network = tmp_path / "weights" / "mafdn-x2.onnx"
    shutil.copy(exported, network)
    monkeypatch.setattr("mafdn.release.int8_gate.calibration_crops", lambda _bank, *, scale: [soft(32, 32, scale)] * 3)
    stored = tmp_path / "docs" / "results" / "int8-x2.json"
    for limit, ships in ((100.0, True), (-100.0, False)):
        for module in (int8, documents):
            monkeypatch.setattr(module, "MEAN_LIMIT", limit)
            monkeypatch.setattr(module, "PICTURE_LIMIT", 100.0)
        quantize_and_document(2, tmp_path, calibration=tmp_path / "bank", benches=[photos])
        assert json.loads(stored.read_text())["ships"] is ships
        assert ("| yes |" if ships else "| no |") in (tmp_path / "docs" / "int8.md").read_text()
        assert int8_file(network).is_file() is ships


# --- what ships


def shipped_int8(scale: int) -> Path:
    path = int8_file(shipped(scale, ".onnx"))
    if not path.is_file():
        pytest.skip(f"no int8 ships at x{scale}")
    return path


@pytest.mark.parametrize("scale", SCALES)
def test_what_ships_in_int8_belongs_to_the_weights_and_was_measured(scale: int) -> None:
    path = shipped_int8(scale)
    assert has_int8(shipped(scale, ".onnx"))
    stored = json.loads((ROOT / RESULTS / f"int8-x{scale}.json").read_text("utf-8"))
    assert stored["ships"]
    assert stored["sha256"] == sha256(path)
    assert read_onnx_header(path)["weight_range"] == "half"
    assert largest_weight(onnx.load(path).graph) <= HALF_RANGE
    assert stored["loss"]["sets"].keys() == {"Set5", "Set14", "B100"}
    float32 = {s["bench"]: s["mean"]["psnr"] for s in stored["scores"][::2]}
    results = json.loads((ROOT / RESULTS / f"evaluate-x{scale}.json").read_text("utf-8"))
    shipping = {r["bench"]: r["mean"]["psnr"] for r in results if r["network"] == f"mafdn-x{scale}"}
    assert float32 == pytest.approx(shipping, abs=1e-3)
