"""Runs that are stopped or killed, and losses that spike."""

import json
import signal
import subprocess
import sys
import time
from errno import ENOSPC
from pathlib import Path

import pytest
import torch

from mafdn._support.interrupts import stop_signals
from mafdn.errors import MafdnError
from mafdn.networks import MAFDN
from mafdn.training.data.patches import Batch, PatchSampler
from mafdn.training.loop import train
from mafdn.training.optimizers import Muon
from mafdn.training.record.progress import TrainingProgress
from mafdn.training.run import Run
from tests.conftest import Run as Cli
from tests.runs import config, final, known_losses, same, torchrun, train_and_kill

INTERRUPTED = """
import signal, sys
from pathlib import Path
from mafdn.training.loop import train
from mafdn.training.record.progress import TrainingStopped

def interrupt(progress):
    if progress.step == int(sys.argv[2]):
        signal.raise_signal(signal.SIGINT)

try:
    train(Path(sys.argv[1]), on_progress=interrupt, on_note=print)
except TrainingStopped as stopped:
    print(stopped, stopped.folder, stopped.step, sep="\\n")
"""
"""A run that gets SIGINT at a step, in a process of its own."""


def interrupted(path: Path, *, at: int) -> list[str]:
    """What a run that is interrupted at a step prints: its notes, and how it stopped."""
    line = [sys.executable, "-c", INTERRUPTED, str(path), str(at)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=True).stdout.splitlines()


