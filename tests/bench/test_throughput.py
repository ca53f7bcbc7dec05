"""What `mafdn bench` measures: every case in turns, shares of ceilings, goals, layers and documents."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mafdn.bench import throughput
from mafdn.bench.cases import peer_cases
from mafdn.bench.convolutions import ceiling_macs, convolutions, open_convolutions, profile_layers
from mafdn.bench.tables import layer_tables, speed_tables
from mafdn.inference.engines.openvino import OpenVINOEngine
from mafdn.networks import MAFDNSettings, build, count
from mafdn.weights.shipped import shipped
from tests.conftest import Run
from tools.documents.goals import goals

SIZE = (18, 32)


@pytest.fixture
def small(exported: Path) -> Path:
    return exported


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_multiply_adds_are_those_that_torch_counts(scale: int) -> None:
    found = convolutions(shipped(scale, ".onnx"), (720 // scale, 1280 // scale))
    total = count(build(MAFDNSettings(scale=scale)))[-1]
    assert found.macs == total.conv_macs
    assert found.width == 50
    assert sum(macs for _, macs in found.kinds.values()) == found.macs


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_ceiling_has_only_convolutions(precision: str) -> None:
    open_convolutions(width=8, size=(6, 10), precision=precision, threads=1)()
    assert ceiling_macs(8, (6, 10)) == 26 * 9 * 64 * 60


def test_a_ceiling_uses_as_many_cores_as_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mafdn._support.machine.usable_cores", lambda: 1)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    run = open_convolutions(width=8, size=(6, 10))
    assert isinstance(run, partial)
    compiled: Any = run.func
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1


def test_layers_are_grouped_by_kind(small: Path) -> None:
    layers = profile_layers(small, SIZE, rounds=2, threads=1)
    assert sum(layer.share for layer in layers) == pytest.approx(1)
    assert sum(layer.macs for layer in layers) == convolutions(small, SIZE).macs
    (chain,) = (layer for layer in layers if layer.kind == "3x3 convolution, 8 to 8")
    assert chain.count == 7  # three of each block and one after them
    assert chain.macs == 7 * 9 * 64 * SIZE[0] * SIZE[1]
    assert [layer.milliseconds for layer in layers] == sorted((x.milliseconds for x in layers), reverse=True)


def test_bench(small: Path, cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The plain width is that of the network, which saves processes.
    small_work = {"output_size": (2 * SIZE[0], 2 * SIZE[1]), "ceiling_sizes": ((9, 16),), "plain_width": 8}
    monkeypatch.setattr(throughput, "measure_throughput", partial(throughput.measure_throughput, **small_work))
    report = tmp_path / "speed.md"
    code, out, err = cli("bench", "--network", small, "--rounds", 1, "--profile", "--report", report, "--json")
    assert (code, err) == (0, "")
    measured = json.loads(out)
    rows = {(r["latency"]["engine"].split()[0], r["precision"]): r for r in measured["rows"]}
    assert {("openvino", "fp32"), ("onnxruntime", "fp32"), ("torch", "fp32"), ("numpy", "uint8")} <= set(rows)
    tops = {(c["precision"], c["width"]): c["gmacs"] for c in measured["ceilings"]}
    assert ("fp32", 8) in tops
    plain = rows["openvino", "fp32"]
    assert plain["macs"] == convolutions(small, SIZE).macs
    assert plain["gmacs"] == pytest.approx(plain["macs"] / plain["latency"]["least"] / 1e9)
    assert plain["share"] == pytest.approx(plain["gmacs"] / tops["fp32", 8])
    assert plain["megapixels"] == pytest.approx(4 * SIZE[0] * SIZE[1] / 1e6 / plain["latency"]["median"])
    assert plain["latency"]["peak_mib"] > 30
    assert {row["name"] for row in measured["rows"]} == {"small", "lanczos", "lanczos of libvips"}
    assert goals(measured) == [], "the goals are those of the shipped networks"
    shipped = [row | {"name": "mafdn"} for row in measured["rows"]]
    assert {goal.what for goal in goals(measured | {"rows": shipped})} == {
        "fp32, speed relative to torch",
        "fp32, share of the ceiling",
    }
    assert measured["layers"]["fp32"]
    assert measured["networks"].keys() == {"small.onnx"}
    text = report.read_text()
    assert speed_tables(measured) in text
    assert layer_tables(measured) in text
    assert "mafdn bench --network small.onnx --rounds 1 --profile --report speed.md" in text
    assert json.loads(report.with_suffix(".json").read_text()) == measured
    result = cli("bench", "--network", small, "--rounds", 1, "--report", report)
    assert (result[0], f"{report} exists; use another name or overwrite it (--overwrite)" in result[2]) == (1, True)


def test_other_networks_are_timed_in_every_precision_that_needs_no_file(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supported = {"gpu": frozenset({"fp16"}), "cpu": frozenset({"fp32", "bf16", "int8"})}
    monkeypatch.setattr(OpenVINOEngine, "devices", staticmethod(lambda: supported))
    cases = peer_cases("IMDN", small, threads=1)
    assert [(case.options.device, case.options.precision) for case in cases] == [("cpu", "fp32"), ("cpu", "bf16")]
    assert {(case.name, case.path, case.options.threads) for case in cases} == {("IMDN", small, 1)}


def test_what_cannot_be_timed_gives_a_one_line_error(small: Path, cli: Run, tmp_path: Path) -> None:
    for arguments, code, word in (
        (("--network", tmp_path / "no.onnx"), 1, "no.onnx"),
        (("--network", small, "--scale", 4), 2, "upscales by 2"),
        (("--report", tmp_path / "no" / "speed.md"), 2, "no folder"),
        (("--peer", "vdsr"), 2, "vdsr"),
    ):
        result = cli("bench", *arguments)
        assert result[0] == code
        assert word in result[2]
        assert result[2].count("\n") == 1
