"""Two-phase runs: a stable phase that can be extended, and forks of it whose learning rate decays.

mafdn train CONFIG --for 150m   extend the stable phase, then fork it so that the decay ends in time
mafdn train fork RUN            fork the newest checkpoint at any time
"""

import copy
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mafdn.errors import ConfigError
from mafdn.training.config import OPEN_END, Overrides, ScheduleSettings
from mafdn.training.loop import finish, fit, stopped
from mafdn.training.record.progress import TrainingProgress
from mafdn.training.record.run_folder import RunFolder, load_config
from mafdn.training.run import Run, open_run
from mafdn.training.step_mode import training_memory
from mafdn.training.workers import Workers, open_workers

TRIAL = 10
"""Steps over which the speed is measured at least, such as those that are tried before a run with a time budget."""
MARGIN = 1.08
"""Factor by which the decay may be slower than measured."""
RESERVE = 10.0
"""Seconds reserved for the last validation and for saving."""
RECENT = 200
"""Number of recent steps over which the speed is measured at most."""


def fork_run(run: Path, target: Path | None = None, *, decay: int | None = None) -> Path:
    """Create a run that starts from the newest checkpoint of another, and whose learning rate decays to 0.

    The loss schedules (`loss.teacher`, `loss.mse`) run over the decay. `run` itself does not change.

    Args:
        run: The folder of a run in its stable phase.
        target: The folder of the fork; by default `fork-STEP` in that of the run.
        decay: Steps of the decay; by default the run's `schedule.decay`.

    Returns:
        The folder of the fork, for `mafdn.training.loop.train`; if the same fork exists, it is left unchanged.

    Raises:
        ConfigError: The run has no checkpoint, no stable phase, is before or past it, or `target` contains something
            else.
    """
    source = RunFolder(run.resolve())
    saved, checkpoint = source.saved(), source.newest()
    if checkpoint is None:
        raise ConfigError(f"{run} has no checkpoint; choose the folder of a run")
    schedule = saved.settings.schedule
    if schedule.kind != "wsd":
        raise ConfigError(f'{run} has schedule.kind = "{schedule.kind}"; only "wsd" has a stable phase to fork')
    if _decays(schedule, checkpoint.step):
        raise ConfigError(
            f"the decay of the run in {run} has already begun; fork the stable run that it came from, as its learning "
            "rate would rise again"
        )
    if checkpoint.step < schedule.warmup:
        raise ConfigError(
            f"the run in {run} is still in its warmup (step {checkpoint.step} of {schedule.warmup}); train it further "
            "before you fork it"
        )
    length = schedule.decay if decay is None else decay
    if length < 1:
        raise ConfigError(
            f"a fork must decay over at least 1 step, not {length}; set this length or schedule.decay", setting="decay"
        )
    fork = RunFolder(target.resolve()) if target else source.fork(checkpoint.step)
    end = checkpoint.step + length
    settings = replace(
        saved.settings,
        schedule=replace(schedule, steps=end, decay=length, begin=checkpoint.step),
        run=replace(saved.settings.run, folder=str(fork.path)),
    )
    if fork.path.exists() and not fork.is_begun():
        if fork.newest() is None or fork.saved().settings.schedule != settings.schedule:
            raise ConfigError(f"{fork.path} already exists and is not this fork; choose another folder")
        return fork.path
    fork.path.mkdir(parents=True, exist_ok=True)
    source.copy_log(fork)
    fork.save_settings(settings, saved.base, saved.overrides, banks=saved.banks, starts=saved.starts)
    if source.parent is not None:
        fork.save_parent(source.parent)
    fork.save(replace(checkpoint, usual_loss=0.0))  # the loss may be another one at the new progress
    return fork.path


