"""Settings, overrides and banks of runs that are resumed."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch import Tensor

import mafdn
from mafdn._support.atomic import sha256
from mafdn.errors import ConfigError
from mafdn.training.data.bank import open_bank
from mafdn.training.data.build import build_bank
from mafdn.training.data.teach import teach
from mafdn.training.loop import train
from mafdn.training.record.run_folder import RunFolder
from mafdn.training.run import Run
from mafdn.training.workers import open_workers
from tests.conftest import Run as Cli
from tests.runs import config, final, tiny
from tests.support import failed

# --- overrides


def test_overrides_are_recorded_and_needed_again(workplace: Path, cli: Cli) -> None:
    path, run = config(workplace, steps=10), workplace / "run"
    code, _, err = cli("train", path, "run.batch=2", "run.seed=3")
    assert code == 0, err
    assert json.loads((run / "settings.json").read_text())["overrides"] == {"run.batch": 2, "run.seed": 3}
    assert RunFolder(run).saved().settings.run.batch == 2
    assert final(run).samples == 20
    failed(cli("train", path), 2, f"the run in {run} was started with run.batch=2; repeat that", f"'mafdn train {run}'")
    failed(cli("train", path, "run.batch=4", "run.seed=3"), 2, "run.batch=4 would change the run", "started with 2")
    failed(cli("train", run, "network.width=18"), 2, "network.width=18 would change the run", "started with 16")
    code, _, err = cli("train", run, "schedule.steps=14", "optimizer.lr=0.005")
    assert (code, err.splitlines()[0]) == (0, "resuming from step 10")
    saved = RunFolder(run).saved()
    assert saved.overrides == {"run.batch": 2, "run.seed": 3, "schedule.steps": 14, "optimizer.lr": 0.005}
    assert (saved.settings.optimizer.lr, final(run).step) == (0.005, 14)
    assert cli("train", path, "run.batch=2", "run.seed=3", "schedule.steps=15")[0] == 0


def test_edits_of_the_file_are_named(workplace: Path) -> None:
    path = config(workplace, steps=10)
    train(path)
    path.write_text(path.read_text() + "\n[loss]\nfourier = 0.05\n")
    path.write_text(path.read_text().replace("steps = 10", "steps = 12"))
    notes: list[str] = []
    train(path, on_note=notes.append)
    assert notes[:2] == [
        "changed since the last start: loss.fourier 0.0 -> 0.05, schedule.steps 10 -> 12",
        "resuming from step 10",
    ]
    assert notes[-1] == "finished: 12 of 12"


def test_the_device_is_chosen(workplace: Path, cli: Cli) -> None:
    with open_workers("cpu") as workers:
        assert workers.device.type == "cpu"
    with (
        pytest.raises(ConfigError, match=r"run\.device = \"cuda:99\": torch finds .* GPU.*; use \"cpu\""),
        open_workers("cuda:99"),
    ):
        pass
    failed(cli("train", config(workplace), "--device", "gpu"), 2, "run.device must be")
    failed(cli("train", config(workplace), "--device", "cuda:99"), 2, "torch finds")


# --- banks


def test_a_bank_may_exclude_more_and_have_other_scales(workplace: Path, cli: Cli) -> None:
    bench = workplace / "Set"
    bench.mkdir()
    shutil.copy(workplace / "photos" / "b.png", bench / "b.png")
    build_bank([workplace / "photos"], workplace / "bank", scales=(2, 3), exclude=[bench])
    code, _, err = cli("train", config(workplace, steps=10))
    assert (code, err.splitlines()[0]) == (0, f"the bank {workplace / 'bank'} also leaves out pictures of Set")
    assert [picture.name for picture in open_bank(workplace / "bank").pictures] == ["a.png", "held.png"]
    path = config(workplace, "same", steps=10)
    path.write_text(path.read_text().replace("[data]", '[data]\nexclude = ["Set"]'))
    notes: list[str] = []
    train(path, on_note=notes.append)
    assert notes == ["finished: 10 of 10"]


def test_a_bank_must_exclude_the_benchmark_datasets(workplace: Path) -> None:
    bench = workplace / "Set"
    bench.mkdir()
    shutil.copy(workplace / "photos" / "b.png", bench / "b.png")
    train(config(workplace, steps=7))
    path = config(workplace, "strict", steps=7)
    path.write_text(path.read_text().replace("[data]", '[data]\nexclude = ["Set"]'))
    for _ in ("the dataset is there", "only its name is known"):
        with pytest.raises(ConfigError, match=r"does not exclude .*Set, so training might see benchmark pictures"):
            train(path)
        shutil.rmtree(bench, ignore_errors=True)


def test_a_run_keeps_its_training_pictures(workplace: Path, cli: Cli) -> None:
    path, run = config(workplace, steps=7), workplace / "run"
    train(path)
    other = workplace / "elsewhere" / "photos"
    shutil.copytree(workplace / "photos", other)
    shutil.copy(other / "a.png", other / "c.png")
    refused = f"data.bank would change the run in {run}, which was started with other pictures"
    failed(cli("train", path, "--data", other, f"data.bank={workplace / 'other'}", "schedule.steps=8"), 2, refused)
    (workplace / "bank").rename(workplace / "moved")
    shutil.move(workplace / "other", workplace / "bank")
    path.write_text(path.read_text().replace('"photos"', '"elsewhere/photos"'))
    failed(cli("train", path, "schedule.steps=8"), 2, refused)
    assert final(run).step == 7
    code, _, err = cli("train", run, f"data.bank={workplace / 'moved'}", "schedule.steps=8")
    assert (code, final(run).step) == (0, 8), err
    assert RunFolder(run).saved().banks == {"data.bank": open_bank(workplace / "moved").fingerprint}


def test_a_run_of_an_earlier_version_resumes_without_fingerprints(workplace: Path) -> None:
    path, file = config(workplace, steps=7), workplace / "run" / "settings.json"
    train(path)
    saved = json.loads(file.read_text())
    banks, starts = saved.pop("banks"), saved.pop("starts")
    file.write_text(json.dumps(saved))
    path.write_text(path.read_text().replace("steps = 7", "steps = 8"))
    train(path)
    resumed = json.loads(file.read_text())
    assert (final(workplace / "run").step, resumed["banks"]) == (8, banks)
    assert resumed["starts"] == [starts[0] | {"step": 7}]


def test_pictures_of_the_same_names_and_sizes_are_told_apart(workplace: Path) -> None:
    path, manifest = config(workplace, steps=7), workplace / "bank" / "bank.json"
    train(path)
    bank = json.loads(manifest.read_text())
    bank["pictures"][0]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(bank))
    with pytest.raises(
        ConfigError, match=r"data\.bank would change the run in .*, which was started with other pictures"
    ):
        train(path, overrides={"schedule.steps": 8})


def test_a_run_keeps_its_teacher(workplace: Path) -> None:
    bank, path = workplace / "bank", config(workplace, steps=7)
    build_bank([workplace / "photos"], bank, scales=(2,))
    first, other = (tiny(workplace / f"{name}.onnx", seed=seed) for seed, name in enumerate(("first", "other")))
    text = path.read_text().replace("[data]", '[loss]\nteacher = 1.0\n[data]\nteacher = "wise"')
    path.write_text(text)
    teach(bank, [first], name="wise")
    train(path)
    shutil.rmtree(bank / "teachers")
    teach(bank, [other], name="wise")
    refused = (
        rf"the teacher wise would change the run in .*: it was made by first\.onnx \(SHA-256 {sha256(first)[:12]}\) "
        rf"and is now made by other\.onnx \(SHA-256 {sha256(other)[:12]}\); .*'mafdn bank teach'"
    )
    with pytest.raises(ConfigError, match=refused):
        train(path, overrides={"schedule.steps": 8})
    teach(bank, [first], name="third")
    path.write_text(text.replace('"wise"', '"third"'))
    notes: list[str] = []
    train(path, overrides={"schedule.steps": 8}, on_note=notes.append)
    assert notes[0] == 'changed since the last start: data.teacher "wise" -> "third"'
    shutil.rmtree(bank / "teachers" / "third")
    teach(bank, [first.rename(workplace / "renamed.onnx")], name="third")
    train(path, overrides={"schedule.steps": 9})
    assert final(workplace / "run").step == 9


def test_a_bank_of_an_earlier_version_is_compared(workplace: Path) -> None:
    train(config(workplace, steps=7))
    manifest = json.loads((workplace / "bank" / "bank.json").read_text())
    del manifest["sources"]
    (workplace / "bank" / "bank.json").write_text(json.dumps(manifest))
    train(config(workplace, "again", steps=7))
    (workplace / "photos" / "b.png").unlink()
    with pytest.raises(ConfigError, match="was made from different pictures"):
        train(config(workplace, "other", steps=7))


def test_a_bank_is_enough(workplace: Path, cli: Cli) -> None:
    build_bank([workplace / "photos"], workplace / "bank", scales=(2,))
    path = config(workplace, steps=7)
    path.write_text(path.read_text().replace('folders = ["photos"]\n', ""))
    assert cli("train", path)[0] == 0
    code, _, err = cli("train", path, "data.folders=nowhere", f"run.folder={workplace / 'b'}")
    assert code == 0
    note = f"data.folders: {Path('nowhere').resolve()} does not exist; using the bank {workplace / 'bank'} as it is"
    assert err.splitlines()[0] == note


def test_wrong_folders_are_not_ignored(workplace: Path, cli: Cli) -> None:
    train(config(workplace, steps=7))
    other = workplace / "other"
    other.mkdir()
    shutil.copy(workplace / "photos" / "a.png", other / "a.png")
    path = config(workplace, "second", steps=7)
    path.write_text(path.read_text().replace('"photos"', '"other"'))
    failed(cli("train", path), 2, "was made from photos (3 files), not other (1 files)", "data.folders = []")
    path.write_text(path.read_text().replace('"other"', '"photos"').replace("scale = 2", "scale = 4"))
    path.write_text(path.read_text().replace("scales = [2]", "scales = [4]"))
    failed(cli("train", path), 2, "has no pictures reduced by 4, only by 2")


def test_missing_pictures_are_named_before_any_work(workplace: Path, cli: Cli) -> None:
    path = config(workplace)
    text = path.read_text()
    path.write_text(text.replace('"photos"', '"nowhere"'))
    failed(
        cli("train", path),
        2,
        "data.folders: the folder",
        "nowhere does not exist",
        "download the dataset",
        "(--data)",
    )
    path.write_text(text.replace("[data]", '[data]\nexclude = ["Set5"]'))
    failed(cli("train", path), 2, "data.exclude: the folder", "Set5 does not exist", "download the dataset")
    path.write_text(text.replace('folders = ["photos"]\n', ""))
    failed(cli("train", path), 2, "bank does not exist, and data.folders is empty", "(--data)")
    assert not (workplace / "bank").exists()


def test_the_python_interface_does_what_the_command_does(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, take_step = [0.0], Run.take_step

    def timed(run: Run) -> Tensor:
        clock[0] += 0.1
        return take_step(run)

    monkeypatch.setattr("mafdn.training.fork.time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(Run, "take_step", timed)
    notes: list[str] = []
    reports: list[mafdn.TrainingProgress] = []
    path = config(workplace, steps=7)
    overrides = {"run.batch": 2, "schedule.steps": 8, "run.folder": workplace / "mine"}
    run = mafdn.train(str(path), overrides, data=workplace / "photos", on_progress=reports.append, on_note=notes.append)
    assert run == workplace / "mine"
    assert RunFolder(run).saved().bank.resolve() == workplace / "bank-photos"
    assert (final(run).step, final(run).samples) == (8, 16)
    assert (reports[-1].step, notes[-1]) == (8, "finished: 8 of 8")
    assert json.loads((run / "settings.json").read_text())["overrides"]["run.batch"] == 2
    fork = mafdn.train(path, {"run.folder": workplace / "timed", "schedule.decay": 4}, seconds=14)
    assert final(fork).step == final(workplace / "timed").step + 4
    with pytest.raises(mafdn.UsageError, match="config"):
        mafdn.train(7)  # pyright: ignore[reportArgumentType]


def test_data_trains_on_another_folder(workplace: Path, cli: Cli) -> None:
    path = config(workplace, steps=7)
    (workplace / "photos").rename(workplace / "mine")
    code, _, err = cli("train", path, "--data", workplace / "mine")
    assert code == 0, err
    saved = RunFolder(workplace / "run").saved()
    assert saved.bank.resolve() == workplace / "bank-mine"
    assert saved.settings.data.description == "", "the description is that of other pictures"
    assert len(open_bank(workplace / "bank-mine").pictures) == 3
    assert cli("train", path, "--data", workplace / "bank-mine", f"run.folder={workplace / 'second'}")[0] == 0
    third = f"run.folder={workplace / 'c'}"
    code, _, err = cli("train", path, "--data", workplace / "mine", "data.held_out=none*", third)
    assert code == 2
    assert "no picture in" in err
    assert "with data.held_out = []" in err
    (workplace / "mine" / "held.png").rename(workplace / "mine" / "c.png")
    code, _, err = cli("train", path, "--data", workplace / "mine", f"data.bank={workplace / 'b'}", third)
    assert (code, err.splitlines()[0]) == (0, "no validation: data.held_out is empty")
    failed(cli("train", path, "--data", workplace / "no"), 2, "is not a folder of pictures or a bank")
