"""Plots of the training curves of runs."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mafdn._support.atomic import replacing
from mafdn.errors import ConfigError
from mafdn.training.record.journal import LOG, read_log

SMOOTHING = 0.8
"""Weight of earlier values in the thick line of a loss, a running geometric mean; the thin line is the log."""


def plot_runs(runs: Sequence[Path], output: Path) -> None:
    """Plot loss and validation PSNR against steps and against hours of training.

    Args:
        runs: Folders of runs, or log files; each line is labeled with the name of its folder or file.
        output: The PNG file to write.

    Raises:
        ConfigError: A run has no log, or `output` cannot be written.
    """
    logs = list(zip(_labels(runs), map(read_log, runs), strict=True))
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    panels: list[list[Axes]] = figure.subplots(2, 2, sharey="row").tolist()
    for number, (name, log) in enumerate(logs):
        color = f"C{number % 10}"
        for row, key in enumerate(("loss", "psnr")):
            entries = [entry for entry in log if key in entry]
            values = [entry[key] for entry in entries]
            for axes, xs in zip(panels[row], _positions(entries), strict=True):
                if key == "loss":
                    axes.plot(xs, values, color=color, alpha=0.25, linewidth=0.8)
                    axes.plot(xs, _smooth(values), color=color, linewidth=1.6, label=name)
                else:
                    axes.plot(xs, values, color=color, linewidth=1.6, marker=".", markersize=4, label=name)
    for row, label in enumerate(("training loss", "validation PSNR, dB")):
        panels[row][0].set_ylabel(label)
        for axes, unit in zip(panels[row], ("steps", "hours of training"), strict=True):
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_xlabel(unit)
    for axes in panels[0]:
        axes.set_yscale("log")
    entries = [entry for _, log in logs for entry in log]
    losses, marks = ([entry[key] for entry in entries if key in entry] for key in ("loss", "psnr"))
    # Much worse values at the start are left out of view.
    if len(losses) >= 20:
        panels[0][0].set_ylim(0.95 * min(losses), 1.05 * sorted(losses)[int(0.95 * len(losses))])
    if len(marks) >= 4:
        low, high = sorted(marks)[len(marks) // 10], max(marks)
        margin = 0.08 * (high - low) or 0.1
        panels[1][0].set_ylim(low - margin, high + margin)
    panels[0][1].legend(frameon=False)
    try:
        with replacing(output) as temporary:
            figure.savefig(temporary, format="png", dpi=110)
    except OSError as error:
        raise ConfigError(f"cannot write {output}: {error.strerror or error}") from None


def _labels(runs: Sequence[Path]) -> list[str]:
    """Return the names of folders or files, with the parent folder where two are equal."""
    paths = [run.resolve() for run in runs]
    paths = [path.parent if path.name == LOG else path for path in paths]
    names = [path.name if path.is_dir() else path.stem for path in paths]
    return [f"{p.parent.name}/{n}" if names.count(n) > 1 else n for p, n in zip(paths, names, strict=True)]


def _positions(entries: Sequence[dict[str, Any]]) -> tuple[list[float], list[float]]:
    return [entry["step"] for entry in entries], [entry["seconds"] / 3600 for entry in entries]


def _smooth(values: Sequence[float]) -> list[float]:
    smoothed: list[float] = []
    total = weight = 0.0
    for value in values:
        total, weight = SMOOTHING * total + math.log(value), SMOOTHING * weight + 1
        smoothed.append(math.exp(total / weight))
    return smoothed
