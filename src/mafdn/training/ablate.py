"""Compare configurations that are trained on the same budget from the same seeds."""

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
from mafdn.training.config import read_config, relative, toml_value
from mafdn.training.record.log import read_log
from mafdn.training.record.run_folder import RunFolder, load_config, to_json
from mafdn.training.run import open_run, prepare
from mafdn.training.workers import open_workers

Mode = dict[str, str]
"""The settings `precision` and `compile` of a run."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One finished run."""

    name: str
    """Name of the configuration: its file name without the suffix."""
    seed: int
    steps: int
    hours: float
    """Training time in hours."""
    psnr: float
    """Validation PSNR in dB at the end."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One configuration over all seeds."""

    name: str
    steps: int
    """Steps of each run."""
    hours: float
    """Mean training time in hours."""
    psnr: float
    """Mean validation PSNR in dB."""
    spread: float | None
    """The largest minus the smallest PSNR, in dB; `None` with one seed."""
    precision: str
    """`fp32`, or `bf16` for autocast."""
    compile: str
    """`on` or `off`."""
    differences: tuple[float, ...]
    """PSNR per seed minus that of the baseline (the first configuration), in dB. Runs with the same seed see the
    same patches in the same order and, if their networks have the same layers, start from the same weights."""


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
    """Train every configuration with every seed and compare the results.

    When the number of steps changes, a schedule keeps its shape: the warm-up stays the same and the decay is scaled.
    Finished runs in `folder` are reused, interrupted ones resumed. Where configurations leave precision or compilation
    to `auto`, the baseline is timed once, before all runs, and the others take its choice.

    Args:
        configs: TOML files; the first is the baseline.
        folder: The folder for the runs, each in a folder of its own.
        seeds: The random seeds; more than one shows the spread.
        jobs: Number of single-threaded runs in parallel.
        steps: Number of steps of every run.
        minutes: Time budget, instead of `steps`: every run takes as many steps as its configuration manages in this
            time. The speed is measured once, alternating between configurations, so that later load on the machine does
            not change the budget.
        on_progress: Called as `on_progress(done, total)` after each run.

    Returns:
        A row for each configuration.

    Raises:
        ConfigError: The settings are invalid, or `folder` was started with other settings or another budget.
        MafdnError: A run failed; the message has the reason.
    """
    configs = list({config.resolve(): config for config in configs}.values())  # each once
    names = [config.stem for config in configs]
    if len(set(names)) < len(names):
        raise ConfigError("two configurations have the same file name, which identifies them in the table; rename one")
    for config in configs:
        prepare(load_config(config))  # once, before parallel runs would all build the bank
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError.from_os_error(f"cannot create {folder}", error, "choose another folder") from None
    modes = _modes(configs, folder)
    budget = dict.fromkeys(names, steps) if steps else _budget(configs, folder, minutes or 1.0, modes=modes)
    derived = {
        (config.stem, seed): _derive(config, folder, seed=seed, steps=budget[config.stem] or 1, mode=modes[config.stem])
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
                process.terminate()  # it finishes its step, saves and exits
            raise
    return _rows(names, seeds, trials, modes)


def spread_title(seeds: int) -> str:
    """The heading of the column `Row.spread` in tables."""
    return f"range of {seeds} seed" + ("s" if seeds != 1 else "")


def _modes(configs: Sequence[Path], folder: Path) -> dict[str, Mode]:
    """Return the precision and compilation of each configuration by name.

    What `auto` is for all of them is chosen once, for the baseline, and stored in `folder`.
    """
    named = {config.stem: _mode(config) for config in configs}
    if "auto" not in {value for mode in named.values() for value in mode.values()}:
        return named
    path = folder / "mode.json"
    if path.exists():
        chosen: Mode = json.loads(path.read_text("utf-8"))
    else:
        with open_workers(read_config(configs[0]).run.device) as workers:
            mode = open_run(configs[0], workers, resume=False).state.mode
        chosen = {"precision": "bf16" if mode.bf16 else "fp32", "compile": "on" if mode.compiled else "off"}
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(chosen), "utf-8")
    return {
        name: {key: chosen[key] if value == "auto" else value for key, value in mode.items()}
        for name, mode in named.items()
    }


