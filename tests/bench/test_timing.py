"""Time measured in turns, and memory of each process."""

import os
import signal
from pathlib import Path

import onnx
import pytest

from mafdn._support.machine import peak_mib
from mafdn.bench import timing as latency
from mafdn.bench.timing import measure_latency
from mafdn.errors import MafdnError, WeightsError
from mafdn.inference.options import EngineOptions
from mafdn.weights.shipped import shipped


def test_time_is_measured_in_turns_and_memory_per_process(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = exported, shipped(4, ".onnx")
    seen: list[tuple[int, int]] = []
    asked: list[str] = []
    ask = latency._ask
    monkeypatch.setattr(latency, "_ask", lambda *a: asked.append(Path(a[1].name).stem) or ask(*a))
    found = measure_latency(
        {"small": small, "large": large}, size=(96, 128), rounds=3, on_progress=lambda *t: seen.append(t)
    )
    assert seen == [(n, 8) for n in range(1, 9)]
    assert asked == ["small", "mafdn-x4", "mafdn-x4", "small"] * 2
    assert found["small"].median < found["large"].median
    peaks = [result.peak_mib or 0 for result in found.values()]
    assert peaks[0] != peaks[1]
    for result in found.values():
        assert result.runs == 3
        assert result.low <= result.median <= result.high
        assert result.engine.startswith("openvino ")
        assert 50 < (result.peak_mib or 0) < (peak_mib() or 0)  # less than this process, which holds torch
    assert measure_latency({}, size=(8, 8)) == {}


def test_a_network_that_cannot_be_timed_is_reported(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no network")
    with pytest.raises(WeightsError, match="is not a network with input"):
        measure_latency({"no": tmp_path / "no.onnx"}, size=(8, 8))
    path = tmp_path / "fixed.onnx"
    model = onnx.load(exported)
    for dimension in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dimension.dim_value = 16
    onnx.save(model, path)
    with pytest.raises(MafdnError, match="cannot process a picture of 8x8") as caught:
        measure_latency({"fixed": path}, size=(8, 8), options=EngineOptions(engine="onnxruntime"))
    assert "\n" not in str(caught.value)

    def kill(done: int, _total: int) -> None:
        if done == 1:
            (child,) = (int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _is_worker(int(p.name)))
            os.kill(child, signal.SIGKILL)

    with pytest.raises(MafdnError, match="ended unexpectedly"):
        measure_latency({"small": exported}, size=(8, 8), on_progress=kill)


def _is_worker(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(status[1]) == os.getpid() and b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
