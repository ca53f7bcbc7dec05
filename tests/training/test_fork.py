"""Stable phases, forks that decay, time budgets, and loss schedules."""

import json
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from mafdn.cli.train import parse_time
from mafdn.errors import ConfigError, UsageError
from mafdn.training.data.teach import teach
from mafdn.training.data.zoom import zoom
from mafdn.training.fork import TRIAL, DeadlineWatch, fork_run, train_for, train_fork
from mafdn.training.loop import fit, train
from mafdn.training.record.averaged import averaged_network, run_card
from mafdn.training.record.checkpoint import Checkpoint
from mafdn.training.record.log import read_log
from mafdn.training.record.run_folder import RunFolder, load_config
from mafdn.training.run import Run, open_run
from mafdn.training.schedule import learning_rate
from mafdn.training.workers import open_workers
from tests.conftest import Run as Cli
from tests.runs import config, final, known_losses, same, tiny, torchrun, train_and_kill
from tests.support import failed


def stopped(workplace: Path, *, steps: int = 10) -> Path:
    """A run that is in its stable phase at ``steps``."""
    path = config(workplace, steps=steps)
    path.write_text(path.read_text().replace("decay = 5", "decay = 0"))
    folder = train(path)
    path.write_text(path.read_text().replace("decay = 0", "decay = 5").replace(f"steps = {steps}", "steps = 1000"))
    loaded = load_config(path)
    RunFolder(folder).save_settings(loaded.settings, loaded.base, banks=RunFolder(folder).saved().banks)
    return folder


def test_a_fork_decays_and_does_not_change_the_run(workplace: Path) -> None:
    run = stopped(workplace)
    before = final(run)
    folder = train_fork(run, decay=6)
    assert folder == run / "fork-00000010"
    assert final(run).step == 10
    assert same(final(run).network, before.network)
    end = final(folder)
    assert (end.step, end.samples) == (16, 64)
    saved = RunFolder(folder).saved().settings
    assert (saved.schedule.begin, saved.schedule.decay, saved.schedule.steps) == (10, 6, 16)
    assert learning_rate(saved.schedule, 10) == pytest.approx(6 / 7)
    log = read_log(folder)
    assert [entry["step"] for entry in log] == sorted(entry["step"] for entry in log)
    assert log[0]["step"] == 5, "the curves include those of the run"
    assert train_fork(run, decay=6) == folder, "a finished fork is opened, not made again"
    network, settings, checkpoint = averaged_network(folder)
    assert run_card(folder, network, settings, checkpoint)["samples"] == 64


def test_an_interrupted_fork_is_resumed(workplace: Path) -> None:
    run = stopped(workplace)
    whole = final(train_fork(run, workplace / "whole", decay=9))
    folder = fork_run(run, workplace / "parts", decay=9)
    assert final(folder).step == 10
    assert RunFolder(folder).saved().banks == RunFolder(run).saved().banks
    assert RunFolder(folder).saved().banks.keys() == {"data.bank"}
    resumed = final(train(folder))
    for part in ("network", "ema", "optimizer"):
        assert same(getattr(resumed, part), getattr(whole, part)), part


