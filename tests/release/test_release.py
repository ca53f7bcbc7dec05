"""The release gate, export, and the documents that a release updates."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch

from mafdn.errors import ConfigError, WeightsError
from mafdn.evaluation.benchset import PictureScore, SetScore
from mafdn.evaluation.colors import ColorScore
from mafdn.export.onnx import export_onnx
from mafdn.inference.engines import read_file_header
from mafdn.networks import MAFDN, MAFDNSettings, load_network
from mafdn.release import gate
from mafdn.release.gate import release
from mafdn.training.loop import train
from mafdn.weights.header import read_header, read_tensors_digest
from tests.conftest import Run
from tests.runs import config
from tools.release import release_and_document


def export_as(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gate export every network as a copy of this file, which takes no time."""
    monkeypatch.setattr(gate, "export_onnx", lambda _network, target: shutil.copy(path, target))


def test_the_gate_lets_only_better_weights_through(
    workplace: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_as(exported, monkeypatch)
    folder = train(config(workplace, steps=10))
    weights = workplace / "weights"
    marks = iter([30.0, 31.0, 30.9, 30.0, 30.5])

    def measured(path: Path, benches: list[Path], *, scale: int, variant: str) -> list[SetScore]:
        assert (path.suffix, variant) == (".onnx", "classic")
        assert benches == [workplace / "photos"]
        both = {"bicubic": 20.0, path.stem: next(marks)}
        return [
            SetScore(network=name, bench="Set", scale=scale, pictures=(PictureScore(name="a", psnr=psnr, ssim=0.9),))
            for name, psnr in both.items()
        ]

    monkeypatch.setattr(gate, "measured", measured)
    benches = [workplace / "photos"]
    first = release(folder, weights, benches=benches)  # nothing ships yet: 30.0
    assert first.released
    shipped = weights / "mafdn-x2.safetensors"
    before = shipped.read_bytes()
    worse = release(folder, weights, benches=benches)  # 31.0 ships, 30.9 is not better
    assert not worse.released
    assert shipped.read_bytes() == before
    assert release(folder, weights, benches=benches).released  # 30.0 ships, 30.5 is better
    assert sorted(p.name for p in weights.iterdir()) == ["mafdn-x2.onnx", "mafdn-x2.safetensors"]
    settings = load_network(shipped).settings
    assert isinstance(settings, MAFDNSettings)
    assert not settings.over_parameterized
    card = read_header(shipped)[1]
    assert card["scores"]["Set"]["psnr"] == 30.5
    assert card["validation_psnr"] == worse.validation == worse.validation_before
    assert card["validation_pictures"] == 1
    assert str(workplace) not in json.dumps(card), "names of the training machine"
    assert (card["steps"], card["samples"], card["data"]) == (10, 40, "random stripes")


def test_weights_that_make_other_colors_are_not_released(
    workplace: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_as(exported, monkeypatch)
    folder = train(config(workplace, steps=10))
    marks = iter([30.0, 30.0, 31.0, 30.0, 31.0, 30.0, 31.0, 30.0, 29.94, 30.0, 29.96, 30.0, 29.96])
    shares = iter([0.5, 0.004, 0.006, 0.003, 0.004, 0.007, 0.006, 0.006, 0.005, 0.006, 0.0051, 0.006, 0.005])

    def measured(path: Path, _benches: list[Path], *, scale: int, variant: str) -> list[SetScore]:
        both = {"bicubic": 20.0, f"{path.stem} {variant}": next(marks)}
        return [
            SetScore(network=name, bench="Set", scale=scale, pictures=(PictureScore(name="a", psnr=psnr, ssim=0.9),))
            for name, psnr in both.items()
        ]

    monkeypatch.setattr(gate, "measured", measured)
    monkeypatch.setattr(gate, "color_score", lambda _: ColorScore(share=next(shares), largest=0, pictures=1))
    weights, benches = workplace / "weights", [workplace / "photos"]
    assert release(folder, weights, benches=benches).released  # nothing ships yet
    worse = release(folder, weights, benches=benches)
    assert not worse.released
    assert worse.reason == (
        "0.6% of the pixels where saturated colors meet have another color, 0.4% with the shipped weights"
    )
    assert release(folder, weights, benches=benches).released  # more than before, but few
    assert release(folder, weights, benches=benches).released  # fewer than before
    assert read_header(weights / "mafdn-x2.safetensors")[1]["off_color"] == 0.006
    lower = release(folder, weights, benches=benches)
    assert (lower.released, lower.reason) == (False, "more than 0.05 dB lower")
    assert not release(folder, weights, benches=benches).released  # a little lower, and still too many
    cured = release(folder, weights, benches=benches)
    assert cured.released
    assert cured.reason == "0.040 dB lower, but saturated colors are kept, unlike by the previous weights"


def test_weights_behind_bicubic_are_not_released(workplace: Path, cli: Run) -> None:
    code, out, err = cli("train", config(workplace, steps=10))
    run = workplace / "run"
    assert (code, out) == (0, f"{run}: checkpoints, log.jsonl and TensorBoard files\n")
    assert "step 10 of 10" in err
    assert ": validation " in err
    arguments = ("release", run, "--bench", workplace / "photos", "--weights", workplace / "weights")
    code, out, _ = cli(*arguments)
    assert code == 0
    assert "kept the shipped weights: no better than bicubic on photos/a" in out
    assert list((workplace / "weights").iterdir()) == []
    assert cli(*arguments, "--scale", 3)[0] == 2
    assert cli("release", run, "--bench", workplace / "no")[0] == 2
    twice = cli("release", run, "--bench", workplace / "photos", "--bench", workplace / "photos")
    assert twice[0] == 2
    assert "same name" in twice[2]


def test_runs_on_degraded_patches_ship_as_photo_weights(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A run this short is better only than a black picture.
    monkeypatch.setattr(gate, "bicubic", lambda s: lambda lr: np.zeros((lr.shape[0] * s, lr.shape[1] * s, 3), np.uint8))
    (workplace / "docs" / "results").mkdir(parents=True)
    (workplace / "README.md").touch()
    path = config(workplace, steps=10)
    path.write_text(path.read_text() + "[degrade]\nshare = 0.5\n")
    train(path)
    outcome = release_and_document(workplace / "run", workplace, benches=[workplace / "photos"]).outcome
    assert (outcome.released, outcome.target.name) == (True, "mafdn-photo-x2.safetensors")
    assert list(outcome.scores)[:3] == ["photos", "photos jpeg:90", "photos jpeg:75"]
    assert outcome.scores["photos jpeg:50"] != outcome.scores["photos"]
    weights, results = workplace / "weights", workplace / "docs" / "results"
    assert {path.name for path in weights.glob("*.*")} == {"mafdn-photo-x2.onnx", "mafdn-photo-x2.safetensors"}
    stored = json.loads((results / "evaluate-photo-x2.json").read_text())
    assert [entry["bench"] for entry in stored[::2]] == list(outcome.scores)
    assert (results / "train-photo-x2.jsonl").is_file()


def test_a_release_updates_the_documents(workplace: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # A run this short is better only than a black picture.
    monkeypatch.setattr(gate, "bicubic", lambda s: lambda lr: np.zeros((lr.shape[0] * s, lr.shape[1] * s, 3), np.uint8))
    (workplace / "docs" / "results").mkdir(parents=True)
    marks = "before\n<!-- {0}: mafdn release -->\nold\n<!-- /{0} -->\nafter\n"
    (workplace / "README.md").write_text(marks.format("scores"))
    (workplace / "docs" / "training.md").write_text(marks.format("runs"))
    train(config(workplace, steps=10))
    shipped = release_and_document(workplace / "run", workplace, benches=[workplace / "photos"])
    assert shipped.outcome.released
    assert shipped.outcome.reason == "the first at this scale"
    header = read_file_header(workplace / "weights" / "mafdn-x2.onnx")
    assert header["weights_sha256"] == read_tensors_digest(workplace / "weights" / "mafdn-x2.safetensors")
    readme, training = ((workplace / name).read_text() for name in ("README.md", "docs/training.md"))
    assert readme.startswith("before\n<!-- scores: mafdn release -->\n| PSNR")
    assert "| x2, MAFDN (reconstruction), shipped |" in readme
    assert "old" not in readme + training
    assert "(../configs/shipped/mafdn-x2-1.toml) | random weights | 10 | 40 | 0.01, 0.001 | HR |" in training
    results = workplace / "docs" / "results"
    stored = json.loads((results / "evaluate-x2.json").read_text())
    assert [entry["network"] for entry in stored] == ["bicubic", "mafdn-x2"]
    assert len(stored[0]["pictures"]) == 3
    assert (results / "train-x2.jsonl").read_bytes() == (workplace / "run" / "log.jsonl").read_bytes()
    assert pyvips.Image.new_from_file(str(workplace / "docs" / "training-x2.png")).width > 1000
    export_as(workplace / "weights" / "mafdn-x2.onnx", monkeypatch)  # the same network again
    arguments = ("release", workplace / "run", "--bench", workplace / "photos", "--weights", workplace / "weights")
    code, out, err = cli(*arguments, "--json")
    assert code == 0, err
    outcome = json.loads(out)
    assert not outcome["released"]
    assert outcome["scores"] == outcome["before"]


def test_a_network_that_is_not_finite_is_not_exported(tmp_path: Path) -> None:
    network = MAFDN(MAFDNSettings(scale=2, width=8, blocks=1))
    with torch.no_grad():
        assert network.tail.bias is not None
        network.tail.bias.fill_(torch.nan)
    with pytest.raises(WeightsError, match="differs from the network by nan"):
        export_onnx(network, tmp_path / "n.onnx")
    assert list(tmp_path.iterdir()) == []


def test_releasing_nothing_gives_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no checkpoint"):
        release(tmp_path, tmp_path, benches=[tmp_path])
