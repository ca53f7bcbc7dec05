"""The one count of parameters and Multi-Adds: of networks, weights and ONNX files, in every command."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest

from mafdn.bench.convolutions import convolutions
from mafdn.evaluation.costs.counting import count_costs, total_costs
from mafdn.export.onnx import export_onnx
from mafdn.inference.engines.model_files import has_int8, int8_file
from mafdn.networks import AFAN, AFANSettings, count
from mafdn.networks.checkpoints import open_network
from mafdn.weights.counts import Count
from mafdn.weights.shipped import shipped
from mafdn.weights.sizes import input_size
from tests.conftest import Run
from tests.support import failed


@pytest.mark.parametrize("described", [True, False])
def test_every_command_has_the_same_costs(
    bench: Path, exported: Path, tmp_path: Path, cli: Run, described: bool
) -> None:
    model = onnx.load(exported)
    if not described:
        model.ClearField("metadata_props")
    path = tmp_path / "network.onnx"
    onnx.save(model, path)
    counted = json.loads(cli("count", path, "--json")[1])["total"]
    (compared,) = json.loads(cli("compare", "--network", path, "--scale", 2, "--rounds", 0, "--json")[1])["rows"]
    evaluated = json.loads(cli("evaluate", "--bench", bench, "-s", 2, "--network", path, "--json")[1])["networks"]
    row = next(row for row in evaluated if row["file"] == path.name)
    costs = {key: counted[key] for key in ("parameters", "conv_macs", "thop_macs")}
    assert {key: compared["count"][key] for key in costs} == costs
    assert (row["parameters"], row["conv_macs"], row["multi_adds"]) == tuple(costs.values())
    assert convolutions(path, input_size(2)).macs == counted["conv_macs"]


def test_a_kept_count_is_that_of_the_file(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAFDN_CACHE", str(tmp_path / "cache"))
    total = count(open_network(network))[-1]
    assert total_costs(network, 2) == total
    (entry,) = (tmp_path / "cache" / "costs").iterdir()
    monkeypatch.setattr("mafdn.evaluation.costs.counting.count_costs", None)
    assert total_costs(network, 2) == total
    assert json.loads(entry.read_bytes()[32:]) == asdict(total)


def test_without_a_training_form_both_counts_are_equal() -> None:
    row = Count.of_one_form(parameters=1, conv_macs=2, thop_macs=3)
    assert (row.part, row.training_parameters, row.training_conv_macs, row.training_thop_macs) == ("total", 1, 2, 3)


def test_means_of_rows_and_columns_are_counted_in_onnx_files(tmp_path: Path) -> None:
    network = AFAN(AFANSettings(scale=2, width=8, blocks=1)).fold()
    path = tmp_path / "afan.onnx"
    export_onnx(network, path)
    total = count(network)[-1]
    expected = (total.parameters, total.conv_macs, total.thop_macs)
    for counted in (total_costs(path, 2), count_costs(path, 2)[-1]):
        assert counted is not None
        assert (counted.parameters, counted.conv_macs, counted.thop_macs) == expected


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_onnx_files_are_counted_like_their_weights(scale: int) -> None:
    total = count(open_network(shipped(scale, ".safetensors")))[-1]
    expected = (total.parameters, total.conv_macs, total.thop_macs)
    path = shipped(scale, ".onnx")
    for file in (path, int8_file(path)) if has_int8(path) else (path,):
        found = count_costs(file, scale)[-1]
        assert (found.parameters, found.conv_macs, found.thop_macs) == expected


def test_a_network_of_another_program_is_counted(tmp_path: Path, cli: Run) -> None:
    """Grouped and strided convolutions, a bias, a global pool and a linear layer."""
    rng = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        return onnx.numpy_helper.from_array(rng.random(shape, np.float32), name)

    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Conv", ["a", "w2"], ["b"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=12),
        node("GlobalAveragePool", ["b"], ["c"]),
        node("Mul", ["b", "c"], ["d"]),
        node("DepthToSpace", ["d"], ["y"], blocksize=2),
    ]
    stored = [weights("w1", 12, 3, 3, 3), weights("b1", 12), weights("w2", 12, 1, 3, 3)]
    picture = onnx.helper.make_tensor_value_info("x", 1, [1, 3, "h", "w"])
    result = onnx.helper.make_tensor_value_info("y", 1, [1, 3, "h2", "w2"])
    graph = onnx.helper.make_graph(nodes, "other", [picture], [result], stored)
    path = tmp_path / "other.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    pixels = 360 * 640
    parameters = 12 * 27 + 12 + 12 * 9
    conv = pixels * 12 * (27 + 9)
    found = total_costs(path, 2)
    assert found is not None
    assert (found.parameters, found.conv_macs, found.thop_macs) == (parameters, conv, conv + 12 * (pixels + 1))
    report = json.loads(cli("count", "--network", path, "--json")[1])
    assert (report["title"], report["scale"], report["parts"]) == ("other.onnx", 2, [])
    assert (report["total"]["parameters"], report["total"]["conv_macs"]) == (parameters, conv)
    code, out, _ = cli("count", path)
    assert (code, f"{parameters:,}" in out, math.isfinite(found.thop_macs)) == (0, True, True)
    failed(cli("count", path, "--scale", 4), 2, "upscales by 2, not 4")
