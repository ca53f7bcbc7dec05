"""The training loop: one process per core or GPU, which can be stopped and resumed at any step.

    mafdn train CONFIG.toml                                  one process
    torchrun --nproc-per-node 2 -m mafdn train CONFIG.toml   two, gradients averaged

On CPUs each process uses one thread: threads synchronize at every operation, processes only once per step. The patches
of a step depend on the seed and the step alone, so the number of processes affects results only through the order
of summation, and a resumed run equals an uninterrupted one bit for bit. Networks from outside may depend on the number
of processes: what they draw in a step, such as dropout, depends on the process too, and their batch norms see only its
part of the batch. Statistics of batch norms are averaged before they are validated or saved.
"""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from mafdn._support.interrupts import stop_signals
from mafdn._support.memory import explain_memory
from mafdn.errors import MafdnError
from mafdn.training.config import OPEN_END, Overrides
from mafdn.training.record.journal import Journal
from mafdn.training.record.pace import Pace
from mafdn.training.record.progress import TrainingProgress, TrainingStopped
from mafdn.training.record.run_folder import load_config
from mafdn.training.run import Run, open_run
from mafdn.training.schedule import learning_rate
from mafdn.training.step_mode import training_memory
from mafdn.training.workers import open_workers

MOST_DETOURS = 3
"""Attempts to get from one checkpoint to the next before a run stops with an error."""
LOSS_MEMORY = 0.8
"""Weight of earlier values in the running mean of the loss."""
GPU_CHECK = 20
"""Steps between checks for a request to stop on several GPUs, where every check synchronizes them."""


def describe_step(run: Run) -> str:
    """Describe the progress of a run, such as "34 of 100"."""
    steps = run.settings.schedule.steps
    return f"step {run.state.step}" if steps == OPEN_END else f"{run.state.step} of {steps}"


def stopped(run: Run) -> TrainingStopped:
    """The exception for a run that a signal stopped."""
    return TrainingStopped(run.folder.path, run.state.step, of=describe_step(run))