def _mode(config: Path) -> Mode:
    run = read_config(config).run
    return {"precision": run.precision, "compile": run.compile}


def _budget(
    configs: Sequence[Path], folder: Path, minutes: float, *, modes: dict[str, Mode], rounds: int = 30
) -> dict[str, int]:
    """Return the number of steps each configuration takes in `minutes`; measured once and stored in `folder`."""
    path = folder / "budget.json"
    names = [config.stem for config in configs]
    if path.exists():
        stored = json.loads(path.read_text("utf-8"))
        if stored["minutes"] != minutes or sorted(stored["steps"]) != sorted(names):
            raise ConfigError(
                f"{folder} was started with a different budget or different configurations; choose another folder"
            )
        return stored["steps"]
    with open_workers(read_config(configs[0]).run.device) as workers:
        runs = {
            config.stem: open_run(
                config,
                workers,
                overrides={f"run.{key}": value for key, value in modes[config.stem].items()},
                resume=False,
            )
            for config in configs
        }
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for number in range(rounds + 1):
            for name, run in runs.items():
                before = run.state.seconds
                run.take_step()
                if number:  # the first step allocates state and fills caches
                    seconds[name].append(run.state.seconds - before)
    steps = {name: max(1, round(60 * minutes / statistics.median(times))) for name, times in seconds.items()}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"minutes": minutes, "steps": steps}), "utf-8")
    return steps


def _derive(config: Path, folder: Path, *, seed: int, steps: int, mode: Mode) -> Path:
    """Write the configuration of one run to its folder; returns the file."""
    schedule = read_config(config).schedule
    run = folder.resolve() / f"{config.stem}-seed{seed}"
    run.mkdir(exist_ok=True)
    warmup = min(schedule.warmup, steps // 4)
    decay = min(steps - warmup, round(schedule.decay / schedule.steps * steps))
    path = run / "config.toml"
    text = (
        f"extends = {toml_value(relative(config.resolve(), run))}\n\n"
        f"[schedule]\nsteps = {steps}\nwarmup = {warmup}\ndecay = {decay}\n\n"
        f'[run]\nfolder = "."\nseed = {seed}\n'
    ) + "".join(f"{key} = {toml_value(value)}\n" for key, value in mode.items())
    if path.exists() and path.read_text("utf-8") != text:
        raise ConfigError(f"the run in {run} has a different budget or precision; choose another folder")
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")
    existing = RunFolder(run)
    if existing.newest() and to_json(existing.saved().settings) != to_json(read_config(path)):
        raise ConfigError(f"the run in {run} was started with different settings than {config}; choose another folder")
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
            f"{config.parent.name} was stopped at step {log[-1]['step']} of {steps}; run the same command to resume"
        )
    measured = [entry for entry in log if "psnr" in entry]
    if not measured:
        raise ConfigError(f"{name} was not validated: data.held_out matches no picture in its bank")
    last = measured[-1]
    return Trial(name=name, seed=seed, steps=last["step"], hours=last["seconds"] / 3600, psnr=last["psnr"])


def _rows(names: Sequence[str], seeds: Sequence[int], trials: Sequence[Trial], modes: dict[str, Mode]) -> list[Row]:
    found = {(trial.name, trial.seed): trial for trial in trials}
    rows: list[Row] = []
    for name in names:
        own = [found[name, seed] for seed in seeds]
        scores = [trial.psnr for trial in own]
        rows.append(
            Row(
                name=name,
                steps=own[0].steps,
                hours=statistics.mean(trial.hours for trial in own),
                psnr=statistics.mean(scores),
                spread=max(scores) - min(scores) if len(scores) > 1 else None,
                precision=modes[name]["precision"],
                compile=modes[name]["compile"],
                differences=tuple(found[name, seed].psnr - found[names[0], seed].psnr for seed in seeds),
            )
        )
    return rows