def train_fork(
    run: Path,
    target: Path | None = None,
    *,
    decay: int | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Path:
    """Fork a run as `fork_run` does, and train the fork to its end, resuming it if it was stopped.

    Args:
        run: The folder of a run in its stable phase.
        target: The folder of the fork; by default `fork-STEP` in that of the run.
        decay: Steps of the decay; by default the run's `schedule.decay`.
        on_progress: Called with every report.
        on_note: Called with messages to the user.

    Returns:
        The folder of the fork.

    Raises:
        ConfigError: As `fork_run`.
        MafdnError: As `mafdn.training.loop.train`.
        TrainingStopped: A signal stopped the fork.
    """
    with open_workers(RunFolder(run).saved().settings.run.device) as workers:
        folder = _fork_once(workers, run, target, decay=decay)
        finish(open_run(folder, workers, on_note=on_note), on_progress, on_note)
    return folder


def train_for(
    config: Path,
    seconds: float,
    *,
    overrides: Overrides | None = None,
    init: Path | None = None,
    on_prepare: Callable[[int, int], None] | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> tuple[Path, Path]:
    """Train within a time budget: extend the stable phase of a run, save it, and train a fork through its decay.

    The speed is measured along the way; the decay of `schedule.decay` steps begins when it needs the remaining time.

    Args:
        config: A TOML file or the folder of a run.
        seconds: The time budget, decay included.
        overrides: Settings that replace those of `config`.
        init: Pretrained weights for a new run; by default those that the settings name.
        on_prepare: Called as `on_prepare(done, total)` while the bank is built, on the first start.
        on_progress: Called with every report.
        on_note: Called with messages to the user.

    Returns:
        The folder of the run, whose stable phase the next call extends, and the folder of the fork.

    Raises:
        ConfigError: The time is too short for the decay (nothing is saved then), or as `mafdn.training.loop.train`.
        PictureError: A training picture cannot be read.
        MafdnError: As `mafdn.training.loop.train`.
        TrainingStopped: A signal stopped the run or the fork.
    """
    deadline = time.monotonic() + seconds
    with open_workers(load_config(config, overrides).settings.run.device) as workers:
        run = open_run(config, workers, overrides=overrides, init=init, on_prepare=on_prepare, on_note=on_note)
        planned = run.settings.schedule
        if planned.kind != "wsd" or planned.decay < 1:
            raise ConfigError(
                f'{config}: training for a given time needs schedule.kind = "wsd" and schedule.decay above 0'
            )
        run.set_schedule(_stable(planned, run))
        deadline_watch = DeadlineWatch(run, deadline, decay=planned.decay)
        if fit(run, on_progress, should_stop=deadline_watch.is_due):
            raise stopped(run)
        folder = _fork_once(workers, run.folder.path, None, decay=planned.decay)
        finish(open_run(folder, workers, batches=run.batches), on_progress, on_note)
    return run.folder.path, folder


def _stable(planned: ScheduleSettings, run: Run) -> ScheduleSettings:
    """Return `planned` without an end.

    Raises:
        ConfigError: The newest checkpoint of the run is not from a stable phase.
    """
    last = run.folder.saved().settings.schedule if run.state.step else planned
    if planned.begin or _decays(last, run.state.step):
        raise ConfigError(
            f"the decay of the run in {run.folder.path} has already begun; training for a given time needs "
            "a stable run or a new run.folder"
        )
    return replace(planned, steps=OPEN_END)


def _decays(schedule: ScheduleSettings, step: int) -> bool:
    """Whether a run at `step` is past its stable phase."""
    return schedule.begin > 0 or step > max(schedule.warmup, schedule.steps - schedule.decay)


def _fork_once(workers: Workers, run: Path, target: Path | None, *, decay: int | None) -> Path:
    """Create the fork in the first process; returns its folder in all of them."""
    newest = RunFolder(run.resolve()).newest()
    if workers.leads:
        fork_run(run, target, decay=decay)
    workers.wait()
    return target or RunFolder(run.resolve()).fork(newest.step if newest else 0).path


class DeadlineWatch:
    """Measures the speed of a run to determine when its decay has to begin.

    A few steps are taken at the start and undone.

    Raises:
        ConfigError: The decay would have to begin immediately: the time budget is too short.
    """

    def __init__(self, run: Run, deadline: float, *, decay: int) -> None:
        self._run, self._deadline, self._decay = run, deadline, decay
        self._marks: deque[tuple[int, float]] = deque(maxlen=RECENT)
        self._pace = _measured_pace(run)
        """Seconds per step."""
        left, needed, warmup = deadline - time.monotonic(), self._needed, self._warmup
        if run.workers.any(needed > left):
            phases = f"{warmup:,} steps of warmup and " if warmup else ""
            raise ConfigError(
                f"the time budget is too short: {phases}{decay:,} steps of decay take about {needed:.0f} s on this "
                f"machine, and {max(0.0, left):.0f} s are left; allow more time or lower schedule.decay"
            )

    def is_due(self) -> bool:
        """Whether the decay has to begin now, which it can only after the warmup."""
        step, now = self._run.state.step, time.monotonic()
        if self._marks and step <= self._marks[-1][0]:  # the run went back to a checkpoint
            self._marks.clear()
        self._marks.append((step, now))
        first, then = self._marks[0]
        if step >= first + TRIAL:
            self._pace = (now - then) / (step - first)
        return self._run.workers.any(not self._warmup and now + self._needed > self._deadline)

    @property
    def _warmup(self) -> int:
        """Steps of the warmup that are left."""
        return max(0, self._run.settings.schedule.warmup - self._run.state.step)

    @property
    def _needed(self) -> float:
        """Seconds from now until the end of the decay."""
        return (self._warmup + self._decay) * self._pace * MARGIN + RESERVE


def _measured_pace(run: Run) -> float:
    """Measure the seconds per step by steps that are undone."""
    before = copy.deepcopy(run.state.checkpoint())
    with training_memory(run.settings, run.workers.device):
        float(run.take_step())  # allocates memory and chooses kernels
        start = time.monotonic()
        for _ in range(TRIAL):
            float(run.take_step())  # waits for the device
        pace = (time.monotonic() - start) / TRIAL
    run.state.restore(before)
    return pace
