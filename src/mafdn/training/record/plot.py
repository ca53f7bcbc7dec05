"""Plots of the training curves of runs."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from mafdn._support.figures import check_figure_name, save_figure
from mafdn.training.record.log import read_log
from mafdn.weights.run_files import LOG

SMOOTHING = 0.02
"""Standard deviation of the smoothing window as a share of the reports of a curve."""
LEAST_SMOOTHING = 3.0
"""Least standard deviation of the smoothing window, in reports."""
REACH = 4.0
"""Half the width of the smoothing window in standard deviations."""
SMOOTHED = 20
"""Least number of reports for which a curve is smoothed."""
UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
"""Units of time in seconds; the largest of which a plot shows at least `LEAST_UNITS` is used."""
LEAST_UNITS = 2.0
THIN, THICK, SOFT = 0.8, 1.6, "#6e6e73"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One quantity of a run: `values` after `steps` steps and `seconds` of training."""

    steps: list[float]
    seconds: list[float]
    values: list[float]


def plot_runs(runs: Sequence[Path], output: Path) -> None:
    """Plot loss and validation PSNR against steps and against the time of training.

    In curves of at least `SMOOTHED` reports, a thin line is the loss as logged and a thick one is smoothed without lag:
    at each report, a line is fitted to the logarithms of the reports before and after it.

    Args:
        runs: Folders of runs, or log files; each line is labeled with the name of its folder or file.
        output: The PNG, PDF or SVG file to write.

    Raises:
        ConfigError: A run has no log.
        UsageError: `output` has another extension or is in no folder.
        MafdnError: `output` cannot be written.
    """
    check_figure_name(output)
    logs = list(zip(_labels(runs), map(read_log, runs), strict=True))
    losses = {name: loss_curve(log) for name, log in logs}
    marks = {name: _curve([entry for entry in log if "psnr" in entry], "psnr") for name, log in logs}
    unit, length = time_unit(max(entry["seconds"] for _, log in logs for entry in log))
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    panels: list[list[Axes]] = figure.subplots(2, 2, sharex="col", sharey="row").tolist()
    for number, (name, loss) in enumerate(losses.items()):
        color, mark = f"C{number % 10}", marks[name]
        smoothed = smooth(loss.values) if len(loss.values) >= SMOOTHED else None
        for loss_axes, mark_axes, xs, ys in (
            (panels[0][0], panels[1][0], loss.steps, mark.steps),
            (panels[0][1], panels[1][1], [s / length for s in loss.seconds], [s / length for s in mark.seconds]),
        ):
            if smoothed:
                loss_axes.plot(xs, loss.values, color=color, alpha=0.3, linewidth=THIN)
            single = "." if len(loss.values) == 1 else ""  # a line through one point is invisible
            loss_axes.plot(
                xs, smoothed or loss.values, color=color, linewidth=THICK, marker=single, markersize=6, label=name
            )
            mark_axes.plot(ys, mark.values, color=color, linewidth=THICK, marker=".", markersize=4, label=name)
    for row, label in enumerate(("training loss", "validation PSNR, dB")):
        panels[row][0].set_ylabel(label)
        for axes, title in zip(panels[row], ("steps", f"{unit} of training"), strict=True):
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
            if row == 1:
                axes.set_xlabel(title)
    _scale_losses(panels[0], [value for curve in losses.values() for value in curve.values])
    _scale_marks(panels[1], [value for curve in marks.values() for value in curve.values])
    panels[0][1].legend(frameon=False)
    styles = [
        Line2D([], [], color=SOFT, alpha=0.5, linewidth=THIN, label="as logged: mean since the last report"),
        Line2D([], [], color=SOFT, linewidth=THICK, label="smoothed: centered local fit"),
    ]
    if any(len(curve.values) >= SMOOTHED for curve in losses.values()):
        panels[0][0].legend(handles=styles, frameon=False)
    save_figure(figure, output)


