"""The check that an exported file passes in every engine before it gets its final name."""

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import onnx
import pytest

from mafdn.errors import MafdnError, UsageError, WeightsError
from mafdn.export import onnx as export
from mafdn.inference.engines import read_file_header
from mafdn.networks import Network, load_network, save_network, weights_digest
from mafdn.weights.header import read_tensors_digest


@pytest.fixture
def network(exported: Path, ready_graph: None) -> Network:  # noqa: ARG001
    """A network whose graph is ready, so that exporting it only runs the check."""
    return load_network(exported.with_suffix(".safetensors"))


def test_every_engine_checks_the_file(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "n.onnx"
    assert 0 < export.export_onnx(network, path) < export.TOLERANCE
    assert list(tmp_path.iterdir()) == [path]


def test_the_header_has_the_digest_of_the_weights(exported: Path, tmp_path: Path) -> None:
    digest = read_file_header(exported)["weights_sha256"]
    trained = load_network(exported.with_suffix(".safetensors"))
    folded = trained.fold()
    for card in ({}, {"steps": 1}):
        save_network(folded, tmp_path / "n.safetensors", card=card)
        assert read_tensors_digest(tmp_path / "n.safetensors") == digest
    assert weights_digest(trained) == weights_digest(folded) == digest
    cast(Any, folded).tail.bias.data[0] += 1e-3
    assert weights_digest(folded) != digest


def test_the_axes_of_the_picture_have_names(exported: Path) -> None:
    graph = onnx.load(exported).graph
    axes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    assert axes["lr"] == ["batch", 3, "height", "width"]
    assert axes["sr"] == ["batch", 3, "2*height", "2*width"]
    assert axes["gates"] == axes["gates_used"] == [2, 16]
    assert axes["conv2d"] == ["batch", 8, "height", "width"]


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "crashed on the exported file (Segmentation fault)",
        ),
        ("raise RuntimeError('no kernel')", "failed on the exported file (RuntimeError: no kernel)"),
        ("import os; os._exit(3)", "failed on the exported file (exit code 3)"),
    ],
)
def test_a_crashed_check_gives_a_one_line_error_that_names_the_engine(
    program: str, words: str, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stand_in.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(export, "CHECK", "stand_in")
    with pytest.raises(WeightsError) as caught:
        export.export_onnx(network, tmp_path / "n.onnx")
    assert str(caught.value).startswith(f"openvino {words}")
    assert not list(tmp_path.glob("n.onnx*"))


@pytest.mark.parametrize(
    ("engine", "kind", "words"),
    [("tpu", UsageError, "unknown engine"), ("torch", WeightsError, "needs the weights file")],
)
def test_errors_of_an_engine_are_raised_by_the_export(
    engine: str, kind: type[MafdnError], words: str, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ENGINES", {engine: None})
    with pytest.raises(kind, match=words) as caught:
        export.export_onnx(network, tmp_path / "n.onnx")
    assert type(caught.value) is kind


def test_a_file_with_a_different_result_is_not_written(network: Network, tmp_path: Path) -> None:
    cast(Any, network).tail.bias.data += 1e-3
    with pytest.raises(WeightsError, match=r"differs from the network by 0\.001"):
        export.export_onnx(network, tmp_path / "n.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_check_imports_no_torch() -> None:
    program = "import mafdn.export.check, sys; print(*({'torch', 'onnx', 'mafdn.export.onnx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