def test_a_loss_that_stays_infinite_stops_the_run(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(config(workplace, steps=10))
    before = final(workplace / "run")
    monkeypatch.setattr(
        MAFDN, "forward", lambda _self, x: x.repeat_interleave(2, 2).repeat_interleave(2, 3) * torch.nan
    )
    monkeypatch.setattr(torch.Tensor, "backward", lambda _self: None)
    with pytest.raises(MafdnError, match="cannot get past step 15"):
        train(config(workplace, steps=20))
    assert same(final(workplace / "run").network, before.network)


@pytest.mark.parametrize("factor", [float("nan"), 100.0])
def test_after_a_spike_the_run_resumes_from_its_checkpoint_with_other_patches(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    drawn: dict[int, list[bytes]] = {}
    batch = PatchSampler.batch

    def spoilt(self: PatchSampler, step: int, places: list[int], *, detours: int) -> Batch:
        whole = batch(self, step, places, detours=detours)
        drawn.setdefault(step, []).append(whole.hr.tobytes())
        return whole

    monkeypatch.setattr(PatchSampler, "batch", spoilt)
    gradients = Run.gradients

    def spike(self: Run, *tensors: torch.Tensor) -> torch.Tensor:
        loss = gradients(self, *tensors)
        return loss * factor if self.state.step == 13 and len(drawn[13]) == 1 else loss

    monkeypatch.setattr(Run, "gradients", spike)
    reports: list[TrainingProgress] = []
    folder = train(config(workplace), on_progress=reports.append)
    notes = [r for r in reports if r.note]
    assert len(notes) == 1
    assert notes[0].step == 10
    assert "at step 15" in notes[0].note
    assert "resuming from the checkpoint of step 10" in notes[0].note
    end = final(folder)
    assert (end.step, end.detours) == (20, 1)
    first, second = drawn[13]
    assert first != second
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [e["step"] for e in log if "loss" in e] == [5, 10, 15, 20]


def test_a_note_on_a_spike_has_the_running_mean_before_it(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known_losses(monkeypatch, spikes={17})
    path = config(workplace)
    path.write_text(path.read_text() + "[loss]\nmse = 0.4\n")
    reports: list[TrainingProgress] = []
    train(path, on_progress=reports.append)
    notes = [report.note for report in reports if report.note]
    mean = 0.8 * 1.0 + 0.2 * (2 * 1.0 + 3 * 0.01) / 5  # the squared error begins at step 12
    assert len(notes) == 1
    assert notes[0].startswith(
        f"loss 20.01 at step 20, running mean {mean:.4g}: resuming from the checkpoint of step 10"
    )


@pytest.mark.parametrize("disturbance", ["", "a spike", "killed"])
def test_a_run_with_squared_errors_is_prolonged(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, disturbance: str
) -> None:
    """The loss that ended as a squared error is L1 again, 100 times larger."""
    path = config(workplace, save_every=100)
    path.write_text(path.read_text().replace("log_every = 5", "log_every = 1") + "[loss]\nmse = 0.5\n")
    with monkeypatch.context() as patch:
        known_losses(patch)
        train(path)
    path.write_text(path.read_text().replace("steps = 20", "steps = 100"))
    if disturbance == "killed":
        with monkeypatch.context() as patch:
            patch.setattr(Run, "take_step", raise_interrupt)
            with pytest.raises(KeyboardInterrupt):
                train(path)
    known_losses(monkeypatch, spikes={33} if disturbance == "a spike" else ())
    train(path)
    assert (final(workplace / "run").step, final(workplace / "run").detours) == (100, int(disturbance == "a spike"))


def raise_interrupt(_: Run) -> torch.Tensor:
    """Stop a run as if it were killed: nothing is saved."""
    raise KeyboardInterrupt


def test_weights_that_are_not_finite_are_not_saved(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(config(workplace, steps=10))
    before = final(workplace / "run")
    broken = Muon.step

    def step(self: Muon) -> None:
        broken(self)
        with torch.no_grad():
            self.param_groups[0]["params"][0].fill_(torch.nan)

    monkeypatch.setattr(Muon, "step", step)
    with pytest.raises(MafdnError, match="cannot get past step 11"):
        train(config(workplace, steps=11))
    assert final(workplace / "run").step == before.step


SPIKY = """
import sys
from pathlib import Path
from mafdn.training.loop import train
from mafdn.training.run import Run

gradients, seen = Run.gradients, set()


def spiky(self, *tensors):
    loss = gradients(self, *tensors)
    first = self.state.step in (13, 23, 33, 43, 53) and self.state.step not in seen
    seen.add(self.state.step)
    return loss * float("nan") if first else loss


Run.gradients = spiky
train(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_spikes_far_apart_do_not_stop_two_processes(workplace: Path) -> None:
    script = workplace / "spiky.py"
    script.write_text(SPIKY)
    assert torchrun(script, config(workplace, steps=60)).wait(timeout=120) == 0
    end = final(workplace / "run")
    assert (end.step, end.detours) == (60, 5)


@pytest.mark.parametrize("number", stop_signals())
def test_a_signal_finishes_the_step_and_saves(workplace: Path, number: signal.Signals) -> None:
    path = config(workplace, steps=100_000, save_every=100_000)
    process = subprocess.Popen([sys.executable, "-m", "mafdn", "train", str(path)], stderr=subprocess.PIPE, text=True)
    try:
        log = workplace / "run" / "log.jsonl"
        deadline = time.monotonic() + 200
        while not log.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert log.exists(), "the run did not start"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    step = final(workplace / "run").step
    assert step >= 5
    assert process.returncode == 130
    run = workplace / "run"
    assert err.splitlines()[-1] == f"mafdn: {run}: stopped at {step} of 100000; the same command resumes"


def test_an_interrupted_run_says_where_it_stopped_and_resumes(workplace: Path, cli: Cli) -> None:
    path = config(workplace, steps=20)
    folder = workplace / "run"
    stopped = [f"{folder}: stopped at 6 of 20; the same command resumes", str(folder), "6"]
    assert interrupted(path, at=5) == stopped
    code, out, err = cli("train", path)
    assert (code, err.splitlines()[0], err.splitlines()[-1]) == (0, "resuming from step 6", "finished: 20 of 20")
    assert out == f"{workplace / 'run'}: checkpoints, log.jsonl and TensorBoard files\n"
    code, _, err = cli("train", path)
    assert (code, err.splitlines()) == (0, ["resuming from step 20", "finished: 20 of 20"])
    code, _, err = cli("train", workplace / "run")
    assert (code, err.splitlines()) == (0, ["resuming from step 20", "finished: 20 of 20"])


def test_a_signal_in_the_last_step_does_not_hide_that_the_run_finished(workplace: Path) -> None:
    assert interrupted(config(workplace, steps=10), at=10) == ["finished: 10 of 10"]


@pytest.mark.slow
def test_a_run_killed_five_times_resumes_each_time(workplace: Path) -> None:
    """Killed at random moments, a run ends exactly like an uninterrupted one and leaves no temporary files."""
    whole = final(train(config(workplace, "whole", steps=300, save_every=5)))
    path = config(workplace, "killed", steps=300, save_every=5)
    train_and_kill(path, workplace / "killed", seed=0)
    assert final(workplace / "killed").step < 300, "killed too late to show anything"
    resumed = final(train(path))
    for part in ("network", "ema", "optimizer"):
        assert same(getattr(resumed, part), getattr(whole, part)), part
    steps = [json.loads(line)["step"] for line in (workplace / "killed" / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert not list((workplace / "killed").glob("*.partial"))


def test_running_out_of_memory_names_the_settings_to_lower(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Run, *_: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Run, "gradients", full)
    with pytest.raises(MafdnError, match=r"run\.batch = 4 and data\.patch = 12; lower run\.batch"):
        train(config(workplace))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_names_the_file_and_what_to_do(workplace: Path) -> None:
    def fill(_: TrainingProgress) -> None:
        log = workplace / "run" / "log.jsonl"
        log.unlink()
        log.symlink_to("/dev/full")

    words = r"cannot write .*log\.jsonl: No space left on device; free some space and run the same command to resume"
    with pytest.raises(MafdnError, match=words) as caught:
        train(config(workplace), on_progress=fill)
    assert caught.value.errno == ENOSPC
