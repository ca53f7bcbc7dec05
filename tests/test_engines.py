"""Engines behind one protocol: what they agree on, what they refuse, what is kept, and how one is chosen."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mafdn import load
from mafdn._support.atomic import sha256
from mafdn._support.cache import DIGEST, cache_folder, keep, load_kept
from mafdn._support.machine import Machine, machine
from mafdn.errors import MafdnError, MissingPackageError, UsageError, WeightsError
from mafdn.inference import engines, open_engine
from mafdn.inference.engines import ENGINES, NAMES, auto_precision, chosen_engine
from mafdn.inference.engines.choice import Choice, Trial, remember, remembered
from mafdn.inference.engines.model_files import network_digest
from mafdn.inference.engines.openvino import OpenVINOEngine
from mafdn.inference.engines.torch import TorchEngine
from mafdn.weights.shipped import shipped
from tests.conftest import Run
from tests.support import watched

AGREED = 1e-4


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


@pytest.fixture
def small(exported: Path) -> Path:
    return exported


def with_header(source: Path, target: Path, **entries: object) -> Path:
    """A copy of an exported network whose header says more."""
    model = onnx.load(source)
    (entry,) = model.metadata_props
    entry.value = json.dumps(json.loads(entry.value) | entries)
    onnx.save(model, target)
    return target


# --- the protocol


@pytest.mark.parametrize("name", NAMES)
def test_every_engine_keeps_the_protocol(name: str, small: Path) -> None:
    engine, reference = open_engine(small, name=name, threads=1), open_engine(small, name="onnxruntime")
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
def test_half_precision_is_near_and_told(kind: type[OpenVINOEngine] | type[TorchEngine], small: Path) -> None:
    if "bf16" not in kind.devices()["cpu"]:
        pytest.skip("this processor has none")
    x = noise(1, 3, 24, 24)
    engine = open_engine(small, name=kind.name, precision="bf16")
    assert engine.precision == "bf16"
    difference = np.abs(engine.run(x) - open_engine(small, name=kind.name).run(x)).max()
    assert AGREED < difference < 0.1


def test_an_int8_file_is_found_beside_and_told(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(small.read_bytes())
    with pytest.raises(WeightsError, match=r"net-int8\.onnx"):
        open_engine(path, precision="int8")
    with_header(small, tmp_path / "net-int8.onnx", precision="int8", source_sha256="0" * 64)
    with pytest.raises(WeightsError, match="quantize it again"):
        open_engine(path, precision="int8")
    with_header(small, tmp_path / "net-int8.onnx", precision="int8", source_sha256=sha256(path))
    for name in ("auto", *ENGINES):
        assert open_engine(path, name=name, precision="int8").precision == "int8"
    assert open_engine(tmp_path / "net-int8.onnx").precision == "int8"  # whatever is asked for, it is one
    with_header(small, tmp_path / "net-int8.onnx", source_sha256=sha256(path))
    with pytest.raises(WeightsError, match="no int8 network"):
        open_engine(path, name="openvino", precision="int8")
    with pytest.raises(UsageError, match="int8"):
        open_engine(small, name="torch", precision="int8")


def test_auto_precision_is_int8_only_where_it_is_much_faster(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def features(*names: str) -> Callable[[], Machine]:
        return lambda: replace(machine(), features=names)

    path = tmp_path / "net.onnx"
    path.write_bytes(small.read_bytes())
    monkeypatch.setattr(engines, "machine", features("avx2", "avx512_vnni"))
    assert auto_precision(path) == "fp32"  # no such file
    with_header(small, tmp_path / "net-int8.onnx", precision="int8", source_sha256=sha256(path))
    assert auto_precision(path) == auto_precision(path, engine="openvino") == "int8"
    assert auto_precision(path, engine="onnxruntime") == "fp32"
    assert open_engine(path, precision="auto").precision == "int8"
    assert open_engine(path).precision == "fp32"
    monkeypatch.setattr(engines, "machine", features("avx2"))
    assert auto_precision(path) == "fp32"


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({"name": "onnxruntime", "device": "cuda"}, MissingPackageError, "onnxruntime-gpu"),
        ({"name": "onnxruntime", "device": "directml"}, MissingPackageError, "onnxruntime-directml"),
        ({"name": "onnxruntime", "device": "tpu"}, UsageError, "coreml"),
        ({"name": "onnxruntime", "precision": "bf16"}, UsageError, "onnxruntime on this machine's cpu"),
        ({"name": "openvino", "device": "gpu.7"}, UsageError, "cpu"),
        ({"name": "torch", "device": "tpu"}, UsageError, "cpu"),
        ({"name": "torch", "precision": "fp16", "device": "cpu"}, UsageError, "fp16"),
        ({"device": "directml"}, UsageError, "onnxruntime-directml"),
        ({"precision": "fp8"}, UsageError, "int8"),
        ({"name": "tpu"}, UsageError, "torch"),
    ],
)
def test_what_is_not_to_be_had_is_one_line(
    asked: dict[str, Any], kind: type[MafdnError], words: str, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "shipped_scales", lambda: ())  # the small network is quicker to measure
    with pytest.raises(kind) as caught:
        open_engine(small, **asked)
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_torch_needs_the_weights_beside(small: Path, tmp_path: Path) -> None:
    (tmp_path / "alone.onnx").write_bytes(small.read_bytes())
    with pytest.raises(WeightsError, match=r"alone\.safetensors"):
        open_engine(tmp_path / "alone.onnx", name="torch")
    assert open_engine(small.with_suffix(".safetensors"), name="torch").scale == 2


def test_load_takes_them_all(picture: np.ndarray) -> None:
    a = load("x4", engine="onnxruntime", device="cpu", threads=1, precision="fp32").upscale(picture)
    b = load("x4", engine="torch", device="CPU").upscale(picture)
    assert np.abs(a.astype(int) - b).max() <= 1


# --- what is kept


@given(content=st.binary(min_size=1, max_size=200), place=st.integers(0, 10_000), flip=st.integers(1, 255))
@settings(deadline=None, max_examples=40)
def test_only_what_is_whole_is_read(
    content: bytes, place: int, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("kept") / "a.blob"
    assert load_kept(path) is None
    assert keep(path, content, limit=10**6)
    assert load_kept(path) == content
    damaged = bytearray(path.read_bytes())
    damaged[place % len(damaged)] ^= flip
    path.write_bytes(damaged)
    assert load_kept(path) is None
    assert not path.exists()


def test_the_least_recently_used_go(tmp_path: Path) -> None:
    for number in range(6):
        path = tmp_path / f"{number}.blob"
        keep(path, bytes(100 - DIGEST), limit=300)
        os.utime(path, (1000 + number, 1000 + number))
        if number == 2:
            load_kept(tmp_path / "0.blob")  # used just now
    assert {path.name for path in tmp_path.iterdir()} == {"0.blob", "4.blob", "5.blob"}
    (tmp_path / "old.partial").touch()
    os.utime(tmp_path / "old.partial", (0, 0))
    (tmp_path / "new.partial").touch()
    keep(tmp_path / "6.blob", b"", limit=300)
    assert not (tmp_path / "old.partial").exists()
    assert (tmp_path / "new.partial").exists()


def test_many_may_keep_the_same_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.blob"
    contents = [bytes([n]) * 100_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda c: keep(path, c, limit=10**9), contents * 4))
    assert load_kept(path) in contents
    assert list(tmp_path.iterdir()) == [path]


def blobs() -> list[Path]:
    return sorted(cache_folder("compiled").glob("*.blob"))


def test_a_second_process_compiles_nothing(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(1, 3, 18, 20)
    first = OpenVINOEngine(small)
    result = first.run(x)
    assert first.stencil
    given = first.stencil.run(x, first.stencil.gates(x))
    assert len(blobs()) == 3
    monkeypatch.setattr("mafdn.inference.engines.openvino.read_onnx", None)  # the file itself is not read again
    again = OpenVINOEngine(small)
    assert again.run(x).tobytes() == result.tobytes()
    assert again.stencil
    assert again.stencil.run(x, again.stencil.gates(x)).tobytes() == given.tobytes()


def test_what_was_compiled_is_not_mistaken(small: Path, tmp_path: Path) -> None:
    x = noise(1, 3, 18, 20)
    path = tmp_path / "net.onnx"
    path.write_bytes(small.read_bytes())
    before = OpenVINOEngine(path).run(x)
    model = onnx.load(small)
    weights = next(t for t in model.graph.initializer if len(t.dims) == 4)
    weights.raw_data = (2 * np.frombuffer(weights.raw_data, np.float32)).tobytes()
    onnx.save(model, path)  # other weights under the same name
    assert np.abs(OpenVINOEngine(path).run(x) - before).max() > AGREED
    count = len(blobs())
    OpenVINOEngine(path).run(noise(1, 3, 20, 18))
    OpenVINOEngine(path, threads=1).run(x)
    assert len(blobs()) == count + 2


def test_weights_beside_a_file_are_part_of_it(small: Path, tmp_path: Path) -> None:
    model = onnx.load(small)
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    digest = network_digest(tmp_path / "net.onnx")
    data = bytearray((tmp_path / "net.data").read_bytes())
    data[100] ^= 1
    (tmp_path / "net.data").write_bytes(data)
    assert network_digest(tmp_path / "net.onnx") != digest


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "whole, and no graph"])
def test_a_damaged_blob_is_compiled_again_in_silence(
    damage: str, small: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    x = noise(1, 3, 18, 20)
    result = OpenVINOEngine(small).run(x)
    (path,) = blobs()
    content = path.read_bytes()
    middle = len(content) // 2
    if damage.startswith("whole"):
        keep(path, b"no graph" * 1000, limit=10**9)
    else:
        flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
        path.write_bytes({"empty": b"", "half": content[:middle], "flipped": flipped}[damage])
    assert np.array_equal(OpenVINOEngine(small).run(x), result)
    assert capfd.readouterr() == ("", "")
    assert load_kept(path)


def test_an_unusable_cache_is_no_error(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MAFDN_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(engines, "shipped_scales", lambda: ())
    x = noise(1, 3, 18, 20)
    assert open_engine(small).run(x).shape == (1, 3, 36, 40)  # measured, compiled, and nothing kept
    assert not keep(tmp_path / "file" / "a.blob", b"", limit=1)


# --- the choice


def chosen(*trials: Trial) -> Choice:
    return Choice(when="now", network="net.onnx", precision="fp32", threads=None, trials=trials)


def test_the_fastest_is_chosen_where_it_is_clearly_so() -> None:
    choice = chosen(
        Trial(engine="openvino", device="cpu", seconds=1.0),
        Trial(engine="onnxruntime", device="cpu", seconds=0.97),
        Trial(engine="onnxruntime", device="cuda", seconds=0.2),
        Trial(engine="openvino", device="gpu", problem="no driver"),
    )
    assert choice.best() == ("onnxruntime", "cuda")
    assert choice.best(device="cpu") == ("openvino", "cpu")  # three percent are chance
    assert choice.best(engine="openvino") == ("openvino", "cpu")
    assert choice.best(engine="openvino", device="gpu") is None


def test_a_choice_is_remembered_and_followed(small: Path) -> None:
    choice = chosen(Trial(engine="onnxruntime", device="cpu", seconds=1.0))
    assert remember(choice)
    assert remembered(threads=None, precision="fp32") == choice
    assert remembered(threads=7, precision="fp32") is None
    assert open_engine(small).name == "onnxruntime"
    assert open_engine(small, name="openvino").name == "openvino"
    for content in (b"", b"[]", b'{"trials": 1}', b'{"trials": [{"engine": "x"}]}'):
        (path,) = (p for p in cache_folder("engines").iterdir() if load_kept(p) and b"net.onnx" in p.read_bytes())
        keep(path, content, limit=10**6)
        assert remembered(threads=None, precision="fp32") is None
        assert remember(choice)


def test_a_device_that_is_gone_is_measured_anew(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(chosen(Trial(engine="onnxruntime", device="cuda", seconds=0.1)))
    monkeypatch.setattr(engines, "shipped_scales", lambda: ())  # the small network is quicker to measure
    assert open_engine(small).device == "cpu"
    choice = remembered(threads=None, precision="fp32")
    assert choice
    assert {(t.engine, t.device) for t in choice.trials} >= {("openvino", "cpu"), ("onnxruntime", "cpu")}
    assert all(t.seconds for t in choice.trials if t.device == "cpu")


def test_who_cannot_run_is_told(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object, __: object) -> None:
        raise RuntimeError("the driver\nis broken")

    monkeypatch.setattr(engines, "shipped_scales", lambda: ())
    monkeypatch.setattr(ENGINES["openvino"], "run", broken)
    choice = chosen_engine(small, fresh=True)
    (trial,) = (t for t in choice.trials if t.engine == "openvino" and t.device == "cpu")
    assert (trial.seconds, trial.problem) == (None, "the driver")
    assert choice.best() == ("onnxruntime", "cpu")


def test_info_tells_what_was_chosen(cli: Run) -> None:
    report = json.loads(cli("info", "--json")[1])
    assert (report["engine"], report["device"], report["auto_precision"]) in {
        ("openvino", "cpu", "int8"),
        ("openvino", "cpu", "fp32"),
    }
    assert report["choice"]["when"] == ""  # as the tests' own cache has it
    report = json.loads(cli("info", "--probe", "--json")[1])
    assert report["choice"]["network"] == "mafdn-x4.onnx"
    seconds = {t["engine"]: t["seconds"] for t in report["choice"]["trials"] if t["device"] == "cpu"}
    assert all(0 < seconds[name] < 60 for name in ENGINES)


# --- processes: few imports, one line of error


def test_upscaling_imports_no_more_than_it_needs(png: Path) -> None:
    assert watched("upscale", png, "--quiet").returncode == 0
    done = watched("upscale", png, "--quiet", "--overwrite")
    assert done.returncode == 0
    imported = {name.partition(".")[0] for name in done.stdout.split()} | set(done.stdout.split())
    assert {"openvino", "pyvips", "numpy"} <= imported
    heavy = {"torch", "onnx", "onnxruntime", "matplotlib", "scipy", "openvino.tools.ovc", "openvino_telemetry"}
    assert not heavy & imported
    assert not {"mafdn.networks", "mafdn.evaluation.benchset", "mafdn.training"} & imported


def test_the_openvino_of_others_stays_whole() -> None:
    program = "from mafdn.inference.engines.openvino import import_openvino as i; i(); import openvino.tools.ovc"
    environment = os.environ | {"CI": "1"}  # so that the converter, which is not ours, stays silent too
    assert subprocess.run([sys.executable, "-c", program], check=False, env=environment, timeout=60).returncode == 0


@pytest.mark.parametrize("content", [b"junk, and no network", b""])
def test_a_file_that_is_no_network_is_one_line(content: bytes, png: Path, tmp_path: Path) -> None:
    path = tmp_path / "junk.onnx"
    path.write_bytes(content)
    done = watched("upscale", png, "--network", path)
    assert done.returncode == 1
    expected = f"mafdn: {path} is not a network from (1, 3, H, W) that OpenVINO can read\n"
    assert done.stderr == expected


@pytest.mark.slow
def test_the_first_picture_comes_soon(png: Path) -> None:
    """With what was compiled kept; in seconds of the processor, as other work may run beside."""
    command = [sys.executable, "-m", "mafdn", "upscale", str(png), "--quiet", "--overwrite"]
    seconds: list[float] = []
    for _ in range(6):
        before = os.times()
        subprocess.run(command, check=True, timeout=60)
        after = os.times()
        seconds.append(sum(after[2:4]) - sum(before[2:4]))  # user and system time of child processes
    assert min(seconds[1:]) < 1.5


def test_shipped_networks_are_found_in_every_precision_they_have() -> None:
    for scale in (2, 3, 4):
        path: Any = shipped(scale, ".onnx")
        if path.with_name(f"{path.stem}-int8.onnx").is_file():
            assert open_engine(path, precision="int8").precision == "int8"
