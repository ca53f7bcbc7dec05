"""The learning rate over a run."""

from itertools import pairwise

import pytest

from mafdn.training.config import ScheduleSettings
from mafdn.training.schedule import learning_rate, progress


def test_the_schedule_rises_holds_and_falls() -> None:
    schedule = ScheduleSettings(steps=100, warmup=9, decay=19)
    rates = [learning_rate(schedule, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert set(rates[9:81]) == {1.0}
    assert rates[-1] == pytest.approx(0.05)
    assert all(a > b for a, b in pairwise(rates[81:]))


def test_the_cosine_rises_and_falls_to_nothing() -> None:
    schedule = ScheduleSettings(kind="cosine", steps=100, warmup=9, decay=1000)
    rates = [learning_rate(schedule, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == 1.0
    assert all(a > b for a, b in pairwise(rates[9:]))
    assert rates[-1] < 0.002


def test_progress_counts_from_where_a_fork_begins() -> None:
    assert progress(ScheduleSettings(steps=100, warmup=0, decay=0), 25) == 0.25
    assert progress(ScheduleSettings(steps=100, warmup=0, decay=0, begin=50), 75) == 0.5
    assert progress(ScheduleSettings(steps=100, warmup=0, decay=0, begin=50), 10) == 0
