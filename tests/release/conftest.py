"""Small int8 networks, and processors without VNNI."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from mafdn._support.machine import machine
from mafdn.inference.engines import onnxruntime, openvino, precision
from mafdn.inference.engines.model_files import int8_file
from mafdn.release.quantize import quantize_onnx, read_onnx_header
from mafdn.weights.resolve import NAMES_OF_SCALES
from mafdn.weights.shipped import shipped
from tests.conftest import ROOT
from tests.support import soft_batch
from tools.documents.weights import RESULTS

INT8 = onnx.TensorProto.INT8


@pytest.fixture(scope="session")
def quantized(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "small-int8.onnx"
    assert quantize_onnx(exported, path, [soft_batch(32, 32, seed) for seed in range(8)]) > 40
    return path


def with_full_range(source: Path, target: Path) -> Path:
    """An int8 network with weights of twice the size and half the scale, which computes nearly the same as `source`."""
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
    """Simulate an x86 processor without VNNI."""
    simulate(monkeypatch, "Linux x86_64", "avx2")


def simulate(monkeypatch: pytest.MonkeyPatch, system: str, *features: str) -> None:
    for module in (precision, openvino, onnxruntime):
        monkeypatch.setattr(module, "machine", lambda: replace(machine(), system=system, features=features))


def shipped_fp32(name: str) -> Path:
    variant, scale = NAMES_OF_SCALES[name]
    return shipped(scale, ".onnx", variant)


def shipped_int8(name: str) -> Path:
    """Return the int8 file of a network, which must exist exactly where its stored measurement says that it ships."""
    path = int8_file(shipped_fp32(name))
    ships = json.loads((ROOT / RESULTS / f"int8-{name}.json").read_text("utf-8"))["ships"]
    assert path.is_file() == ships, path
    if not ships:
        pytest.skip(f"no int8 ships of {name}")
    return path
