"""Runs of two phases: a stable one that is prolonged as long as there are hours, and forks of it that decay.

    mafdn train CONFIG --for 150m      prolong the stable phase; fork it so that the decay ends in time
    mafdn train fork RUN               fork the newest checkpoint at any time

Public names: :func:`fork_run`, :func:`train_fork`, :func:`train_for`.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mafdn.errors import ConfigError
from mafdn.training.config import OPEN_END, ScheduleSettings
from mafdn.training.journal import Progress
from mafdn.training.loop import fit
from mafdn.training.run import Run, open_run
from mafdn.training.run_folder import RunFolder
from mafdn.training.workers import Workers, open_workers

TRIAL = 10
"""Steps after which the pace is known well enough to refuse a budget."""
MARGIN = 1.08
"""How much slower than measured the decay may turn out."""
RESERVE = 10.0
"""Seconds kept for the last validation and for saving."""
RECENT = 200
"""Steps, or looks at the clock, over which the pace is measured."""


def fork_run(run: Path, target: Path | None = None, *, decay: int | None = None) -> Path:
    """Make a run that starts from the newest checkpoint of ``run`` and lets the rate fall to 0 over ``decay`` steps.

    ``target`` is ``fork-STEP`` below the run's folder when not given; ``decay`` is the run's ``schedule.decay``. The
    loss schedules (``loss.teacher``, ``loss.mse``) pass over the decay. Returns the new folder, which
    :func:`mafdn.training.loop.train` continues; one that is there already is returned as it is. ``run`` does not
    change. Raises :class:`ConfigError` when there is nothing to fork or the target holds something else.
    """
    source = RunFolder(run.resolve())
    saved, checkpoint = source.saved(), source.newest()
    if checkpoint is None:
        raise ConfigError(f"{run} holds no checkpoint; give the folder of a run")
    schedule = saved.settings.schedule
    if schedule.kind != "wsd":
        raise ConfigError(f'{run} has schedule.kind = "{schedule.kind}"; a stable phase, and so a fork, needs "wsd"')
    length = schedule.decay if decay is None else decay
    if length < 1:
        raise ConfigError(f"a fork decays over at least 1 step, not {length}; give --decay or set schedule.decay")
    made = RunFolder(target.resolve()) if target else source.fork(checkpoint.step)
    end = checkpoint.step + length
    settings = replace(
        saved.settings,
        schedule=replace(schedule, steps=end, decay=length, begin=checkpoint.step),
        run=replace(saved.settings.run, folder=str(made.path)),
    )
    if made.path.exists() and any(made.path.iterdir()):
        if made.newest() is None or made.saved().settings.schedule != settings.schedule:
            raise ConfigError(f"{made.path} is there already and is not this fork; choose another folder with -o")
        return made.path
    made.path.mkdir(parents=True, exist_ok=True)
    source.copy_log(made)
    made.save_settings(settings, saved.base)
    if source.parent is not None:
        made.save_parent(source.parent)
    made.save(checkpoint)
    return made.path


def train_fork(
    run: Path,
    target: Path | None = None,
    *,
    decay: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path:
    """:func:`fork_run`, then train the fork to its end, resuming it where it was stopped; returns its folder."""
    with open_workers() as workers:
        folder = _fork_once(workers, run, target, decay=decay)
        fit(open_run(folder, workers), on_progress)
    return folder


def train_for(
    config: Path,
    seconds: float,
    *,
    init: Path | None = None,
    on_prepare: Callable[[int, int], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[Path, Path | None]:
    """Train within ``seconds``: prolong the stable phase of ``config``, save it, and let a fork of it decay to 0.

    The pace is measured on the way, and the decay of ``schedule.decay`` steps begins when it takes what is left of the
    time. Returns the run's folder, whose stable checkpoint the next call prolongs, and that of the fork, or ``None``
    when a signal stopped it before. Raises as :func:`mafdn.training.loop.train`, and :class:`ConfigError` before
    anything is saved when the time is too short for the decay.
    """
    deadline = time.monotonic() + seconds
    with open_workers() as workers:
        run = open_run(config, workers, init=init, on_prepare=on_prepare)
        planned = run.settings.schedule
        if planned.kind != "wsd" or planned.decay < 1:
            raise ConfigError(f'{config}: training for a time needs schedule.kind = "wsd" and a schedule.decay')
        run.rescheduled(_stable(planned, run))
        watch = _Watch(run, deadline, decay=planned.decay)
        if fit(run, on_progress, enough=watch.enough):
            return run.folder.path, None
        folder = _fork_once(workers, run.folder.path, None, decay=planned.decay)
        fit(open_run(folder, workers, batches=run.batches), on_progress)
    return run.folder.path, folder


def _stable(planned: ScheduleSettings, run: Run) -> ScheduleSettings:
    """``planned`` without an end; refused when the run's newest checkpoint is not from a stable phase."""
    last = run.folder.saved().settings.schedule if run.state.step else planned
    if planned.begin or last.begin or run.state.step > max(last.warmup, last.steps - last.decay):
        raise ConfigError(
            f"{run.folder.path} has begun its decay; train for a time from a stable checkpoint, or a new run.folder"
        )
    return replace(planned, steps=OPEN_END)


def _fork_once(workers: Workers, run: Path, target: Path | None, *, decay: int | None) -> Path:
    """The fork's folder, made by the first process."""
    newest = RunFolder(run.resolve()).newest()
    if workers.leads:
        fork_run(run, target, decay=decay)
    workers.wait()
    return target or RunFolder(run.resolve()).fork(newest.step if newest else 0).path


class _Watch:
    """Measures the pace of a run and tells when its decay has to begin."""

    def __init__(self, run: Run, deadline: float, *, decay: int) -> None:
        self._run, self._deadline, self._decay = run, deadline, decay
        self._first = run.state.step + 1  # the step before prepares memory and kernels
        self._marks: deque[tuple[int, float]] = deque(maxlen=RECENT)
        self._judged = False

    def enough(self) -> bool:
        """Whether the decay has to begin now; refuses the budget when that is so from the beginning."""
        step, now = self._run.state.step, time.monotonic()
        if step >= self._first:
            self._marks.append((step, now))
        if step < self._first + TRIAL:
            return False
        begun, then = self._marks[0]
        needed = self._decay * (now - then) / (step - begun) * MARGIN + RESERVE
        short = self._run.workers.any(now + needed > self._deadline)
        tried, self._judged = self._judged, True
        if short and not tried:
            raise ConfigError(
                f"the time is too short: the decay of {self._decay:,} steps takes about {needed:.0f} s on this machine "
                f"and {max(0.0, self._deadline - now):.0f} s are left; give more time or lower schedule.decay"
            )
        return short
