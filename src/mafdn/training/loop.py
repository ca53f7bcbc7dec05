"""The training loop: one process per core or GPU, stopped and resumed at any step.

    mafdn train CONFIG.toml                                             one process
    torchrun --nproc-per-node 2 -m mafdn train CONFIG.toml              two, gradients averaged

On CPUs each process uses one thread: several threads inside a process wait for each other at every
operation, several processes meet once per step. What a step sees depends on the seed and the step
alone, so the number of processes changes results only in the order of summation, and a resumed run
goes on bit for bit where it was.

Public names: :func:`train`, :func:`fit`.
"""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from mafdn.errors import MafdnError
from mafdn.training.config import OPEN_END
from mafdn.training.journal import Journal, Progress
from mafdn.training.run import Run, open_run
from mafdn.training.schedule import learning_rate
from mafdn.training.workers import open_workers

MOST_DETOURS = 3
"""A run that does not reach its next checkpoint after this many attempts from the last one stops."""
PAST = 0.8
"""Weight of the past in the running mean of the loss."""
GPU_CHECK = 20
"""Steps between looks at a request to stop where several GPUs would have to wait for each other to agree."""


def train(
    config: Path,
    *,
    init: Path | None = None,
    on_prepare: Callable[[int, int], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Train as ``config`` says, resuming from the newest checkpoint of its run; returns the run's folder.

    ``config`` is a TOML file or the folder of a run. The first time, pictures are prepared into a bank
    (``on_prepare(done, total)``), and a new run starts from the weights ``init`` if given. SIGINT and SIGTERM finish
    the step and save. A loss that is not finite or far above the usual one sends the run back to its last checkpoint,
    and on with other patches. Raises :class:`ConfigError` for impossible settings, :class:`PictureError` for an
    unreadable picture, and :class:`MafdnError` when going back does not help; the last checkpoint is then untouched.
    """
    with open_workers() as workers:
        run = open_run(config, workers, init=init, on_prepare=on_prepare)
        fit(run, on_progress)
    return run.folder.path


def fit(
    run: Run,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    enough: Callable[[], bool] = lambda: False,
) -> bool:
    """Take steps until the schedule ends, a signal asks to stop, or ``enough()`` is true after a step; then save.

    ``enough`` is asked in every process after every step. Returns whether the run was interrupted by a signal.
    """
    settings, state, workers = run.settings.run, run.state, run.workers
    steps = run.settings.schedule.steps
    journal = Journal(run.folder, step=state.step, on_progress=on_progress) if workers.leads else None
    if journal:
        run.folder.save_settings(run.settings, run.base)
        if run.parent is not None:
            run.folder.save_parent(run.parent)
        if state.step == 0:
            run.folder.save(state.checkpoint())  # what a first spike goes back to
    losses: list[Tensor] = []
    stopping = interrupted = False
    try:
        with _stop_requests() as stop:
            while state.step < steps and not stopping:
                losses.append(_step(run))
                done = state.step == steps
                if workers.device.type == "cpu" or workers.world == 1 or state.step % GPU_CHECK == 0:
                    stopping = workers.any(stop.is_set() or enough())
                saving = state.step % settings.save_every == 0 or done or stopping
                if saving or state.step % settings.log_every == 0:
                    loss = _mean(run, losses)
                    if not _healthy(run, loss, saving=saving):
                        note = _go_back(run, loss)
                        stopping = False
                        if journal:
                            journal.rewind(state.step)
                            _report(run, journal, note=note)
                        continue
                    if journal:
                        _report(run, journal, loss=loss)
                if state.step % settings.validate_every == 0 or done:
                    psnr = run.validate()
                    if journal and psnr is not None:
                        _report(run, journal, psnr=psnr)
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
    try:
        return run.take_step()
    except torch.OutOfMemoryError:
        device, batch, patch = run.workers.device, run.settings.run.batch, run.settings.data.patch
        raise MafdnError(
            f"out of memory on {device} at run.batch = {batch} and data.patch = {patch}; lower run.batch first, or set "
            'run.resident = "off"'
        ) from None


def _mean(run: Run, losses: list[Tensor]) -> float:
    """The mean of the losses since the last call, over all processes."""
    mean = torch.stack(losses).mean()
    losses.clear()
    run.workers.average([mean])
    return float(mean)


def _healthy(run: Run, loss: float, *, saving: bool) -> bool:
    """Whether the loss is finite and not far above the usual one, and the weights to save are finite."""
    spike, state = run.settings.run.spike, run.state
    if not loss < float("inf") or (spike and state.usual_loss and loss > spike * state.usual_loss):
        return False
    if saving and not state.finite():
        return False
    state.usual_loss = PAST * state.usual_loss + (1 - PAST) * loss if state.usual_loss else loss
    return True


def _go_back(run: Run, loss: float) -> str:
    """Restore the last checkpoint and choose other patches; returns what to tell."""
    state, failed = run.state, run.state.step
    checkpoint = run.folder.newest()
    state.attempts += 1
    if checkpoint is None or state.attempts > MOST_DETOURS:
        raise MafdnError(
            f"training does not get past step {failed} (mean loss {loss:.4g}); lower optimizer.lr and start again: "
            f"the run resumes from the last checkpoint in {run.folder.path}"
        )
    state.restore(checkpoint)
    state.detours = checkpoint.detours + state.attempts
    what = f"loss {loss:.4g} at step {failed}, usually {state.usual_loss:.4g}"
    return f"{what}: back to the checkpoint of step {state.step}, on with other patches"


def _report(
    run: Run, journal: Journal, *, loss: float | None = None, psnr: float | None = None, note: str = ""
) -> None:
    state, schedule = run.state, run.settings.schedule
    journal.tell(
        Progress(
            step=state.step,
            steps=None if schedule.steps == OPEN_END else schedule.steps,
            seconds=state.seconds,
            samples=state.samples,
            rate=learning_rate(schedule, max(0, state.step - 1)),
            loss=loss,
            psnr=psnr,
            note=note,
        )
    )


@contextmanager
def _stop_requests() -> Generator[threading.Event]:
    """Within, SIGINT and SIGTERM only set the event."""
    stop = threading.Event()

    def request(*_: object) -> None:
        stop.set()

    previous = {s: signal.signal(s, request) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
