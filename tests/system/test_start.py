"""Start of the process: few imports, little time, and a one-line error for an unusable network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import watched


def test_upscaling_only_imports_what_it_needs(png: Path) -> None:
    assert watched("upscale", png, "--quiet").returncode == 0
    done = watched("upscale", png, "--quiet", "--overwrite")
    assert done.returncode == 0
    imported = {name.partition(".")[0] for name in done.stdout.split()} | set(done.stdout.split())
    assert {"openvino", "pyvips", "numpy"} <= imported
    heavy = {"torch", "onnx", "onnxruntime", "matplotlib", "scipy", "openvino.tools.ovc", "openvino_telemetry"}
    assert not heavy & imported
    assert not {"mafdn.networks", "mafdn.evaluation.benchset", "mafdn.training"} & imported


def test_the_converter_of_openvino_can_still_be_imported() -> None:
    program = "from mafdn.inference.engines.openvino import import_openvino as i; i(); import openvino.tools.ovc"
    environment = os.environ | {"CI": "1"}  # disables the telemetry of the converter
    assert subprocess.run([sys.executable, "-c", program], check=False, env=environment, timeout=60).returncode == 0


@pytest.mark.parametrize("content", [b"junk, and no network", b""])
def test_a_file_that_is_not_a_network_prints_one_line(content: bytes, png: Path, tmp_path: Path) -> None:
    path = tmp_path / "junk.onnx"
    path.write_bytes(content)
    done = watched("upscale", png, "--network", path)
    assert done.returncode == 1
    expected = f"mafdn: {path} is not a network with input (1, 3, H, W) that OpenVINO can read\n"
    assert done.stderr == expected


@pytest.mark.slow
def test_the_first_picture_is_fast(png: Path) -> None:
    """With cached graphs; in CPU seconds, as other processes may be running."""
    command = [sys.executable, "-m", "mafdn", "upscale", str(png), "--quiet", "--overwrite"]
    seconds: list[float] = []
    for _ in range(6):
        before = os.times()
        subprocess.run(command, check=True, timeout=60)
        after = os.times()
        seconds.append(sum(after[2:4]) - sum(before[2:4]))  # user and system time of child processes
    assert min(seconds[1:]) < 1.5
