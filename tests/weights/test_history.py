"""Training histories: the chain of runs in cards, and the configurations of the shipped weights."""

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import onnx
import pytest

import mafdn
from mafdn.errors import UsageError, WeightsError
from mafdn.networks import MAFDN, MAFDNSettings, save_network
from mafdn.training.config import TrainSettings, read_config
from mafdn.training.record.run_folder import to_json
from mafdn.weights.header import SCALES, Card, read_header, read_tensors_digest
from mafdn.weights.history import complete_chain, training_history
from mafdn.weights.resolve import NAMES_OF_SCALES
from mafdn.weights.shipped import shipped
from tests.conftest import ROOT, Run
from tests.support import failed
from tools.shipped.configs import FOLDER, shipped_configs, shipped_stages

PRIVATE = re.compile(rb"(?<![\w.])(/(work|home|root|tmp|Users|mnt|media|var|opt|private)/|[A-Za-z]:\\\\Users)")
"""Absolute paths of a person's machine."""


def card(steps: int, start: str, **more: Any) -> Card:
    settings = {"network": {"scale": 4}, "run": {"batch": 4}}
    started_from = f"a.safetensors, SHA-256 {start}" if start else ""
    return {"steps": steps, "samples": 4 * steps, "started_from": started_from, "settings": settings} | more


# --- the shipped weights


@pytest.mark.parametrize("name", NAMES_OF_SCALES)
def test_the_history_goes_back_to_random_weights(name: str) -> None:
    history = training_history(name)
    assert history.complete
    assert history.stages[0].name == "mafdn-x4-1"
    assert history.stages[-1].name.startswith(f"mafdn-{name}-")
    for before, after in zip(history.stages, history.stages[1:], strict=False):
        assert after.started_from.endswith(before.sha256), "each run starts from the result of the one before it"
    variant, scale = NAMES_OF_SCALES[name]
    recorded = read_header(shipped(scale, ".safetensors", variant))[1]
    assert history.patches == recorded["patches"] == sum(stage.patches for stage in history.stages)
    assert history.stages[-1].scores == recorded.get("scores", {})
    for stage in history.stages:
        assert stage.patches == stage.steps * stage.settings["run"]["batch"]
        assert stage.data
        assert not stage.scores or stage.scores["Set5"]["psnr"] > 30


def test_every_run_has_a_configuration_with_the_settings_of_its_card() -> None:
    stages = shipped_stages(ROOT)
    assert sorted(path.stem for path in (ROOT / FOLDER).glob("*.toml")) == sorted(stages)
    defaults = to_json(TrainSettings())
    for name, (stage, before) in stages.items():
        settings = read_config(ROOT / FOLDER / f"{name}.toml")
        for table, values in to_json(settings).items():
            recorded = stage.settings.get(table, {})
            for key, value in values.items():
                if key == "precision":
                    assert stage.precision == {"bf16": "bf16 autocast"}.get(value, value), "what `auto` chose"
                elif key in recorded:
                    assert value == recorded[key], (name, table, key)
                elif key not in ("folders", "bank", "exclude", "description", "teacher_description", "folder", "init"):
                    assert value == defaults[table][key], (name, table, key, "was not a setting then")
        assert settings.data.description == stage.data
        assert settings.data.teacher_description == stage.teacher
        pruned = f"-{before.pruned_width}.safetensors" if before and before.pruned_width else ""
        assert settings.run.init == (f"../../runs/shipped/{before.name}{pruned}" if before else "")
    for path, text in shipped_configs(ROOT).items():
        assert path.read_text("utf-8") == text, "run python -m tools.figures"


@pytest.mark.parametrize("scale", SCALES)
def test_the_configurations_to_train_with_are_those_of_first_runs(scale: int) -> None:
    ours, first = (
        read_config(ROOT / "configs" / name) for name in (f"mafdn-x{scale}.toml", f"shipped/mafdn-x{scale}-1.toml")
    )
    first = replace(first, schedule=replace(first.schedule, begin=0))  # which is where a fork began
    for entry in fields(TrainSettings):
        if entry.name not in ("run", "data"):
            assert getattr(ours, entry.name) == getattr(first, entry.name), entry.name
    for key in ("candidates", "recolored", "teacher", "teacher_description"):
        assert getattr(ours.data, key) == getattr(first.data, key), key
    assert (ours.run.batch, ours.run.seed, ours.run.ema) == (first.run.batch, first.run.seed, first.run.ema)


@pytest.mark.parametrize("folder", ["weights", "configs", "docs/results"])
def test_nothing_that_ships_names_folders_of_the_training_machine(folder: str) -> None:
    files = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert files
    for path in files:
        found = PRIVATE.search(path.read_bytes())
        assert not found, f"{path}: {found and found[0]}"
    assert PRIVATE.search(b'"init": "/work/x"')


def test_no_setting_of_a_card_is_a_path() -> None:
    for name in NAMES_OF_SCALES:
        for stage in training_history(name).stages:
            assert not {"folders", "bank", "exclude", "zoomed"} & stage.settings["data"].keys()
            assert not {"folder", "init"} & stage.settings["run"].keys()


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.toml")), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_every_configuration_is_valid_and_inside_the_repository(path: Path) -> None:
    settings = read_config(path)
    for name in (*settings.data.folders, *settings.data.exclude, settings.data.bank, settings.run.folder):
        assert (path.parent / name).resolve().is_relative_to(ROOT), name


