"""Packages for darktable: their content, their networks in the tiles of a host, and the check by darktable's SDK."""

import json
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mafdn._version import __version__
from mafdn.errors import UsageError, WeightsError
from mafdn.export.darktable import default_package, export_darktable, package_networks
from mafdn.networks import MAFDN, IMDNSettings, MAFDNSettings, build, load_mafdn, save_network
from mafdn.networks.held import held
from mafdn.weights.shipped import shipped
from tests.conftest import Run
from tests.support import failed, shaken, soft_batch
from tools.plain_gates.tiles import tiled

SIZES = ((1, 1), (7, 3), (35, 114), (64, 64))
GATE = 0.4


@pytest.fixture
def pair(tmp_path: Path) -> str:
    """Small networks for x2 and x4, as the pattern that names them."""
    return _save_pair(tmp_path)


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Such networks, and their package, in which their gates are held at `GATE`."""
    folder = tmp_path_factory.mktemp("packaged")
    pair, path = _save_pair(folder), folder / "my-small.dtmodel"
    with _gates_of_tests():
        assert export_darktable(pair, path) < 1e-4
    return pair, path


def test_the_zip_is_as_darktable_expects(packaged: tuple[str, Path]) -> None:
    with zipfile.ZipFile(packaged[1]) as content:
        assert content.testzip() is None
        entries = content.infolist()
        config = json.loads(content.read("my-small/config.json"))
    assert [e.filename for e in entries] == [f"my-small/{n}" for n in ("config.json", "model_x2.onnx", "model_x4.onnx")]
    assert {e.compress_type for e in entries} == {zipfile.ZIP_DEFLATED}
    assert config["id"] == "my-small"
    assert (config["task"], config["backend"], config["version"], config["tiling"]) == (
        "upscale",
        "onnx",
        __version__,
        True,
    )
    card = config["model_card"]
    assert card["training_data"] == "crops for x2 crops for x4"
    assert "reconstructed from the abstract" in card["long_description"]
    assert not {"license", "training_data_license"} & card.keys()  # those of another's weights are unknown
    assert all(isinstance(value, str) for value in card.values())


@pytest.mark.usefixtures("unchecked")
def test_the_same_networks_give_the_same_bytes(packaged: tuple[str, Path], tmp_path: Path) -> None:
    pair, path = packaged
    with _gates_of_tests():
        export_darktable(pair, tmp_path / path.name)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("scale", [2, 4])
def test_its_networks_run_at_odd_sizes_and_in_tiles(packaged: tuple[str, Path], scale: int) -> None:
    pair, package = packaged
    with zipfile.ZipFile(package) as content:
        data = content.read(f"my-small/model_x{scale}.onnx")
    (entry,) = onnx.load_from_string(data).graph.input
    names = [d.dim_param or d.dim_value for d in entry.type.tensor_type.shape.dim]
    assert names == [1, 3, "height", "width"]  # darktable's defaults of `spatial_dims`
    run = _runner(data)
    network = held(load_mafdn(Path(pair.format(scale=scale))), torch.full((2, 16), GATE))
    for height, width in SIZES:
        x = soft_batch(height, width)
        with torch.inference_mode():
            expected = network(torch.from_numpy(x)).numpy()
        assert np.abs(run(x) - expected).max() < 1e-5, (height, width)
    x = soft_batch(75, 131)
    x[..., 60:] *= 0.1  # tiles that differ from each other
    assert np.abs(tiled(run, x, tile=64, overlap=16, scale=scale) - run(x)).max() < 1e-5


def test_the_sdk_of_darktable_accepts_it(packaged: tuple[str, Path], tmp_path: Path) -> None:
    sdk: Any = pytest.importorskip("dt_ai_sdk", reason="darktable-ai-sdk is not installed (pip install it)")
    with zipfile.ZipFile(packaged[1]) as content:
        content.extractall(tmp_path / "output")
    config = sdk.ModelConfig("my-small", "", "", "upscale", type="multi", root_dir=tmp_path)
    sdk.run_validation(config)  # exits with 1 if anything is wrong
    (tmp_path / "output" / "my-small" / "model_x2.onnx").write_bytes(b"damaged")
    with pytest.raises(SystemExit):
        sdk.run_validation(config)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["classic", "photo"])
def test_shipped_networks_run_from_their_package(name: str, tmp_path: Path) -> None:
    path = tmp_path / "shipped.dtmodel"
    export_darktable(name, path)
    with zipfile.ZipFile(path) as content:
        for scale in (2, 4):
            run = _runner(content.read(f"shipped/model_x{scale}.onnx"))
            x = soft_batch(75, 91)
            assert run(x).shape == (1, 3, 75 * scale, 91 * scale)
            assert np.abs(tiled(run, x, tile=64, overlap=16, scale=scale) - run(x)).max() < 1e-3


def test_the_card_of_shipped_networks_states_their_data(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(_network: MAFDN, path: Path, **_: Any) -> float:
        path.write_bytes(path.name.encode())
        return 1e-6

    monkeypatch.setattr("mafdn.export.darktable.export_plain", small)
    monkeypatch.chdir(tmp_path)
    code, out, _ = cli("export", "photo", "--darktable", "--json")
    target = tmp_path / "mafdn-photo.dtmodel"
    assert (code, json.loads(out)["target"]) == (0, target.name)
    with zipfile.ZipFile(target) as content:
        assert content.read("mafdn-photo/model_x4.onnx") == b"model_x4.onnx"
        card = json.loads(content.read("mafdn-photo/config.json"))["model_card"]
    for named in ("BSDS500", "Sun-Hays 80", "RealSR", "CC BY-NC-ND", "DF2K"):
        assert named in card["training_data"]
    assert "cannot distribute" in card["notes"]
    before = target.read_bytes()
    failed(cli("export", "photo", "--darktable"), 1, "exists")
    assert target.read_bytes() == before
    assert cli("export", "classic", "--darktable", "--overwrite", "-o", target)[0] == 0
    assert target.read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["x4", "--darktable"], 2, "name classic, photo, or files"),
        ([".", "--darktable"], 2, "name classic, photo, or files"),
        (["photo", "--darktable", "--plain"], 2, "omit them"),
        (["photo", "--darktable", "--size", "64"], 2, "omit them"),
        (["photo", "--darktable", "--gates", "computed"], 2, "they cannot be computed (--gates)"),
        (["photo", "--darktable", "-o", "photo.zip"], 2, "must end in .dtmodel"),
        (["photo", "--darktable", "-o", "my photo.dtmodel"], 2, "letters, digits"),
        (["none-{scale}.safetensors", "--darktable"], 1, "no such file"),
        (["photo", "--darktable", "-o", "none/mafdn-photo.dtmodel"], 1, "cannot write"),
    ],
)
def test_invalid_commands(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    failed(cli("export", *arguments), code, expected)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda path: save_network(MAFDN(MAFDNSettings(scale=3, width=8, blocks=1)), path, card={}),
            "upscales by 3, not 4",
        ),
        (lambda path: save_network(build(IMDNSettings(scale=4)), path, card={}), "holds IMDN"),
    ],
)
def test_other_networks_are_rejected(pair: str, tmp_path: Path, change: Callable[[Path], None], expected: str) -> None:
    change(tmp_path / "small-x4.safetensors")
    target = tmp_path / "small.dtmodel"
    target.write_bytes(b"before")
    with pytest.raises(WeightsError, match=expected):
        export_darktable(pair, target)
    assert target.read_bytes() == b"before"
    assert not list(tmp_path.glob("*.partial"))


def test_names_of_packages() -> None:
    assert default_package("classic") == Path("mafdn.dtmodel")
    assert default_package("nets/mine_x{scale}.safetensors") == Path("mine.dtmodel")
    assert default_package("{scale}.onnx") == Path("network.dtmodel")
    assert package_networks("classic") == {scale: shipped(scale, ".safetensors") for scale in (2, 4)}
    with pytest.raises(UsageError, match="classic, photo"):
        package_networks("bicubic")


def _save_pair(folder: Path) -> str:
    for scale in (2, 4):
        torch.manual_seed(scale)
        network = shaken(MAFDN(MAFDNSettings(scale=scale, width=8, blocks=2)))
        save_network(network, folder / f"small-x{scale}.safetensors", card={"data": f"crops for x{scale}"})
    return str(folder / "small-x{scale}.safetensors")


@contextmanager
def _gates_of_tests() -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mafdn.export.darktable.choose_gates", lambda *_: torch.full((2, 16), GATE))
        yield


def _runner(data: bytes) -> Any:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return lambda x: session.run(["output"], {"input": x})[0]