def train(
    config: Path,
    *,
    overrides: Overrides | None = None,
    init: Path | None = None,
    on_prepare: Callable[[int, int], None] | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Path:
    """Train a network, resuming from the newest checkpoint of its run.

    On SIGINT, SIGTERM or SIGHUP the run finishes its step, saves and stops. If the loss is not finite or far above its
    running mean, the run goes back to its last checkpoint and continues with different patches.

    Args:
        config: A TOML file or the folder of a run.
        overrides: Settings that replace those of `config`, such as `{"run.batch": 4}`; paths are relative to the
            current folder.
        init: Pretrained weights for a new run; by default those that the settings name.
        on_prepare: Called as `on_prepare(done, total)` while the bank is built, on the first start.
        on_progress: Called with every report.
        on_note: Called with messages, such as the step that the run resumes from and, at the end, the last step.

    Returns:
        The folder of the run.

    Raises:
        ConfigError: The settings are invalid, or do not match the run in its folder.
        PictureError: A training picture cannot be read.
        MafdnError: Going back to the last checkpoint did not help; the checkpoint is kept.
        TrainingStopped: A signal stopped the run.
    """
    with open_workers(load_config(config, overrides).settings.run.device) as workers:
        run = open_run(config, workers, overrides=overrides, init=init, on_prepare=on_prepare, on_note=on_note)
        finish(run, on_progress, on_note)
    return run.folder.path


def finish(
    run: Run, on_progress: Callable[[TrainingProgress], None] | None, on_note: Callable[[str], None] | None
) -> None:
    """Train a run to the end of its schedule.

    Raises:
        MafdnError: As `fit`.
        TrainingStopped: A signal stopped the run.
    """
    if fit(run, on_progress) and run.state.step < run.settings.schedule.steps:
        raise stopped(run)
    if on_note and run.workers.leads:
        on_note(f"finished: {describe_step(run)}")


def fit(
    run: Run,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Take steps until the schedule ends, a signal is received, or `should_stop` returns true; then save.

    Args:
        run: The run; its state changes.
        on_progress: Called with every report.
        should_stop: Called in every process after every step.

    Returns:
        Whether the run was interrupted by a signal.

    Raises:
        OutOfMemoryError: Memory ran out.
        MafdnError: Going back to the last checkpoint did not help.
    """
    settings, state, workers = run.settings.run, run.state, run.workers
    steps = run.settings.schedule.steps
    journal = Journal(run.folder, step=state.step, on_progress=on_progress) if workers.leads else None
    if journal:
        if state.step and not state.usual_loss:  # going back, or a new start, must not restore that of another loss
            run.folder.save(state.checkpoint())
        run.folder.save_settings(run.settings, run.base, run.overrides, banks=run.banks, starts=run.starts)
        if run.parent is not None:
            run.folder.save_parent(run.parent)
        if state.step == 0:
            run.folder.save(state.checkpoint())  # for a spike before the first regular checkpoint
    losses: list[Tensor] = []
    pace = Pace()
    stopping = interrupted = False
    try:
        with _stop_requests() as stop:
            while state.step < steps and not stopping:
                losses.append(_step(run))
                pace.start(state.samples)
                done = state.step == steps
                if workers.device.type == "cpu" or workers.world == 1 or state.step % GPU_CHECK == 0:
                    due = should_stop()  # in every process, as it may communicate with the others
                    stopping = workers.any(due or stop.is_set())
                saving = state.step % settings.save_every == 0 or done or stopping
                validating = state.step % settings.validate_every == 0 or done
                if saving or validating:
                    run.average_statistics()
                if saving or state.step % settings.log_every == 0:
                    loss = _mean(run, losses)
                    if not _is_healthy(run, loss, saving=saving):
                        note = _go_back(run, loss)
                        stopping = False
                        pace.restart()
                        if journal:
                            journal.rewind(state.step)
                            _report(run, journal, pace, note=note)
                        continue
                    pace.update(state.samples)
                    if journal:
                        _report(run, journal, pace, loss=loss)
                if validating:
                    with explain_memory("validating on whole pictures", "let data.held_out match smaller pictures"):
                        psnr = run.validate()
                    if journal and psnr is not None:
                        _report(run, journal, pace, psnr=psnr)
                if saving:
                    state.attempts = 0
                    if journal:
                        run.folder.save(state.checkpoint())
            interrupted = workers.any(stop.is_set())
    finally:
        if journal:
            journal.close()
    return interrupted


def _step(run: Run) -> Tensor:
    with training_memory(run.settings, run.workers.device):
        return run.take_step()


def _mean(run: Run, losses: list[Tensor]) -> float:
    """Return the mean of `losses` over all processes, and clear them."""
    mean = torch.stack(losses).mean()
    losses.clear()
    run.workers.average([mean])
    return float(mean)


def _is_healthy(run: Run, loss: float, *, saving: bool) -> bool:
    """Whether the loss is finite and not far above its running mean, and weights about to be saved are finite."""
    spike, state = run.settings.run.spike, run.state
    if not loss < float("inf") or (spike and state.usual_loss and loss > spike * state.usual_loss):
        return False
    if saving and not state.is_finite():
        return False
    state.usual_loss = LOSS_MEMORY * state.usual_loss + (1 - LOSS_MEMORY) * loss if state.usual_loss else loss
    return True


def _go_back(run: Run, loss: float) -> str:
    """Restore the last checkpoint and choose different patches; returns a message to the user."""
    state, failed = run.state, run.state.step
    checkpoint = run.folder.newest()
    state.attempts += 1
    if checkpoint is None or state.attempts > MOST_DETOURS:
        raise MafdnError(
            f"training cannot get past step {failed} (mean loss {loss:.4g}); lower optimizer.lr and run the same "
            f"command to resume from the last checkpoint in {run.folder.path}"
        )
    what = f"loss {loss:.4g} at step {failed}, running mean {state.usual_loss:.4g}"
    state.restore(checkpoint)
    state.detours = checkpoint.detours + state.attempts
    return f"{what}: resuming from the checkpoint of step {state.step} with different patches"


def _report(
    run: Run, journal: Journal, pace: Pace, *, loss: float | None = None, psnr: float | None = None, note: str = ""
) -> None:
    state, schedule = run.state, run.settings.schedule
    steps = None if schedule.steps == OPEN_END else schedule.steps
    left = None if steps is None else (steps - state.step) * run.settings.run.batch
    rate = learning_rate(schedule, max(0, state.step - 1))
    journal.report(
        TrainingProgress(
            step=state.step,
            steps=steps,
            seconds=state.seconds,
            samples=state.samples,
            rate=rate,
            lr=tuple(optimizer.defaults["lr"] * rate for optimizer in state.optimizers),
            pace=pace.latest,
            seconds_left=None if left is None or pace.latest is None else left / pace.latest,
            loss=loss,
            psnr=psnr,
            note=note,
        )
    )


@contextmanager
def _stop_requests() -> Generator[threading.Event]:
    """Turn `stop_signals` into an event within the context; only the main thread of a process receives signals."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def request(*_: object) -> None:
        stop.set()

    previous = {s: signal.signal(s, request) for s in stop_signals()}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
