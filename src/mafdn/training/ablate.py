"""Several configurations at one budget from the same seeds.

Public names: :class:`Trial`, :class:`Row`, :func:`ablate`.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mafdn._support.atomic import replacing
from mafdn.errors import ConfigError, MafdnError
from mafdn.training.config import read_config, relative
from mafdn.training.journal import read_log
from mafdn.training.run import open_run, prepare
from mafdn.training.run_folder import RunFolder, described
from mafdn.training.workers import open_workers


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One finished run: its validation PSNR in dB at the end, and the hours of training it took."""

    name: str
    seed: int
    steps: int
    hours: float
    psnr: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One configuration over all seeds.

    ``spread`` is the largest minus the smallest PSNR. ``differences`` are per seed against the first
    configuration, whose runs saw the same patches in the same order and, where the networks are alike,
    began with the same weights.
    """

    name: str
    steps: int
    hours: float
    psnr: float
    spread: float
    differences: tuple[float, ...]


def ablate(
    configs: Sequence[Path],
    folder: Path,
    *,
    seeds: Sequence[int],
    jobs: int,
    steps: int | None = None,
    minutes: float | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """Train every configuration with every seed, ``jobs`` single-threaded runs at a time, and compare the ends.

    Every run does ``steps`` steps, or as many as its configuration does in ``minutes``: that is measured once,
    configurations in turns, so that what else the machine does later falls on nobody. A schedule keeps its shape:
    warm-up as it is, decay in proportion. Runs lie in ``folder``, one folder each; what is finished there is not
    done again and what was stopped goes on. Raises :class:`ConfigError` for impossible settings and for another budget
    or other settings than those ``folder`` was begun with, and :class:`MafdnError` with the reason when a run fails.
    """
    configs = list({config.resolve(): config for config in configs}.values())  # each once, in the order given
    names = [config.stem for config in configs]
    if len(set(names)) < len(names):
        raise ConfigError("two configurations have one file name, which is what they are called in the table")
    for config in configs:
        prepare(read_config(config), config.resolve().parent)  # once, before several runs would at a time
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make {folder}: {error.strerror}; name another folder") from None
    budget = dict.fromkeys(names, steps) if steps else _budget(configs, folder, minutes or 1.0)
    derived = {
        (config.stem, seed): _derive(config, folder, seed=seed, steps=budget[config.stem] or 1)
        for seed in seeds
        for config in configs
    }
    trials: list[Trial] = []
    processes: list[subprocess.Popen[str]] = []
    with ThreadPoolExecutor(jobs) as pool:  # a thread only waits for its process
        running = [pool.submit(_train, path, processes) for path in derived.values()]
        try:
            for number, (future, ((name, seed), path)) in enumerate(zip(running, derived.items(), strict=True), 1):
                future.result()
                trials.append(_trial(path, name, seed))
                if on_progress:
                    on_progress(number, len(running))
        except BaseException:
            for future in running:
                future.cancel()
            for process in processes:
                process.terminate()  # it finishes its step and saves
            raise
    return _rows(names, seeds, trials)


def _budget(configs: Sequence[Path], folder: Path, minutes: float, *, rounds: int = 30) -> dict[str, int]:
    """How many steps each configuration does in ``minutes``: measured once and kept in ``folder``."""
    path = folder / "budget.json"
    names = [config.stem for config in configs]
    if path.exists():
        kept = json.loads(path.read_text("utf-8"))
        if kept["minutes"] != minutes or sorted(kept["steps"]) != sorted(names):
            raise ConfigError(f"{folder} was begun with another budget or other configurations; name another folder")
        return kept["steps"]
    with open_workers() as workers:
        runs = {config.stem: open_run(config, workers, resume=False) for config in configs}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for number in range(rounds + 1):
            for name, run in runs.items():
                before = run.state.seconds
                run.take_step()
                if number:  # the first step makes state and caches
                    seconds[name].append(run.state.seconds - before)
    steps = {name: max(1, round(60 * minutes / statistics.median(times))) for name, times in seconds.items()}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"minutes": minutes, "steps": steps}), "utf-8")
    return steps


def _derive(config: Path, folder: Path, *, seed: int, steps: int) -> Path:
    """The configuration of one run, in the folder of its own."""
    schedule = read_config(config).schedule
    run = folder.resolve() / f"{config.stem}-seed{seed}"
    run.mkdir(exist_ok=True)
    warmup = min(schedule.warmup, steps // 4)
    decay = min(steps - warmup, round(schedule.decay / schedule.steps * steps))
    path = run / "config.toml"
    text = (
        f'extends = "{relative(config.resolve(), run)}"\n\n'
        f"[schedule]\nsteps = {steps}\nwarmup = {warmup}\ndecay = {decay}\n\n"
        f'[run]\nfolder = "."\nseed = {seed}\n'
    )
    if path.exists() and path.read_text("utf-8") != text:
        raise ConfigError(f"{run} holds a run of another budget; name another folder or delete it")
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")
    begun = RunFolder(run)
    if begun.newest() and described(begun.saved().settings) != described(read_config(path)):
        raise ConfigError(f"{run} was begun with other settings than {config} now gives; name another folder")
    return path


def _train(config: Path, processes: list[subprocess.Popen[str]]) -> None:
    command = [sys.executable, "-m", "mafdn", "train", str(config)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        processes.append(process)
        _, errors = process.communicate()
    if process.returncode:
        reason = (errors.strip().splitlines() or ["no message"])[-1]
        raise MafdnError(f"{config.parent.name} failed: {reason}")


def _trial(config: Path, name: str, seed: int) -> Trial:
    log = read_log(config.parent)
    steps = read_config(config).schedule.steps
    if log[-1]["step"] < steps:
        raise MafdnError(
            f"{config.parent.name} was stopped at step {log[-1]['step']} of {steps}; the same again goes on"
        )
    measured = [entry for entry in log if "psnr" in entry]
    if not measured:
        raise ConfigError(f"{name} measures nothing: data.held_out names no picture of its bank")
    last = measured[-1]
    return Trial(name=name, seed=seed, steps=last["step"], hours=last["seconds"] / 3600, psnr=last["psnr"])


def _rows(names: Sequence[str], seeds: Sequence[int], trials: Sequence[Trial]) -> list[Row]:
    found = {(trial.name, trial.seed): trial for trial in trials}
    rows: list[Row] = []
    for name in names:
        mine = [found[name, seed] for seed in seeds]
        marks = [trial.psnr for trial in mine]
        rows.append(
            Row(
                name=name,
                steps=mine[0].steps,
                hours=statistics.mean(trial.hours for trial in mine),
                psnr=statistics.mean(marks),
                spread=max(marks) - min(marks),
                differences=tuple(found[name, seed].psnr - found[names[0], seed].psnr for seed in seeds),
            )
        )
    return rows
