"""No data is sent, and packages with telemetry leave no files behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mafdn._support.telemetry import disable_telemetry, hidden
from mafdn.inference.engines import ENGINE_NAMES
from tests.support import WATCHED, watched

EXPORT_AND_QUANTIZE = (
    WATCHED.partition("from mafdn")[0]
    + """
from pathlib import Path
import numpy as np
from mafdn.export.onnx import export_onnx
from mafdn.networks import load_network
from mafdn.release.quantize import quantize_onnx
folder = Path(sys.argv[2])
export_onnx(load_network(Path(sys.argv[1])), folder / "a.onnx")
rng = np.random.default_rng(0)
quantize_onnx(folder / "a.onnx", folder / "a-int8.onnx", [rng.random((1, 3, 32, 32), np.float32) for _ in range(8)])
print(*sorted(sys.modules), sep="\\n")
"""
)


def foreign(home: Path) -> list[str]:
    """Return the files in a home folder that were not written by this package."""
    files = [path.relative_to(home) for path in home.rglob("*") if not path.is_dir()]
    return [str(path) for path in files if "mafdn" not in path.parts]


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_no_engine_uses_the_network_or_leaves_files(name: str, png: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    done = watched("upscale", png, "--engine", name, "--quiet", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert "openvino_telemetry" not in done.stdout.split()
    assert foreign(home) == []


@pytest.mark.slow
def test_export_and_quantization_send_nothing_and_leave_no_files(exported: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    weights = exported.with_suffix(".safetensors")
    done = watched(weights, tmp_path, program=EXPORT_AND_QUANTIZE, home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"onnxruntime", "onnxslim", "nncf"} <= set(done.stdout.split())
    assert "openvino_telemetry" not in done.stdout.split()
    assert foreign(home) == []


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("", "1"), ("1", "1"), ("0", "0")])
def test_child_processes_inherit_the_setting_unless_the_user_has_set_it(given: str | None, expected: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    if given is not None:
        environment["ORT_DISABLE_TELEMETRY"] = given
    child = "import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    program = f"import mafdn, subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == f"{expected}\n"


def test_a_hidden_module_can_be_imported_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with hidden("this"), pytest.raises(ImportError):
        import this  # noqa: F401  # pyright: ignore[reportUnusedImport]
    assert "this" not in sys.modules
    with hidden("json"):  # was imported before
        import json
    assert sys.modules["json"] is json


def test_disabling_again_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    disable_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
