"""Full-range int8 weights, which saturate on x86 processors without VNNI."""

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from mafdn import load
from mafdn._support.machine import X86
from mafdn.bench.convolutions import profile_layers
from mafdn.errors import UsageError
from mafdn.evaluation.methods import open_method
from mafdn.inference import ENGINES, EngineOptions, open_engine
from mafdn.inference.engines import registry
from mafdn.inference.engines.choice import Choice, Trial
from mafdn.inference.engines.model_files import has_int8
from mafdn.inference.engines.openvino import OpenVINOEngine
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import psnr
from mafdn.training.data.bank import Bank
from mafdn.weights.resolve import NAMES_OF_SCALES
from tests.conftest import ROOT, Run
from tests.release.conftest import shipped_fp32, shipped_int8, simulate, with_full_range
from tests.support import soft_batch

FLOAT = onnx.TensorProto.FLOAT


CHOICE = Choice(
    when="", network="", precision="", threads=None, trials=(Trial(engine="openvino", device="cpu", seconds=1.0),)
)


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
    monkeypatch.setattr(registry, "measure_engines", None)  # engines must not be timed again
    monkeypatch.setattr(registry, "remembered", lambda _: CHOICE)
    for _ in range(2):  # first read, then cached
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
def test_half_range_is_accepted_without_vnni(quantized: Path, full_range: Path) -> None:
    x = soft_batch(40, 50, seed=2)
    results = [open_engine(quantized, EngineOptions(engine=name)).run(x) for name in ENGINES]
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
        ("Windows AMD64", (), True),  # Windows does not report VNNI
    ],
)
def test_only_a_processor_known_to_be_safe_accepts_full_range(
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
def test_full_range_is_detected_in_files_from_other_programs(kind: str, refused: bool, tmp_path: Path) -> None:
    path = foreign(tmp_path / "foreign.onnx", kind)
    with pytest.raises(UsageError, match="full-range") if refused else contextlib.nullcontext():
        open_engine(path, EngineOptions(engine="openvino"))
    assert open_engine(path, EngineOptions(engine="onnxruntime")).scale == 1


def foreign(path: Path, kind: str) -> Path:
    """A convolution (x1) without a header, with int8 weights as other programs write them."""
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
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import psnr
real = openvino.machine
openvino.machine = lambda: replace(real(), features=("avx512_vnni",))  # so that nothing is rejected
x = np.load(sys.argv[1])
for names in zip(*[iter(sys.argv[2:])] * 3):
    paths = [Path(name) for name in names]
    float32, *both = (open_engine(path, EngineOptions(engine="openvino", threads=1)).run(x) for path in paths)
    print(*(psnr(float32, int8, peak=1.0) for int8 in both))
"""


def nearness_in_avx2(networks: list[tuple[Path, Path, Path]], folder: Path) -> list[tuple[float, float]]:
    """PSNR in dB of two files in int8 against one in float, of each network, on a photograph.

    OpenVINO uses no instructions beyond AVX2.
    """
    picture = read_rgb8(ROOT / "samples" / "flowers.jpg")[60:124, 60:124]
    np.save(folder / "x.npy", np.ascontiguousarray(picture.transpose(2, 0, 1)[None] / np.float32(255)))
    files = [folder / "x.npy", *(path for paths in networks for path in paths)]
    line = [sys.executable, "-c", NEARNESS, *map(str, files)]
    capped = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, timeout=280, check=True, env=capped)
    return [(float(half), float(full)) for half, full in map(str.split, done.stdout.splitlines())]


x86_only = pytest.mark.skipif(platform.machine().lower() not in X86, reason="only x86 processors have AVX2")


@x86_only
def test_shipped_int8_networks_are_near_float_without_vnni_for_their_half_range(tmp_path: Path) -> None:
    """In full range, sums saturate; how often depends on the weights, so that one network is enough."""
    names = [name for name in NAMES_OF_SCALES if has_int8(shipped_fp32(name))]
    halves = [shipped_int8(name) for name in names]
    fulls = [with_full_range(half, tmp_path / f"{name}-int8.onnx") for name, half in zip(names, halves, strict=True)]
    near = nearness_in_avx2(list(zip(map(shipped_fp32, names), halves, fulls, strict=True)), tmp_path)
    assert {name: half for name, (half, _) in zip(names, near, strict=True) if half <= 40} == {}
    assert max(half - full for half, full in near) > 3, (
        "decibels by which the result is further from that of the network in float"
    )
