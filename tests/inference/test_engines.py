"""Engines: their common interface, invalid options, and the choice of an engine."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mafdn import load
from mafdn._support.atomic import sha256
from mafdn._support.cache import cache_folder, keep, load_kept
from mafdn._support.machine import machine
from mafdn.errors import MafdnError, MissingPackageError, UsageError, WeightsError
from mafdn.inference import EngineOptions, open_engine, upscale
from mafdn.inference.engines import ENGINE_NAMES, ENGINES, PRECISIONS, chosen_engine, registry
from mafdn.inference.engines import choice as choice_module
from mafdn.inference.engines.choice import Choice, Trial, has_other_device, remember, remembered
from mafdn.inference.engines.onnxruntime import OnnxRuntimeEngine
from mafdn.inference.engines.openvino import OpenVINOEngine
from mafdn.inference.engines.torch import TorchEngine
from mafdn.inference.options import EXACT
from mafdn.weights.shipped import shipped
from tests.conftest import Run

AGREED = 1e-4


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


@pytest.fixture
def small(exported: Path) -> Path:
    return exported


def with_header(source: Path, target: Path, **entries: object) -> Path:
    """A copy of an exported network with further entries in its header."""
    model = onnx.load(source)
    (entry,) = model.metadata_props
    entry.value = json.dumps(json.loads(entry.value) | entries)
    onnx.save(model, target)
    return target


# --- the interface


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_threads_that_share_an_engine_get_their_own_results(name: str, small: Path) -> None:
    engine = open_engine(small, EngineOptions(engine=name, threads=1))
    pictures = [noise(70 + 8 * (k % 3), 64, 3, seed=k) for k in range(6)]
    expected = [upscale(engine, picture, tile=64) for picture in pictures]

    def again(k: int) -> float:
        return float(np.abs(upscale(engine, pictures[k % 6], tile=64) - expected[k % 6]).max())

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(again, range(36))) == 0


class Failing:
    """A network, a gated network and a session of onnxruntime that fail."""

    shape = (1, 1)

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *_: object) -> object:
        raise self.error

    run = __call__


@pytest.mark.parametrize("engine", [OnnxRuntimeEngine, TorchEngine])
def test_failures_of_networks_are_told_in_one_line_with_their_reason(
    engine: type[OnnxRuntimeEngine] | type[TorchEngine], small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, x = engine(small), np.zeros((1, 3, 8, 9), np.float32)
    stencil = opened.stencil
    assert stencil
    uses = (lambda: opened.run(x), lambda: stencil.gates(x), lambda: stencil.run(x, np.zeros((1, 1), np.float32)))
    attributes = ("_session",) if engine is OnnxRuntimeEngine else ("_network", "_gated")
    for error, reason in ((ValueError("device lost\nat line 3"), "device lost"), (KeyError(), "KeyError")):
        for name in attributes:
            monkeypatch.setattr(opened, name, Failing(error))
        for use in uses:
            with pytest.raises(UsageError) as caught:
                use()
            assert str(caught.value) == f"{small} cannot process a picture of 9x8: {reason}"
    for name in attributes:
        monkeypatch.setattr(opened, name, Failing(RuntimeError("out of memory")))
    for use in uses:
        with pytest.raises(RuntimeError, match="out of memory"):
            use()


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_every_engine_implements_the_protocol(name: str, small: Path) -> None:
    engine, reference = (
        open_engine(small, EngineOptions(engine=name, threads=1)),
        open_engine(small, EngineOptions(engine="onnxruntime")),
    )
    assert (engine.name, engine.device, engine.precision, engine.scale) == (name, "cpu", "fp32", 2)
    assert engine.version[0].isdigit()
    x = noise(1, 3, 20, 27)
    result = engine.run(x)
    assert (result.dtype, result.shape) == (np.float32, (1, 3, 40, 54))
    assert np.abs(result - reference.run(x)).max() < AGREED
    assert engine.stencil
    assert reference.stencil
    windows = noise(2, 3, 16, 16, seed=1)
    gates = engine.stencil.gates(windows)
    assert np.abs(gates - reference.stencil.gates(windows)).max() < AGREED
    assert np.abs(engine.stencil.run(x, gates) - reference.stencil.run(x, gates)).max() < AGREED
    assert np.abs(engine.stencil.run(x, gates * np.float32(0.5)) - result).max() > AGREED  # other gates, another result


@pytest.mark.parametrize("kind", [OpenVINOEngine, TorchEngine])
def test_half_precision_is_close_and_reported(kind: type[OpenVINOEngine] | type[TorchEngine], small: Path) -> None:
    if "bf16" not in kind.devices()["cpu"]:
        pytest.skip("this processor does not support bf16")
    x = noise(1, 3, 24, 24)
    engine = open_engine(small, EngineOptions(engine=kind.name, precision="bf16"))
    assert engine.precision == "bf16"
    difference = np.abs(engine.run(x) - open_engine(small, EngineOptions(engine=kind.name)).run(x)).max()
    assert AGREED < difference < 0.1


def test_an_int8_file_is_found_and_checked(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(small.read_bytes())
    with pytest.raises(WeightsError, match=r"net-int8\.onnx"):
        open_engine(path, EngineOptions(precision="int8"))
    with_header(small, tmp_path / "net-int8.onnx", precision="int8", source_sha256="0" * 64)
    with pytest.raises(WeightsError, match="run 'mafdn quantize' again"):
        open_engine(path, EngineOptions(precision="int8"))
    with_header(small, tmp_path / "net-int8.onnx", precision="int8", source_sha256=sha256(path))
    for name in ("auto", "openvino"):
        assert open_engine(path, EngineOptions(engine=name, precision="int8")).precision == "int8"
    with pytest.raises(UsageError, match="use the engine openvino"):
        open_engine(path, EngineOptions(engine="onnxruntime", precision="int8"))
    assert open_engine(tmp_path / "net-int8.onnx").precision == "int8"  # whatever precision is requested
    with_header(small, tmp_path / "net-int8.onnx", source_sha256=sha256(path))
    with pytest.raises(WeightsError, match="not an int8 model"):
        open_engine(path, EngineOptions(engine="openvino", precision="int8"))
    with pytest.raises(UsageError, match="int8"):
        open_engine(small, EngineOptions(engine="torch", precision="int8"))


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({"engine": "onnxruntime", "device": "cuda"}, MissingPackageError, "onnxruntime-gpu"),
        ({"engine": "onnxruntime", "device": "directml"}, MissingPackageError, "onnxruntime-directml"),
        ({"engine": "onnxruntime", "device": "tpu"}, UsageError, "coreml"),
        ({"engine": "onnxruntime", "precision": "bf16"}, UsageError, "onnxruntime on cpu does not support bf16"),
        ({"engine": "openvino", "device": "gpu.7"}, UsageError, "cpu"),
        ({"engine": "torch", "device": "tpu"}, UsageError, "cpu"),
        ({"engine": "torch", "precision": "fp16", "device": "cpu"}, UsageError, "fp16"),
        ({"device": "directml"}, UsageError, "onnxruntime-directml"),
        ({"precision": "fp8"}, UsageError, "int8"),
        ({"engine": "tpu"}, UsageError, "torch"),
    ],
)
def test_unavailable_options_give_a_one_line_error(
    asked: dict[str, Any], kind: type[MafdnError], words: str, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "shipped_scales", lambda: ())  # the small network is quicker to measure
    with pytest.raises(kind) as caught:
        open_engine(small, EngineOptions(**asked))
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_list_of_names_has_every_engine() -> None:
    assert (*ENGINES, TorchEngine.name) == ENGINE_NAMES


def test_weights_files_are_run_by_torch(small: Path) -> None:
    weights = small.with_suffix(".safetensors")
    assert open_engine(weights).name == "torch"
    with pytest.raises(UsageError, match="openvino runs ONNX files"):
        open_engine(weights, EngineOptions(engine="openvino"))


def test_torch_needs_the_weights_file(small: Path, tmp_path: Path) -> None:
    (tmp_path / "alone.onnx").write_bytes(small.read_bytes())
    with pytest.raises(WeightsError, match=r"alone\.safetensors"):
        open_engine(tmp_path / "alone.onnx", EngineOptions(engine="torch"))
    assert open_engine(small.with_suffix(".safetensors"), EngineOptions(engine="torch")).scale == 2


def test_load_accepts_all_options(picture: np.ndarray) -> None:
    a = load("x4", engine=EngineOptions(engine="onnxruntime", device="cpu", threads=1)).upscale(picture)
    b = load("x4", engine=EngineOptions(engine="torch", device="CPU")).upscale(picture)
    assert np.abs(a.astype(int) - b).max() <= 1


def test_shipped_networks_open_in_int8() -> None:
    for scale in (2, 3, 4):
        path: Any = shipped(scale, ".onnx")
        if path.with_name(f"{path.stem}-int8.onnx").is_file():
            assert open_engine(path, EngineOptions(precision="int8")).precision == "int8"


# --- the choice


def chosen(*trials: Trial) -> Choice:
    return Choice(when="now", network="net.onnx", precision="fp32", threads=None, trials=trials)


def test_the_fastest_is_chosen_if_clearly_faster() -> None:
    choice = chosen(
        Trial(engine="openvino", device="cpu", seconds=1.0),
        Trial(engine="onnxruntime", device="cpu", seconds=0.97),
        Trial(engine="onnxruntime", device="cuda", seconds=0.2),
        Trial(engine="openvino", device="gpu", problem="no driver"),
    )
    assert choice.best() == ("onnxruntime", "cuda")
    assert choice.best(EngineOptions(device="cpu")) == ("openvino", "cpu")  # a difference of three percent may be noise
    assert choice.best(EngineOptions(engine="openvino")) == ("openvino", "cpu")
    assert choice.best(EngineOptions(engine="openvino", device="gpu")) is None
    half = Trial(engine="onnxruntime", device="coreml", seconds=0.001)
    with_half = replace(choice, trials=(*choice.trials, half))
    assert with_half.best() == choice.best()
    assert with_half.best(EngineOptions(device="coreml")) == ("onnxruntime", "coreml")


def test_a_choice_is_remembered_and_followed(small: Path) -> None:
    choice = chosen(Trial(engine="onnxruntime", device="cpu", seconds=1.0))
    assert remember(choice)
    assert remembered(EXACT) == choice
    assert remembered(EngineOptions(threads=7)) is None
    assert open_engine(small).name == "onnxruntime"
    assert open_engine(small, EngineOptions(engine="openvino")).name == "openvino"
    for content in (b"", b"[]", b'{"trials": 1}', b'{"trials": [{"engine": "x"}]}'):
        (path,) = (p for p in cache_folder("engines").iterdir() if load_kept(p) and b"net.onnx" in p.read_bytes())
        keep(path, content, limit=10**6)
        assert remembered(EXACT) is None
        assert remember(choice)


def test_processors_on_which_the_fastest_engine_is_known_are_not_measured(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unexpected(*_: object, **__: object) -> None:
        raise AssertionError("measured")

    asked = EngineOptions()
    monkeypatch.setattr(registry, "remembered", lambda _: None)
    monkeypatch.setattr(registry, "measure_engines", unexpected)
    monkeypatch.setattr(registry, "machine", lambda: replace(machine(), system="Windows AMD64"))
    monkeypatch.setattr(registry, "has_other_device", lambda: False)
    engine = open_engine(small, asked)
    assert (engine.name, engine.device) == ("openvino", "cpu")
    monkeypatch.setattr(registry, "has_other_device", lambda: True)
    assert open_engine(small, replace(asked, device="cpu")).name == "openvino"
    with pytest.raises(AssertionError, match="measured"):
        open_engine(small, asked)
    monkeypatch.setattr(registry, "has_other_device", lambda: False)
    monkeypatch.setattr(registry, "machine", lambda: replace(machine(), system="Darwin arm64"))
    with pytest.raises(AssertionError, match="measured"):
        open_engine(small, asked)


def test_devices_are_measured_again_if_one_is_gone(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(chosen(Trial(engine="onnxruntime", device="cuda", seconds=0.1)))
    monkeypatch.setattr(registry, "shipped_scales", lambda: ())  # the small network is quicker to measure
    assert open_engine(small).device == "cpu"
    choice = remembered(EXACT)
    assert choice
    assert {(t.engine, t.device) for t in choice.trials} >= {("openvino", "cpu"), ("onnxruntime", "cpu")}
    assert all(t.seconds for t in choice.trials if t.device == "cpu")


def test_failures_are_recorded_as_trials(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object, __: object) -> None:
        raise RuntimeError("the driver\nis broken")

    monkeypatch.setattr(registry, "shipped_scales", lambda: ())
    monkeypatch.setattr(ENGINES["openvino"], "run", broken)
    choice = chosen_engine(small, fresh=True)
    (trial,) = (t for t in choice.trials if t.engine == "openvino" and t.device == "cpu")
    assert (trial.seconds, trial.problem) == (None, "the driver")
    assert choice.best() == ("onnxruntime", "cpu")


def test_info_shows_the_choice(cli: Run) -> None:
    report = json.loads(cli("info", "--json")[1])
    assert (report["engine"], report["device"]) == ("openvino", "cpu")
    assert {"x2", "x4", "photo-x4"} <= set(report["auto_precision"])
    assert set(report["auto_precision"].values()) <= set(PRECISIONS)
    assert report["choice"]["when"] == ""  # as in the cache that the tests prepare
    report = json.loads(cli("info", "--probe", "--json")[1])
    assert report["choice"]["network"] == "mafdn-x4.onnx"
    seconds = {t["engine"]: t["seconds"] for t in report["choice"]["trials"] if t["device"] == "cpu"}
    assert all(0 < seconds[name] < 60 for name in ENGINES)


def test_devices_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Core:
        asked = 0

        @property
        def available_devices(self) -> list[str]:
            Core.asked += 1
            return ["CPU", "GPU"]

    monkeypatch.setattr(choice_module, "openvino_core", Core)
    monkeypatch.setattr(
        choice_module, "installed_version", lambda name: "devices are looked up" if name == "openvino" else None
    )
    assert has_other_device()
    assert has_other_device()
    assert Core.asked == 1


IN_ORDER = "first, second = Engine(path), Engine(path); del first; del second"
ELSEWHERE = "e = [Engine(path)]; t = Thread(target=lambda: (e.clear(), gc.collect())); t.start(); t.join()"


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("freed", [IN_ORDER, ELSEWHERE])
def test_ctrl_c_is_handled_after_networks_were_freed(freed: str, exported: Path) -> None:
    """OpenVINO's CPU plugin sets the stack of signal handlers, and frees it."""
    program = f"""
import gc, signal, sys
from pathlib import Path
from threading import Thread
from mafdn.inference.engines.openvino import OpenVINOEngine as Engine
signal.signal(signal.SIGINT, signal.default_int_handler)
path = Path(sys.argv[1])
{freed}
gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("handled")
"""
    done = subprocess.run([sys.executable, "-c", program, str(exported)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