def loss_curve(log: Sequence[dict[str, Any]]) -> Curve:
    """The losses of a log, each over as many steps as most of them.

    A run that is interrupted reports the few steps since its last report, and the few to the next one after it is
    resumed. Their means vary more than those of full intervals, so such reports are averaged, weighted by steps; the
    last one, if it covers less than half an interval, with the one before.

    Args:
        log: The entries of a run's log.
    """
    entries = [entry for entry in log if "loss" in entry]
    intervals = np.diff([0, *(entry["step"] for entry in entries)]).tolist()
    counts = Counter(intervals)
    usual = max(counts, key=lambda interval: (counts[interval], interval), default=1)
    merged: list[dict[str, Any]] = []
    covered: list[float] = []
    total = steps = 0.0
    for number, (entry, interval) in enumerate(zip(entries, intervals, strict=True)):
        total, steps = total + interval * entry["loss"], steps + interval
        last = number == len(entries) - 1
        if last and merged and steps < usual / 2:
            steps += covered[-1]
            merged[-1] = {**entry, "loss": (total + covered[-1] * merged[-1]["loss"]) / steps}
        elif last or steps >= usual:
            merged.append({**entry, "loss": total / steps})
            covered.append(steps)
            total = steps = 0.0
    return _curve(merged, "loss")


def smooth(values: Sequence[float]) -> list[float]:
    """Smooth positive values by a local linear fit of their logarithms in a Gaussian window, which has no lag."""
    count = len(values)
    logs = np.log(np.maximum(np.asarray(values, float), np.finfo(float).tiny))
    deviation = max(LEAST_SMOOTHING, SMOOTHING * count)
    reach = min(count - 1, math.ceil(REACH * deviation))
    distances = np.arange(-reach, reach + 1, dtype=float)
    weights = np.exp(-0.5 * (distances / deviation) ** 2)

    def total(numbers: NDArray[np.float64], power: int) -> NDArray[np.float64]:
        """At each report, the sum of the numbers around it times weights and powers of their distance."""
        return np.convolve(numbers, (weights * distances**power)[::-1])[reach : reach + count]

    s0, s1, s2 = (total(np.ones(count), power) for power in (0, 1, 2))
    t0, t1 = (total(logs, power) for power in (0, 1))
    return np.exp((s2 * t0 - s1 * t1) / (s0 * s2 - s1**2)).tolist()


def _curve(entries: Sequence[dict[str, Any]], key: str) -> Curve:
    return Curve(
        steps=[entry["step"] for entry in entries],
        seconds=[entry["seconds"] for entry in entries],
        values=[entry[key] for entry in entries],
    )


def time_unit(longest: float) -> tuple[str, float]:
    """Name and length in seconds of the unit for times up to `longest` seconds."""
    return next((unit for unit in UNITS if longest >= LEAST_UNITS * unit[1]), UNITS[-1])


def _scale_losses(row: Sequence[Axes], losses: Sequence[float]) -> None:
    """Make the loss axes logarithmic; much worse values at the start are left out of view."""
    for axes in row:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
    if len(losses) >= 20:
        low, high = 0.95 * min(losses), 1.05 * sorted(losses)[int(0.95 * len(losses))]
        row[0].set_ylim(low, high)
        if high > 10 * low:  # powers of ten are enough
            for axes in row:
                axes.yaxis.set_minor_formatter(NullFormatter())


def _scale_marks(row: Sequence[Axes], marks: Sequence[float]) -> None:
    """Choose the range of the validation axes; much worse values at the start are left out of view."""
    if not marks:
        for axes in row:
            axes.set_yticks([])
            axes.text(0.5, 0.5, "no validation scores", transform=axes.transAxes, ha="center", color=SOFT)
    if len(marks) >= 4:
        low, high = sorted(marks)[len(marks) // 10], max(marks)
        margin = 0.08 * (high - low) or 0.1
        row[0].set_ylim(low - margin, high + margin)


def _labels(runs: Sequence[Path]) -> list[str]:
    """Return the names of folders or files, with the parent folder where two are equal."""
    paths = [run.resolve() for run in runs]
    paths = [path.parent if path.name == LOG else path for path in paths]
    names = [path.name if path.is_dir() else path.stem for path in paths]
    return [f"{p.parent.name}/{n}" if names.count(n) > 1 else n for p, n in zip(paths, names, strict=True)]