# --- the command and the Python interface


def test_info_prints_the_history(cli: Run) -> None:
    code, out, err = cli("info", "x4", "--json")
    assert (code, err) == (0, "")
    about = json.loads(out)
    stages = mafdn.training_history("x4").stages
    assert (about["complete"], about["patches"]) == (True, sum(stage.patches for stage in stages))
    assert [stage["name"] for stage in about["stages"]] == [stage.name for stage in stages]
    assert about["weights_sha256"] == read_tensors_digest(shipped(4, ".safetensors"))
    assert about["stages"][1]["settings"]["optimizer"]["lr"] == stages[1].settings["optimizer"]["lr"]
    code, out, err = cli("info", "x4")
    assert (code, err) == (0, "")
    for stage in stages:
        assert stage.name in out
        assert stage.sha256[:12] in out
        assert f"{stage.steps:,}" in out
    assert "random weights" in out
    assert about["weights_sha256"] in out
    assert stages[-1].data in out.replace("\n", "")


def test_info_prints_the_header_of_an_onnx_file(cli: Run, exported: Path, tmp_path: Path) -> None:
    header = json.loads(cli("info", exported, "--json")[1])["header"]
    assert (header["architecture"], header["settings"]["width"]) == ("mafdn", 8)
    code, out, err = cli("info", exported)
    assert (code, err) == (0, "")
    assert header["weights_sha256"] in out
    assert "radius 15, halo" in out
    code, out, _ = cli("info", shipped(4, ".onnx"))
    assert (code, "not recorded" in out or "weights: " in out) == (0, True)
    bare = onnx.load(exported)
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    failed(cli("info", tmp_path / "bare.onnx"), 1, "has no mafdn header")


def test_networks_without_a_card_have_no_history(tmp_path: Path, cli: Run) -> None:
    save_network(MAFDN(MAFDNSettings(scale=2, width=8, blocks=1)), tmp_path / "bare.safetensors", card={})
    with pytest.raises(WeightsError, match=r"bare\.safetensors does not state how it was trained"):
        training_history(tmp_path / "bare.safetensors")
    with pytest.raises(WeightsError, match="has no card"):
        training_history(shipped(4, ".onnx"))
    with pytest.raises(UsageError, match="does not determine the scale"):
        training_history("mafdn")
    failed(cli("info", "x5"), 2, "unknown network 'x5'")
    failed(cli("info", "bicubic"), 2, "a baseline")
    failed(cli("info", tmp_path / "bare.safetensors"), 1, "does not state how it was trained")


def test_an_incomplete_history_says_so(tmp_path: Path, cli: Run) -> None:
    path = tmp_path / "late.safetensors"
    save_network(MAFDN(MAFDNSettings(scale=2, width=8, blocks=1)), path, card=card(5, "ab" * 32))
    history = training_history(path)
    assert (history.complete, history.patches, history.stages[0].name) == (False, 20, "mafdn-x4-1")
    assert "The runs before mafdn-x4-1 are not recorded." in cli("info", path)[1]


# --- chains


def test_runs_on_degraded_patches_and_pruned_weights_are_told_apart(tmp_path: Path) -> None:
    first = card(1, "") | {"pruned": {"width": 6}}
    last = card(2, "11", chain=[first])
    last["settings"] |= {"degrade": {"share": 0.7}}
    path = tmp_path / "photo.safetensors"
    save_network(MAFDN(MAFDNSettings(width=6, blocks=1)), path, card=last)
    stages = training_history(path).stages
    assert [(stage.name, stage.pruned_width) for stage in stages] == [("mafdn-x4-1", 6), ("mafdn-photo-x4-1", None)]


def test_a_chain_is_completed_from_other_cards() -> None:
    first, second, third = card(1, ""), card(2, "11"), card(3, "22")
    known = third | {"chain": [first, second], "patches": 99}
    fourth = card(4, "33", chain=[card(3, "22")])
    whole = complete_chain(fourth, [card(9, "77"), known])
    assert whole["chain"] == [first, second, third]
    assert (whole["steps"], whole["patches"]) == (4, 4 * (1 + 2 + 3 + 4))
    assert complete_chain(whole, [known]) == whole
    alone = complete_chain(card(4, "55"), [known])
    assert "chain" not in alone
    assert alone["patches"] == 16
    assert complete_chain(card(6, ""), [known]) == card(6, "", patches=24), "random weights have no history"


def test_scores_of_released_weights_are_kept_when_a_run_goes_on_from_their_folder() -> None:
    measured = {"scores": {"Set5": {"psnr": 32.0, "ssim": 0.89}}, "validation_psnr": 31.8}
    second = card(2, "11")
    third = card(3, "22", chain=[card(1, ""), second])
    whole = complete_chain(third, [card(2, "11", chain=[card(1, "")]) | measured])
    assert whole["chain"] == [card(1, ""), second | measured]
    pruned = card(3, "22", chain=[second | {"pruned": {"width": 48}}])
    assert "scores" not in complete_chain(pruned, [second | measured])["chain"][-1]
    other = card(2, "11", chain=[card(1, "")]) | measured | {"steps": 20}
    assert complete_chain(third, [other]) == third | {"patches": whole["patches"]}