def test_a_fork_whose_creation_was_interrupted_is_made_again(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stopped(workplace)

    def killed(_folder: RunFolder, _checkpoint: Checkpoint) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            fork_run(run, decay=6)
    folder = run / "fork-00000010"
    assert {path.name for path in folder.iterdir()} == {"log.jsonl", "settings.json"}
    (folder / "step-00000010.safetensors.partial").write_bytes(b"")
    assert fork_run(run, decay=6) == folder
    assert final(folder).step == 10


def test_a_fork_of_a_run_with_squared_errors_is_trained(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of the stable run at the fork is the squared error, which is far below that of the fork's start."""
    known_losses(monkeypatch)
    path = config(workplace, steps=10)
    path.write_text(path.read_text().replace("decay = 5", "decay = 0").replace("[run]", "[loss]\nmse = 0.8\n[run]"))
    path.write_text(path.read_text().replace("log_every = 5", "log_every = 1"))
    run = train(path)
    text = path.read_text().replace("decay = 0", "decay = 5").replace("steps = 10", "steps = 1000")
    path.write_text(text)
    loaded = load_config(path)
    RunFolder(run).save_settings(loaded.settings, loaded.base, banks=RunFolder(run).saved().banks)
    end = final(train_fork(run, decay=10))
    assert (end.step, end.detours) == (20, 0)


def test_runs_without_a_stable_phase_cannot_be_forked(workplace: Path, cli: Cli) -> None:
    run = stopped(workplace)
    failed(cli("train", "fork", workplace / "photos"), 2, "is not the folder of a run")
    (workplace / "taken").mkdir()
    (workplace / "taken" / "x").write_text("")
    failed(cli("train", "fork", run, "-o", workplace / "taken"), 2, "is not this fork")
    train_fork(run, workplace / "six", decay=6)
    failed(cli("train", "fork", run, "-o", workplace / "six", "--decay", 7), 2, "is not this fork")
    path = config(workplace, "cosine", steps=6)
    path.write_text(path.read_text().replace("[schedule]", '[schedule]\nkind = "cosine"'))
    failed(cli("train", "fork", train(path)), 2, 'schedule.kind = "cosine"')


def test_a_run_in_its_warmup_cannot_be_forked(workplace: Path, cli: Cli) -> None:
    run = stopped(workplace)
    folder = RunFolder(run)
    saved = folder.saved()
    schedule = replace(saved.settings.schedule, warmup=11)
    folder.save_settings(replace(saved.settings, schedule=schedule), saved.base, saved.overrides)
    failed(cli("train", "fork", run), 2, "is still in its warmup (step 10 of 11)")
    assert not (run / "fork-00000010").exists()


@pytest.mark.slow  # and dependent on what else runs
def test_a_time_budget_is_kept_and_extended(workplace: Path) -> None:
    path = config(workplace, steps=20, save_every=1000)
    start = time.monotonic()
    folder, fork = train_for(path, 14)
    assert time.monotonic() - start < 20
    assert fork is not None
    stable, end = final(folder), final(fork)
    assert end.step == stable.step + 5
    assert stable.step > 10
    assert learning_rate(RunFolder(folder).saved().settings.schedule, stable.step) == 1
    again, later = train_for(path, 14)
    assert later is not None
    assert again == folder
    assert later != fork
    assert final(folder).step > stable.step
    assert final(fork).step == end.step


@pytest.mark.slow
def test_two_processes_keep_a_time_budget(workplace: Path) -> None:
    path = config(workplace, steps=20)
    assert torchrun("-m", "mafdn", "train", path, "--for", "20s").wait(timeout=100) == 0
    forks = list((workplace / "run").glob("fork-*"))
    assert len(forks) == 1
    assert final(forks[0]).step == final(workplace / "run").step + 5


def test_a_budget_too_short_for_the_decay_is_refused_before_it_starts(workplace: Path, cli: Cli) -> None:
    path = config(workplace, steps=2_000_000, save_every=1000)
    path.write_text(path.read_text().replace("decay = 5", "decay = 1000000"))
    code, _, err = cli("train", path, "--for", "5s")
    assert code == 2
    assert "mafdn: the time budget is too short" in err.splitlines()[-1]
    assert "lower schedule.decay" in err
    assert not (workplace / "run").exists()
    path.write_text(path.read_text().replace("[schedule]", '[schedule]\nkind = "cosine"'))
    code, _, err = cli("train", path, "--for", "5s")
    assert code == 2
    assert 'training for a given time needs schedule.kind = "wsd"' in err.splitlines()[-1]


def test_a_refused_budget_leaves_an_existing_run_as_it_was(workplace: Path, cli: Cli) -> None:
    run = stopped(workplace)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    arguments = ("schedule.steps=2000000", "schedule.decay=1000000", "run.save_every=2", "run.log_every=2")
    code, _, err = cli("train", run, "--for", "5s", *arguments)
    assert (code, err.splitlines()[-1][:37]) == (2, "mafdn: the time budget is too short: ")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_the_speed_is_measured_anew_after_a_spike(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def take_step(run: Run) -> Tensor:
        run.state.step += 1
        clock[0] += 1
        return torch.zeros(())

    monkeypatch.setattr("mafdn.training.fork.time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(Run, "take_step", take_step)
    with open_workers("cpu") as workers:
        run = open_run(config(workplace, steps=1000), workers)
        watch = DeadlineWatch(run, 200, decay=5)
        assert (run.state.step, clock) == (0, [1 + TRIAL])
        for _ in range(20):
            run.take_step()
            assert not watch.is_due()
        for step in (1, 10):  # the first mark, and one between two
            run.state.step = step
            assert not watch.is_due()
        while not watch.is_due():
            run.take_step()
    assert clock == [185], "5 steps with a margin and a reserve are left"


def test_every_process_is_asked_after_every_step(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that reaches one process first does not keep it from a message that the others wait for."""
    asked: list[int] = []
    take_step = Run.take_step

    def interrupted(run: Run) -> Tensor:
        if run.state.step == 2:
            signal.raise_signal(signal.SIGINT)
        return take_step(run)

    monkeypatch.setattr(Run, "take_step", interrupted)
    with open_workers("cpu") as workers:
        run = open_run(config(workplace), workers)
        assert fit(run, should_stop=lambda: bool(asked.append(run.state.step)))
    assert asked == [1, 2, 3]


def test_a_decaying_run_is_neither_forked_nor_extended(workplace: Path, cli: Cli) -> None:
    path = config(workplace, steps=20)
    folder = train(path)
    failed(cli("train", "fork", folder), 2, "fork the stable run that it came from")
    with pytest.raises(ConfigError, match=r"the decay of the run in .* has already begun"):
        train_for(path, 30)
    fork = train_fork(stopped(workplace, steps=25), workplace / "fork", decay=2)
    failed(cli("train", "fork", fork, "--decay", 3), 2, "fork the stable run that it came from")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("9m", 540), ("2h30m", 9000), ("1.5h", 5400)])
def test_times_are_parsed(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "9", "m", "-3m", "0s", "3d"])
def test_invalid_times_are_rejected(text: str) -> None:
    with pytest.raises(UsageError, match="--for must be a time"):
        parse_time(text)


def test_a_card_has_the_cards_of_all_earlier_weights(workplace: Path) -> None:
    from mafdn.networks import load_network
    from mafdn.training.record.averaged import export_run

    first = train(config(workplace, "first", steps=7))
    export_run(first, workplace / "first.safetensors")
    path = config(workplace, "second", steps=9)
    path.write_text(path.read_text().replace("[run]", '[run]\ninit = "first.safetensors"'))
    second = train(path)
    export_run(second, workplace / "second.safetensors")
    path = config(workplace, "third", steps=11)
    path.write_text(path.read_text().replace("[run]", '[run]\ninit = "second.safetensors"'))
    network, saved, checkpoint = averaged_network(train(path))
    card = run_card(workplace / "third", network, saved, checkpoint)
    assert [stage["steps"] for stage in card["chain"]] == [7, 9]
    assert card["patches"] == 4 * (7 + 9 + 11)
    assert card["chain"][1]["started_from"].startswith("first.safetensors, SHA-256 ")
    assert str(workplace) not in json.dumps(card)
    assert load_network(workplace / "second.safetensors").settings.scale == 2


def test_killed_five_times_with_zoomed_pairs_and_a_schedule(workplace: Path) -> None:
    """Killed at random moments and resumed, a run with changing loss and data equals the uninterrupted one exactly."""
    train(config(workplace, "bank-only", steps=7))
    wise = tiny(workplace / "wise.onnx", seed=1)
    teach(workplace / "bank", [wise], name="wise")
    zoom(workplace / "bank", [wise], workplace / "zoomed", per_picture=2)

    def scheduled(name: str) -> Path:
        path = config(workplace, name, steps=200, save_every=5)
        data = (
            '[loss]\nteacher = [1.0, 0.0]\nmse = 0.1\n[data]\nteacher = "wise"\nzoomed = "zoomed"\nzoomed_share = 0.4'
        )
        path.write_text(path.read_text().replace("[data]", data))
        return path

    whole = final(train(scheduled("whole")))
    path = scheduled("killed")
    train_and_kill(path, workplace / "killed", seed=1)
    assert final(workplace / "killed").step < 200, "killed too late to show anything"
    resumed = final(train(path))
    for part in ("network", "ema", "optimizer"):
        assert same(getattr(resumed, part), getattr(whole, part)), part
