"""The vocabulary of network names, in the resolver and in every command that takes one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch

from mafdn.errors import UsageError, WeightsError
from mafdn.evaluation.methods import BASELINE_METHODS
from mafdn.networks import ARCHITECTURES as NETWORKS
from mafdn.networks import IMDN, MAFDN, IMDNSettings, MAFDNSettings, load_network, save_network
from mafdn.training.data.bank import Bank
from mafdn.weights.header import SCALES, read_header
from mafdn.weights.resolve import (
    ARCHITECTURES,
    BASELINES,
    PHOTO_SCALES,
    SCALE_NAMES,
    describe_vocabulary,
    is_pattern,
    resolve,
)
from mafdn.weights.run_files import newest_checkpoint_file
from mafdn.weights.shipped import shipped, shipped_scales
from tests.conftest import Run
from tests.runs import saved_run
from tests.support import failed, without_torch

X2 = MAFDNSettings(scale=2, width=8, blocks=1)


def network() -> MAFDN:
    torch.manual_seed(3)
    return MAFDN(X2)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of an x2 run."""
    return saved_run(tmp_path / "run", network())


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A dataset of one picture of 24x32."""
    folder = tmp_path / "Small"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    pyvips.Image.new_from_array(noise, interpretation="srgb").pngsave(str(folder / "a.png"))
    return folder


# --- the resolver


def test_shipped_names_have_a_scale_or_take_that_of_the_task() -> None:
    for name in ("auto", "mafdn", "classic"):
        assert resolve(name).scale is None
        assert resolve(name, scale=3).file() == shipped(3, ".onnx")
        assert resolve(name).file(".safetensors", scale=2) == shipped(2, ".safetensors")
        with pytest.raises(UsageError, match=f"{name} does not determine the scale here; choose {SCALE_NAMES}"):
            resolve(name).file()
    for scale in SCALES:
        assert resolve(f"x{scale}").file() == shipped(scale, ".onnx")
        assert resolve(f"x{scale}", scale=scale).stem == f"mafdn-x{scale}"
    with pytest.raises(UsageError, match="x4 upscales by 4, not 2; use scale 4"):
        resolve("x4", scale=2)


def test_photo_weights_have_names_and_files_of_their_own() -> None:
    assert resolve("photo", scale=4).file() == shipped(4, ".onnx", "photo")
    assert resolve("photo").file(".safetensors", scale=2).name == "mafdn-photo-x2.safetensors"
    assert resolve("photo-x2", scale=2).stem == "mafdn-photo-x2"
    assert resolve("photo-x4").file() == shipped(4, ".onnx", "photo")
    assert shipped_scales("photo") == PHOTO_SCALES
    with pytest.raises(WeightsError, match=r"no photo weights for x3 ship with this version \(available: x2, x4\)"):
        resolve("photo", scale=3).file()
    with pytest.raises(UsageError, match="photo-x4 upscales by 4, not 2; use scale 4"):
        resolve("photo-x4", scale=2)
    with pytest.raises(UsageError, match="unknown network 'photo-x3'"):
        resolve("photo-x3")


def test_names_stand_for_files_where_commands_take_files(
    tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photo-x2", "mafdn-photo-x2.onnx"):
        Path(name).touch()
    failed(cli("export", "photo-x2"), 1, "mafdn-photo-x2.onnx exists")  # a name comes first, as everywhere
    failed(cli("export", "bicubic"), 2, "bicubic is a baseline")
    failed(cli("export", "photo"), 2, "photo does not determine the scale here")
    failed(cli("quantize", "mafdn", "--calibration", tmp_path, "--bench", tmp_path), 2, "does not determine the scale")


def test_names_without_weights_have_no_file() -> None:
    assert set(BASELINES) == set(BASELINE_METHODS)
    assert {*ARCHITECTURES, "mafdn"} == set(NETWORKS)
    for name, kind in [*((n, "baseline") for n in BASELINES), *((n, "architecture") for n in ARCHITECTURES)]:
        source = resolve(name, scale=2)
        assert (source.kind, source.stem, source.path) == (kind, name, None)
        with pytest.raises(UsageError, match=f"{name} is a.*use a weights file"):
            source.file()


def test_files_and_patterns(tmp_path: Path) -> None:
    path = tmp_path / "n_x2.pth"
    path.touch()
    assert (resolve(path).kind, resolve(path).stem, resolve(path).file()) == ("file", "n_x2", path)
    pattern = str(tmp_path / "n_x{scale}.pth")
    assert is_pattern(pattern)
    assert resolve(pattern, scale=2).file() == path
    with pytest.raises(WeightsError, match=r"n_x3\.pth: no such file"):
        resolve(pattern, scale=3)
    with pytest.raises(UsageError, match="needs a scale"):
        resolve(pattern)


def test_unknown_names_list_the_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        resolve("vdsr")
    assert str(caught.value) == f"unknown network 'vdsr'; {describe_vocabulary()}"
    for word in (
        "auto",
        "mafdn",
        "classic",
        "photo",
        "photo-x2",
        "photo-x4",
        "x2",
        "x3",
        "x4",
        "bicubic",
        "lanczos",
        "smfanet",
        ".onnx",
        ".pth",
        "training run",
    ):
        assert word in str(caught.value)
    with pytest.raises(WeightsError, match=r"nor the folder of a training run: it has no settings\.json"):
        resolve(tmp_path)


def test_a_run_is_its_newest_complete_checkpoint(run: Path, tmp_path: Path) -> None:
    source = resolve(run)
    assert (source.kind, source.stem) == ("run", "run")
    first = newest_checkpoint_file(run)
    assert first.name == "step-00000010.safetensors"
    (run / "step-00000020.safetensors").write_bytes(first.read_bytes()[:1000])
    assert source.file() == first
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "settings.json").write_text("{}")
    with pytest.raises(WeightsError, match="without a complete checkpoint"):
        resolve(tmp_path / "empty").file()


def test_a_checkpoint_is_a_weights_file_of_the_averaged_weights(run: Path) -> None:
    path = newest_checkpoint_file(run)
    loaded = load_network(path)
    assert loaded.settings == X2
    for name, tensor in network().state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    header, card = read_header(path)
    assert (header["architecture"], card) == ("mafdn", {})


@pytest.mark.parametrize(
    "settings", ["", "{", "[]", "{}", '{"network": 3}', '{"network": {"scale": 9}}', '{"network": {"width": 16}}']
)
def test_a_damaged_run_gives_a_one_line_error(run: Path, settings: str) -> None:
    (run / "settings.json").write_text(settings)
    with pytest.raises(WeightsError) as caught:
        load_network(newest_checkpoint_file(run))
    assert str(run) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_are_resolved_without_torch() -> None:
    program = "import mafdn.weights.resolve, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# --- the commands


def test_evaluate_takes_every_name_with_weights(cli: Run, bench: Path, run: Path) -> None:
    arguments = ("evaluate", "--bench", bench, "--scale", 2, "--json", "--network")
    scores = {}
    for name in ("mafdn", "auto", "x2", run, newest_checkpoint_file(run)):
        code, out, err = cli(*arguments, name)
        assert (code, err) == (0, "")
        score = json.loads(out)["scores"][1]
        scores[str(name)] = (score["network"], score["mean"])
    assert scores["mafdn"] == scores["auto"] == scores["x2"]
    assert scores["mafdn"][0] == "mafdn-x2"
    assert scores[str(run)][0] == "run"
    weights = run.with_name("own.safetensors")
    save_network(network(), weights, card={})
    own = json.loads(cli(*arguments, weights)[1])["scores"][1]["mean"]
    assert scores[str(run)][1] == scores[str(newest_checkpoint_file(run))][1] == own
    failed(cli(*arguments[:-2], "--network", "imdn"), 2, "imdn has no weights, so", "mafdn count --network imdn")
    failed(cli(*arguments[:-2], "--network", "x4"), 2, "x4 upscales by 4, not 2")
    failed(cli(*arguments[:-2], "--network", run, "--self-ensemble", "--network", "vdsr"), 2, "choose from auto, mafdn")


def test_only_a_run_needs_torch_to_be_evaluated(bench: Path, run: Path) -> None:
    done = without_torch("evaluate", "--bench", bench, "--scale", 2, "--network", run)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert 'needs torch: pip install "mafdn[train]"' in done.stderr


def test_count_takes_every_network(cli: Run, run: Path, exported: Path) -> None:
    def parameters(*arguments: object) -> tuple[int, int]:
        code, out, err = cli("count", "--json", *arguments)
        assert (code, err) == (0, "")
        report = json.loads(out)
        return report["scale"], report["total"]["parameters"]

    assert parameters() == parameters("--network", "mafdn") == parameters("--network", "x4") == (4, 597_072)
    assert parameters("--network", "x2") == parameters("--network", "auto", "--scale", 2) == (2, 580_836)
    count = sum(p.numel() for p in network().fold().parameters())
    assert parameters("--network", run) == (2, count)
    assert parameters("--network", exported)[0] == 2
    failed(cli("count", "--network", "bicubic"), 2, "bicubic is not a network")
    failed(cli("count", "--network", run, "--scale", 3), 2, "upscales by 2, not 3")
    failed(cli("count", "--network", "x2", "--scale", 3), 2, "x2 upscales by 2, not 3")


def test_compare_takes_every_name(cli: Run, run: Path) -> None:
    options = ("--scale", 2, "--rounds", 0, "--json")
    names = ("bicubic", "x2", "auto", run, "imdn")
    code, out, err = cli("compare", *(word for name in names for word in ("--network", name)), *options)
    assert (code, err) == (0, "")
    rows = json.loads(out)["rows"]
    assert [(row["name"], row["ours"], row["trained"]) for row in rows] == [
        ("bicubic", False, True),
        ("MAFDN (reconstruction)", True, True),
        ("run", False, True),
        ("IMDN", False, False),
    ]
    failed(cli("compare", "--network", "x4", *options), 2, "none of the requested scales")


def test_bench_finds_every_network(tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mafdn.bench import cases
    from mafdn.bench.cases import export_networks, find_networks

    everything = {scale: shipped(scale, ".onnx") for scale in SCALES}
    assert find_networks("auto", [], tmp_path) == find_networks("mafdn", [], tmp_path) == everything
    assert find_networks("mafdn", [2], tmp_path) == find_networks("x2", [], tmp_path) == {2: everything[2]}
    assert find_networks(str(exported), [], tmp_path) == {2: exported}
    for name, scales, words in (("lanczos", [], "not a network"), ("x2", [3], "upscales by 2, not 3")):
        with pytest.raises(UsageError, match=words):
            find_networks(name, scales, tmp_path)
    # Exports are tested elsewhere, and take long.
    monkeypatch.setattr("mafdn.export.onnx.export_onnx", lambda _network, path: path.touch())
    weights = tmp_path / "peer.safetensors"
    save_network(IMDN(IMDNSettings(scale=3, width=8, blocks=1)), weights, card={})
    found = find_networks(str(weights), [], tmp_path)
    assert [(scale, path.name, path.with_suffix(".safetensors").is_file()) for scale, path in found.items()] == [
        (3, "peer.onnx", True)
    ]
    for folder in tmp_path.iterdir():
        if folder.is_dir():
            folder.rename(tmp_path / f"used-{folder.name}")
    peers = export_networks(["bicubic", str(weights), str(exported)], [2, 3], tmp_path)
    assert {scale: list(files) for scale, files in peers.items()} == {2: ["small"], 3: ["peer"]}
    assert cases.export_networks([], [2], tmp_path) == {}


def test_teach_takes_names(bank: Bank, cli: Run) -> None:
    code, out, err = cli("bank", "teach", bank.folder, "--network", "x2")
    assert (code, err) == (0, "")
    assert out == f"{bank.folder}: teacher x2, x2 by mafdn-x2.onnx\n"
    failed(cli("bank", "teach", bank.folder, "--network", "mafdn", "--name", "a"), 2, f"choose {SCALE_NAMES}")
    failed(cli("bank", "teach", bank.folder, "--network", "bicubic", "--name", "a"), 2, "a baseline, not a network")
    failed(cli("bank", "teach", bank.folder, "--network", "vdsr", "--name", "a"), 2, "choose from auto")


def test_convert_takes_files_only(cli: Run, run: Path) -> None:
    failed(cli("convert", "imdn"), 2, "imdn is an architecture without weights; only weights files can be converted")
    failed(cli("convert", run), 2, "a training run")
    failed(cli("convert", "vdsr"), 2, "unknown network 'vdsr'")
