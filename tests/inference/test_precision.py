"""What `--precision auto` is: by stored measurements, for 8-bit pictures only, the same in all parts of the program."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import pyvips

import mafdn
from mafdn._support.atomic import sha256
from mafdn._support.machine import Machine, machine
from mafdn.errors import WeightsError
from mafdn.evaluation.methods import reproducible_options
from mafdn.inference import EngineOptions, open_engine
from mafdn.inference.engines import auto_precision, precision
from mafdn.inference.engines.model_files import int8_file, network_digest
from mafdn.inference.engines.precision import MOST_BEYOND, MOST_LEVELS, STORED, Measured, load_measured
from mafdn.upscaling.networks import NetworkSet
from mafdn.weights.shipped import weights_folder
from tests.conftest import Run
from tools.precision import store


def with_features(*names: str, processor: str = "Intel(R) Xeon(R) Processor") -> Callable[[], Machine]:
    return lambda: replace(machine(), features=names, processor=processor)


@pytest.fixture
def network(exported: Path, tmp_path: Path) -> Path:
    """A network and its int8 version, which is not quantized but only says so."""
    path = tmp_path / "network" / "net.onnx"
    path.parent.mkdir()
    path.write_bytes(exported.read_bytes())
    model = onnx.load(path)
    (entry,) = model.metadata_props
    entry.value = json.dumps(json.loads(entry.value) | {"precision": "int8", "source_sha256": sha256(path)})
    onnx.save(model, int8_file(path))
    return path


@pytest.fixture
def measured(network: Path, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """A measurement of its int8 version, within the limits; the only one there is, on a processor with VNNI."""
    row = Measured(
        network="x2",
        sha256=network_digest(int8_file(network)),
        precision="int8",
        instructions="avx512_vnni",
        largest=MOST_LEVELS,
        mean=0.2,
        beyond=MOST_BEYOND,
        loss=0.0,
        worst_loss=0.0,
        worst="Set5/bird",
        speedup=2.0,
        pictures=119,
        engine="openvino",
        processor="Intel(R) Core(TM) Ultra 7",
    )
    monkeypatch.setattr(precision, "machine", with_features("avx2", "avx512_vnni"))
    monkeypatch.setattr(precision, "load_measured", lambda: (row,))
    monkeypatch.setattr(precision, "has_other_device", lambda: False)
    return row


def test_auto_is_what_was_measured_to_be_near_fp32_and_faster(network: Path, measured: Measured) -> None:
    assert auto_precision(network) == auto_precision(network, EngineOptions(engine="openvino", device="cpu")) == "int8"
    engine = open_engine(network, EngineOptions())
    assert (engine.name, engine.device, engine.precision) == ("openvino", "cpu", measured.precision)
    assert open_engine(network).precision == "fp32"  # whoever measures or compares
    for name in ("onnxruntime", "torch"):
        assert auto_precision(network, EngineOptions(engine=name)) == "fp32"
    assert auto_precision(network, EngineOptions(device="gpu")) == "fp32"


@pytest.mark.parametrize(
    "change",
    [
        {"largest": MOST_LEVELS + 1},
        {"beyond": MOST_BEYOND * 1.01},
        {"speedup": 1.2},
        {"sha256": "0" * 64},
        {"instructions": "avx2"},
        {"precision": "bf16"},
    ],
)
def test_auto_is_fp32_beyond_the_limits_and_where_nothing_was_measured(
    network: Path, measured: Measured, change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "load_measured", lambda: (replace(measured, **change),))
    assert auto_precision(network) == "fp32"


def test_auto_is_fp32_if_any_processor_of_the_maker_with_the_instructions_was_slower(
    network: Path, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    slower = replace(measured, speedup=0.7, processor="Intel(R) Xeon(R) Processor")
    monkeypatch.setattr(precision, "load_measured", lambda: (measured, slower))
    assert auto_precision(network) == "fp32"
    for unlike in ({"instructions": "avx_vnni"}, {"processor": "AMD EPYC"}):
        monkeypatch.setattr(precision, "load_measured", lambda unlike=unlike: (measured, replace(slower, **unlike)))
        assert auto_precision(network) == "int8"


def test_auto_is_fp32_if_the_results_of_any_processor_were_far_from_it(
    network: Path, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    farther = replace(measured, largest=MOST_LEVELS + 1, processor="AMD EPYC")
    monkeypatch.setattr(precision, "load_measured", lambda: (measured, farther))
    assert auto_precision(network) == "fp32"


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("processor", ["AMD Ryzen 9 7950X", "Apple M2", ""])
def test_auto_is_fp32_on_processors_of_other_makers(
    network: Path, processor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "machine", with_features("avx2", "avx512_vnni", processor=processor))
    assert auto_precision(network) == "fp32"


@pytest.mark.usefixtures("measured")
def test_auto_is_fp32_if_another_device_could_be_faster(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_other_device", lambda: True)
    assert auto_precision(network) == "fp32"
    assert auto_precision(network, EngineOptions(device="cpu")) == "int8"


@pytest.mark.usefixtures("measured")
def test_auto_is_fp32_if_instructions_are_hidden_from_the_engine(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert auto_precision(network) == "fp32"


@pytest.mark.usefixtures("measured")
def test_pictures_of_more_than_8_bits_run_in_fp32(network: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    for name, pixels in {"8.png": noise, "16.png": noise.astype(np.uint16) * 257}.items():
        kind = "srgb" if name == "8.png" else "rgb16"
        pyvips.Image.new_from_array(pixels, interpretation=kind).pngsave(str(tmp_path / name))
    assert mafdn.upscale_file(tmp_path / "8.png", network=network).engine.endswith("in int8")
    assert mafdn.upscale_file(tmp_path / "16.png", network=network).engine.endswith("in fp32")
    upscaler = mafdn.load(network)
    deep = upscaler.upscale(noise.astype(np.float32) / 255)
    exact = mafdn.load(network, engine=EngineOptions(precision="fp32"))
    assert upscaler.engine.precision == "int8"
    assert np.array_equal(deep, exact.upscale(noise.astype(np.float32) / 255))
    networks = NetworkSet(network)
    sizes = [networks.digest(None, 24, 20, bits=bits) for bits in (8, 16, 32)]
    assert [text.rpartition(" ")[2] for text in sizes] == ["int8", "fp32", "fp32"]
    assert sizes[0] != sizes[1]


@pytest.mark.usefixtures("measured")
def test_a_folder_gives_the_bytes_of_single_pictures_and_resumes_by_precision(
    network: Path, tmp_path: Path, photos: Path, cli: Run
) -> None:
    code, out, _ = cli("upscale", photos / "0.png", tmp_path / "alone.png", "--network", network)
    assert code == 0
    assert "in int8" in out

    def statuses(asked: str = "auto") -> list[str]:
        engine = EngineOptions(precision=asked)
        report = mafdn.upscale_folder(photos, tmp_path / "large", network=network, engine=engine)
        return [item.status for item in report.items]

    assert statuses() == ["done", "done"]
    assert (tmp_path / "large" / "0_x2.png").read_bytes() == (tmp_path / "alone.png").read_bytes()
    assert statuses() == statuses("int8") == ["kept", "kept"]
    assert statuses("fp32") == ["done", "done"]


@pytest.mark.usefixtures("measured")
def test_scores_are_always_of_fp32(network: Path) -> None:
    assert reproducible_options(network, EngineOptions()).precision == "fp32"
    assert reproducible_options(network, EngineOptions(precision="int8")).precision == "int8"


def test_the_stored_measurements_are_readable_and_of_shipped_networks() -> None:
    rows = load_measured(weights_folder())
    assert rows
    assert {row.network for row in rows} <= {"x2", "x3", "x4", "photo-x2", "photo-x4"}


def test_damaged_measurements_are_an_error(tmp_path: Path) -> None:
    assert load_measured(tmp_path) == ()
    for text in ("{", "[]", '{"measured": [{"network": "x2"}]}'):
        (tmp_path / STORED).write_text(text)
        with pytest.raises(WeightsError, match=r"precision\.json is damaged"):
            load_measured(tmp_path)


def test_rows_of_other_processors_stay_until_the_network_changes(network: Path, measured: Measured) -> None:
    folder, files = network.parent, {"x2": network}
    store(folder, files, measured)
    other = replace(measured, instructions="avx2", speedup=1.5)
    store(folder, files, other)
    store(folder, files, replace(other, speedup=1.4))
    assert load_measured(folder) == (replace(other, speedup=1.4), measured)
    assert asdict(measured) in json.loads((folder / STORED).read_text())["measured"]
    int8_file(network).write_bytes(int8_file(network).read_bytes() + b" ")
    store(folder, files)
    assert load_measured(folder) == ()
    store(folder, files, replace(other, sha256=network_digest(int8_file(network))))
    assert [row.instructions for row in load_measured(folder)] == ["avx2"]
