"""Plots of training curves."""

import json
import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from mafdn._support.figures import PRINT_STYLE
from mafdn.errors import UsageError
from mafdn.training.record import plot
from mafdn.training.record.plot import SMOOTHED, loss_curve, plot_runs, smooth, time_unit
from tests.conftest import Run
from tests.support import failed

IMPORTED = """
import sys
from mafdn.training.record.plot import plot_runs
print(*sorted(name for name in ("torch", "matplotlib.pyplot", "tensorboard") if name in sys.modules))
"""


def log_of(folder: Path, *, steps: int = 1500, seconds: float = 2.0) -> Path:
    """Write a log with a report every 50 steps and two validations."""
    folder.mkdir(exist_ok=True)
    entries = [
        {"step": step, "seconds": seconds * step, "loss": 0.1 / math.sqrt(step)} for step in range(50, steps + 1, 50)
    ]
    entries += [{"step": step, "seconds": seconds * step, "psnr": 30 + step / 1000} for step in (500, 1000)]
    (folder / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return folder


def test_the_smoothed_curve_has_no_lag() -> None:
    falling = [0.1 * 0.97**number for number in range(100)]
    assert smooth(falling) == pytest.approx(falling)
    step = smooth([1.0] * 50 + [0.5] * 50)
    assert step[49] * step[50] == pytest.approx(0.5), "the fall is centered on the step"
    noise = np.random.default_rng(0).normal(0, 0.1, 100)
    noisy = (np.array(falling) * np.exp(noise)).tolist()
    errors = np.abs(np.log(np.array(smooth(noisy)) / falling))
    assert errors.mean() < 0.05


@pytest.mark.parametrize("count", [2, 20, 500])
def test_the_smoothed_curve_is_a_local_linear_fit(count: int) -> None:
    values = np.random.default_rng(1).lognormal(-3, 0.1, count)
    deviation = max(3.0, 0.02 * count)
    distances = np.arange(count) - np.arange(count)[:, None]
    weights = np.where(abs(distances) <= math.ceil(4 * deviation), np.exp(-0.5 * (distances / deviation) ** 2), 0)
    fits = [np.polyfit(d, np.log(values), 1, w=w**0.5)[-1] for d, w in zip(distances, weights, strict=True)]
    assert smooth(values.tolist()) == pytest.approx(np.exp(fits).tolist())


def test_reports_around_an_interruption_are_averaged_by_steps() -> None:
    log = [
        {"step": 50, "seconds": 5.0, "loss": 0.4},
        {"step": 84, "seconds": 8.4, "loss": 0.2},  # interrupted
        {"step": 100, "seconds": 10.0, "loss": 0.7},
        {"step": 100, "seconds": 10.0, "psnr": 30.0},
        {"step": 150, "seconds": 15.0, "loss": 0.3},
        {"step": 153, "seconds": 15.3, "loss": 0.9},
    ]
    curve = loss_curve(log)
    assert curve.steps == [50, 100, 153]
    assert curve.seconds == [5.0, 10.0, 15.3]
    assert curve.values == pytest.approx([0.4, (34 * 0.2 + 16 * 0.7) / 50, (50 * 0.3 + 3 * 0.9) / 53])
    late = [*log[:-1], {"step": 180, "seconds": 18.0, "loss": 0.25}]
    assert loss_curve(late).values[-2:] == pytest.approx([0.3, 0.25])
    assert loss_curve(log[1:2]).values == [0.2]
    assert loss_curve([]).values == []


def test_times_have_atime_unit_that_fits() -> None:
    assert time_unit(1.8)[0] == "seconds"
    assert time_unit(100)[0] == "seconds"
    assert time_unit(121) == ("minutes", 60.0)
    assert time_unit(7300) == ("hours", 3600.0)


def test_pdf_and_svg_are_vector_graphics(tmp_path: Path, cli: Run) -> None:
    run = log_of(tmp_path / "run")
    for name in ("curves.pdf", "curves.svg", "curves.PNG"):
        code, out, _ = cli("train", "plot", run, "-o", tmp_path / name)
        assert (code, out) == (0, f"{tmp_path / name}\n")
    failed(cli("train", "plot", run, "-o", tmp_path / "curves.pdf"), 1, "curves.pdf exists", "--overwrite")
    assert cli("train", "plot", run, "-o", tmp_path / "curves.pdf", "--overwrite")[0] == 0
    assert (tmp_path / "curves.PNG").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    pdf = (tmp_path / "curves.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert b"/Subtype /Image" not in pdf
    assert b"/Type3" not in pdf.replace(b" ", b"")
    tags = [element.tag.rpartition("}")[2] for element in ET.parse(tmp_path / "curves.svg").iter()]
    assert "image" not in tags
    assert tags.count("path") > 20
    before = (tmp_path / "curves.svg").read_bytes()
    plot_runs([run], tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").read_bytes() == before, "the same log gives the same file"


def test_the_legend_explains_thin_and_thick_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRINT_STYLE, "svg.fonttype", "none")  # so that the file contains text
    for name, steps, smoothed in (("long", 50 * SMOOTHED, True), ("short", 50 * SMOOTHED - 50, False)):
        plot_runs([log_of(tmp_path / name, steps=steps)], tmp_path / "c.svg")
        text = (tmp_path / "c.svg").read_text("utf-8")
        assert ("as logged" in text) is smoothed
        assert ("smoothed: centered" in text) is smoothed
        assert f">{name}<" in text
        assert "minutes of training" in text
    run = log_of(tmp_path / "short")
    (run / "log.jsonl").write_text('{"step": 5, "seconds": 1.8, "loss": 0.1}\n')
    plot_runs([run], tmp_path / "c.svg")
    text = (tmp_path / "c.svg").read_text("utf-8")
    assert "no validation scores" in text
    assert "seconds of training" in text


def test_a_single_report_is_drawn_as_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, str]] = []

    def keep(figure: Figure, _output: Path) -> None:
        drawn.extend((np.size(line.get_xdata()), str(line.get_marker())) for line in figure.axes[0].get_lines())

    monkeypatch.setattr(plot, "save_figure", keep)
    for steps in (50, 100):
        plot_runs([log_of(tmp_path / "run", steps=steps)], tmp_path / "c.svg")
    assert [(count, marker == ".") for count, marker in drawn] == [(1, True), (2, False)]


def test_other_names_of_a_plot_are_refused(tmp_path: Path, cli: Run) -> None:
    run = log_of(tmp_path / "run")
    failed(cli("train", "plot", run, "-o", tmp_path / "c.jpg"), 2, "c.jpg", ".png, .pdf, .svg")
    failed(cli("train", "plot", run, "-o", tmp_path / "none" / "c.png"), 2, "there is no folder")
    (tmp_path / "c.png").mkdir()
    with pytest.raises(UsageError, match="it is a folder"):
        plot_runs([run], tmp_path / "c.png")
    assert cli("train", "plot", run, "-o", tmp_path / "c.png")[1] == f"{tmp_path / 'c.png' / 'curves.png'}\n"


def test_plotting_loads_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
