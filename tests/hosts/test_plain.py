"""Plain ONNX files, as programs that know nothing of this one use them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch

from mafdn.export.gates import choose_gates
from mafdn.export.plain import export_plain
from mafdn.networks import MAFDN, IMDNSettings, build, load_mafdn, save_network, weights_digest
from mafdn.networks.held import held, typical_gates
from mafdn.weights.header import read_header
from mafdn.weights.resolve import NAMES_OF_SCALES
from mafdn.weights.shipped import shipped
from tests.conftest import Run
from tests.runs import saved_run
from tests.support import failed, soft_batch
from tools.plain_gates.tiles import tiled

PROBES = ((16, 16), (64, 64), (256, 256), (512, 512), (35, 114), (1, 1), (7, 3))
"""Heights and widths that chaiNNer tries, and odd ones."""


@pytest.fixture(scope="module")
def gates(network: MAFDN) -> torch.Tensor:
    return typical_gates(network, [torch.from_numpy(soft_batch(20, 30, seed)) for seed in range(3)])


@pytest.fixture(scope="module")
def plain(network: MAFDN, gates: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "plain.onnx"
    assert export_plain(network, path, gates=gates) < 1e-4
    return path


def test_held_gates_are_those_of_the_network(network: MAFDN, gates: torch.Tensor) -> None:
    from mafdn.networks.gated import Gated

    x = torch.from_numpy(soft_batch(21, 17))
    with torch.inference_mode():
        expected, used = Gated(network.fold())(x, gates)
        result = held(network, gates)(x)
    torch.testing.assert_close(used, gates)
    torch.testing.assert_close(result, expected, atol=2e-6, rtol=0)
    assert gates.std() > 0.001  # else this compares nothing
    with pytest.raises(ValueError, match="positive"):
        held(network, -gates)
    with pytest.raises(ValueError, match="no channel attention"):
        held(held(network, gates), gates)


def test_the_file_is_as_hosts_expect(network: MAFDN, plain: Path) -> None:
    model = onnx.load(plain)
    onnx.checker.check_model(model, full_check=True)
    header = json.loads({entry.key: entry.value for entry in model.metadata_props}["mafdn"])
    assert (header["plain"], header["weights_sha256"]) == (True, weights_digest(network))
    (entry,) = model.graph.input
    (result,) = model.graph.output
    assert (entry.name, result.name) == ("input", "output")
    shape = [d.dim_param or d.dim_value for d in entry.type.tensor_type.shape.dim]
    assert shape == [1, 3, "height", "width"]
    assert entry.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    (opset,) = model.opset_import
    assert opset.domain == ""
    assert 17 <= opset.version <= 20
    operations = {node.op_type for node in model.graph.node}
    assert "Clip" not in operations
    assert not {"If", "Loop", "Shape"} & operations


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_every_size_of_a_host_runs(network: MAFDN, gates: torch.Tensor, plain: Path, runtime: str) -> None:
    run = _runner(plain, runtime)
    constant = held(network, gates)
    for height, width in PROBES:
        x = soft_batch(height, width)
        with torch.inference_mode():
            expected = constant(torch.from_numpy(x)).numpy()
        assert np.abs(run(x) - expected).max() < 1e-5, (height, width)


@pytest.mark.usefixtures("unchecked")
def test_tiles_of_a_host_join_without_seams_only_if_gates_are_held(network: MAFDN, plain: Path, tmp_path: Path) -> None:
    x = soft_batch(93, 131)
    x[..., 60:] *= 0.1  # tiles that differ from each other
    worst: dict[str, float] = {}
    export_plain(network, tmp_path / "computed.onnx", gates=None)
    for kind, path in (("held", plain), ("computed", tmp_path / "computed.onnx")):
        run = _runner(path, "onnxruntime")
        joined = tiled(run, x, tile=64, overlap=20, scale=2)
        worst[kind] = float(np.abs(joined - run(x)).max())
    assert worst["held"] < 1e-5
    assert worst["computed"] > 10 * worst["held"]


@pytest.mark.usefixtures("unchecked")
def test_a_fixed_size_runs_and_refuses_others(network: MAFDN, gates: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "fixed.onnx"
    export_plain(network, path, gates=gates, size=24)
    shapes = [
        [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*onnx.load(path).graph.input, *onnx.load(path).graph.output)
    ]
    assert shapes == [[1, 3, 24, 24], [1, 3, 48, 48]]
    x = soft_batch(24, 24)
    expected = held(network, gates)(torch.from_numpy(x)).detach().numpy()
    for runtime in ("onnxruntime", "openvino"):
        assert np.abs(_runner(path, runtime)(x) - expected).max() < 1e-5
    with pytest.raises(Exception, match="Got: 25 Expected: 24"):
        _runner(path, "onnxruntime")(soft_batch(25, 24))


def test_typical_gates_are_stored_for_all_shipped_weights() -> None:
    for variant, scale in NAMES_OF_SCALES.values():
        path = shipped(scale, ".safetensors", variant)
        network = load_mafdn(path)
        chosen = choose_gates(network, path, "typical")
        assert chosen is not None
        assert chosen.shape == (network.settings.blocks, 2 * network.settings.width)
        assert 0 < chosen.min() < chosen.max() <= 1
        held(network, chosen)


def test_the_command(cli: Run, network: MAFDN, photos: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "n.safetensors", tmp_path / "n-plain.onnx"
    save_network(network, source, card={"data": "none"})
    failed(cli("export", source, "--plain"), 2, "no typical gates are stored", "(--gates)")
    failed(cli("export", source, "--size", 64), 2, "--plain")
    failed(cli("export", source, "--plain", "--gates", tmp_path / "none"), 2, "has no pictures")
    failed(cli("export", source, "--plain", "--gates", photos, "--size", 64, "-o", tmp_path / "n2.safetensors"), 2)
    assert not target.exists()
    code, out, _ = cli("export", source, "--plain", "--gates", photos, "--json")
    assert (code, json.loads(out)["target"]) == (0, str(target))
    failed(cli("export", source, "--plain", "--gates", photos), 1, "exists")
    weights = tmp_path / "held.safetensors"
    assert cli("export", source, "--plain", "--gates", photos, "-o", weights)[0] == 0
    x = soft_batch(11, 13)
    with torch.inference_mode():
        expected = load_mafdn(weights)(torch.from_numpy(x)).numpy()
    assert np.abs(_runner(target, "onnxruntime")(x) - expected).max() < 1e-5
    checkpoint = saved_run(tmp_path / "run", network) / "step-00000010.safetensors"
    assert cli("export", checkpoint, "--plain", "--gates", photos, "-o", weights, "--overwrite")[0] == 0
    assert read_header(weights)[1]["steps"] == 10


def test_a_network_whose_attention_cannot_be_held_computes_its_own(tmp_path: Path) -> None:
    network = build(IMDNSettings(scale=2))
    assert choose_gates(network, tmp_path / "imdn.pth", "typical") is None


def _runner(path: Path, runtime: str) -> Any:
    if runtime == "openvino":
        compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda x: compiled({"input": x})["output"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda x: session.run(["output"], {"input": x})[0]
