"""Progress reports: the current pace, the remaining time and the learning rates."""

from dataclasses import replace
from pathlib import Path

import pytest

from mafdn.cli.train_progress import progress_line
from mafdn.training.loop import train
from mafdn.training.record.checkpoint import save_checkpoint
from mafdn.training.record.log import read_log
from mafdn.training.record.pace import WINDOW, Pace
from mafdn.training.record.plot import plot_runs
from mafdn.training.record.progress import TrainingProgress
from tests.runs import config, final


def test_the_pace_is_that_of_the_last_reports() -> None:
    now = 1000.0
    pace = Pace(lambda: now)
    pace.start(8)
    assert pace.update(8) is None, "no time has passed"
    for report in range(1, 4 * WINDOW + 1):
        now += 100.0 if report <= 2 * WINDOW else 10.0  # other load slows down the first half
        pace.start(0)  # no effect while the clock runs
        pace.update(8 + 50 * report)
        if report <= 2 * WINDOW:
            assert pace.latest == pytest.approx(0.5, rel=0.1)
    assert pace.latest == pytest.approx(5.0)


def test_the_pace_is_measured_again_after_going_back() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    pace.start(400)
    now = 10.0
    assert pace.update(500) == 10.0
    pace.restart()
    assert pace.latest is None
    pace.start(204)
    now = 12.0
    assert pace.update(214) == 5.0


def test_a_resumed_run_reports_its_current_pace(workplace: Path) -> None:
    path = config(workplace, steps=20)
    path.write_text(path.read_text() + "\n[optimizer]\nlr = 1e-2\nsmall_lr = 2e-3\n")
    first: list[TrainingProgress] = []
    folder = train(path, on_progress=first.append)
    stopped = final(folder)
    save_checkpoint(folder, replace(stopped, seconds=1e9))  # as if every step had taken years
    path.write_text(path.read_text().replace("steps = 20", "steps = 40"))
    reports: list[TrainingProgress] = []
    train(path, on_progress=reports.append)
    with_loss = [report for report in reports if report.loss is not None]
    assert [report.step for report in with_loss] == [25, 30, 35, 40]
    for report in with_loss:
        assert report.pace is not None
        assert report.pace > 0.1
        assert report.seconds_left == pytest.approx(4 * (40 - report.step) / report.pace)
        assert report.lr == pytest.approx((1e-2 * report.rate, 2e-3 * report.rate))
    assert first[0].rate == 1.0
    assert progress_line(replace(first[0], loss=0.25, pace=4.0, seconds_left=5400.0)) == (
        "step 5 of 20  loss 0.25000  lr 1.0e-02 / 2.0e-03  4.0 patches/s  1.5 h left"
    )
    assert progress_line(replace(first[0], steps=None, loss=0.25, pace=4.0, seconds_left=None)) == (
        "step 5  loss 0.25000  lr 1.0e-02 / 2.0e-03  4.0 patches/s"
    )
    assert progress_line(replace(first[0], loss=0.25, pace=None)).endswith("lr 1.0e-02 / 2.0e-03")


def test_logs_of_earlier_versions_are_plotted(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    entry = '{"step": %d, "steps": 20, "seconds": 1.5, "samples": 40, "rate": 1.0, "%s": 0.1}\n'
    log.write_text(entry % (10, "loss") + entry % (20, "loss") + entry % (20, "psnr"))
    assert [record["rate"] for record in read_log(tmp_path)] == [1.0, 1.0, 1.0]
    plot_runs([tmp_path], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
