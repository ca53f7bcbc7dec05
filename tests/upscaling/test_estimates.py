"""The remaining time of a run, and the time and disk space that a dry run estimates."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mafdn.errors import MafdnError
from mafdn.upscaling.folder import forecast as forecasts
from mafdn.upscaling.folder import pipeline, remaining
from mafdn.upscaling.folder.job import work_of
from mafdn.upscaling.folder.remaining import RemainingTime
from mafdn.upscaling.folder.report import FolderProgress
from tests.support import Repeat, draw
from tests.upscaling.conftest import Networks, names, upscale


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        for module in (remaining, pipeline):
            monkeypatch.setattr(module, "clock", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def errors_of(estimates: list[tuple[float, float | None]], began: float, ended: float) -> list[float]:
    """The relative errors of estimates, (time, remaining), from the first to the last tenth of a run."""
    total = ended - began
    errors: list[float] = []
    for now, estimate in estimates:
        if 0.1 * total <= now - began <= 0.9 * total:
            assert estimate is not None
            errors.append(abs(estimate - (ended - now)) / (ended - now))
    return errors


def works_of(kind: str) -> list[float]:
    numbers = random.Random(kind)
    works = [10 ** numbers.uniform(4, 7) for _ in range(150)]
    if kind == "equal":
        return [1e5] * 150
    if kind == "few":
        return works[:15]
    if kind == "smallest first":
        return sorted(works)
    if kind == "largest first":
        return sorted(works, reverse=True)
    return works


KINDS = ["equal", "few", "smallest first", "largest first", "mixed"]


@pytest.mark.parametrize(
    ("kind", "overhead"),
    [(kind, overhead) for kind in KINDS for overhead in (0.0, 0.02, 0.1)]
    + [(kind, 1.0) for kind in ("equal", "smallest first", "mixed")],
)
def test_the_remaining_time_is_right_within_a_quarter_after_a_tenth(kind: str, overhead: float, clock: Clock) -> None:
    """Pictures take 5 microseconds per pixel and a constant time, give or take a fifth."""
    works, numbers = works_of(kind), random.Random(1)
    estimates: list[tuple[float, float | None]] = []
    estimate, began = RemainingTime(works), clock.now
    for work in works:
        seconds = (5e-6 * work + overhead) * numbers.uniform(0.8, 1.2)
        for tile in range(10):
            estimates.append((clock.now, estimate.seconds(work, tile / 10)))
            clock.now += seconds / 10
        estimate.done(work)
    errors = errors_of(estimates, began, clock.now)
    assert len(errors) > 100
    assert max(errors) < 0.25


def test_a_change_of_speed_is_followed(clock: Clock) -> None:
    """From the middle on, something else takes half of the machine."""
    works = [1e6] * 2000
    estimate = RemainingTime(works)
    for number, work in enumerate(works):
        clock.now += 2.0 if number > 1000 else 1.0
        estimate.done(work)
        if number == 1000:
            assert estimate.seconds(work, 0.0) == pytest.approx(999, rel=0.05)
        if number == 1600:
            assert estimate.seconds(work, 0.0) == pytest.approx(2 * 399, rel=0.25)


def test_nothing_is_known_at_first_and_nothing_remains_at_the_end(clock: Clock) -> None:
    estimate = RemainingTime([100.0, 100.0, 100.0])
    assert estimate.seconds(100.0, 0.0) is None
    clock.now += 1
    assert estimate.seconds(100.0, 0.5) == pytest.approx(5.0)
    estimate.exclude(1.0)  # it was the network that was opened
    clock.now += 4
    estimate.done(100.0)
    assert estimate.seconds(100.0, 0.0) == pytest.approx(8.0)
    estimate.drop(100.0)
    clock.now += 2
    assert estimate.seconds(100.0, 0.5) == pytest.approx(2.0)
    clock.now += 4  # it takes longer than expected
    assert estimate.seconds(100.0, 0.5) == pytest.approx(10 / 3)
    assert estimate.seconds(100.0, 1.0) == pytest.approx(0.0, abs=1e-6)


def test_work_counts_what_passes_the_network() -> None:
    assert work_of((100, 100), (400, 400)) == pytest.approx(108**2 + 2_500)  # with the mirrored borders
    assert work_of((400, 400), (800, 800)) == pytest.approx(408**2 + 10_000)
    assert work_of((400, 400), (200, 200)) < 4_000


def timed(clock: Clock) -> Callable[[int], Repeat]:
    class Timed(Repeat):
        def run(self, x: np.ndarray) -> np.ndarray:
            clock.now += 0.05 + 1e-4 * x.shape[2] * x.shape[3]
            return super().run(x)

    return Timed


@pytest.mark.parametrize("order", ["name", "size", "random"])
def test_a_whole_run_estimates_its_remaining_time(order: str, clock: Clock, tmp_path: Path) -> None:
    numbers = random.Random(0)
    for number in range(40):
        sides = (int(10 ** numbers.uniform(1, 2.2)), int(10 ** numbers.uniform(1, 2.2)))
        draw(tmp_path / "in" / f"{number:02}.png", number, sides)
    estimates: list[tuple[float, float | None]] = []

    def follow(at: FolderProgress) -> None:
        if at.phase == "upscaling":
            estimates.append((clock.now, at.remaining_seconds))

    began = clock.now
    upscale(
        tmp_path / "in",
        tmp_path / "out",
        networks=Networks(engine=timed(clock)),
        on_progress=follow,
        selection={"order": order},
    )
    errors = errors_of(estimates, began, clock.now)
    assert len(errors) > 20
    assert max(errors) < 0.25


# --- dry runs


def test_a_dry_run_estimates_time_and_space(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.perf_counter", lambda: clock.now)
    for number in range(6):
        draw(tmp_path / "in" / f"{number}.png", number, (100 + 50 * number, 200))
        draw(tmp_path / "in" / f"{number}.jpg", number, (100 + 50 * number, 200))

    class Slow(Repeat):
        def run(self, x: np.ndarray) -> np.ndarray:
            clock.now += 2e-5 * x.shape[2] * x.shape[3]
            return super().run(x)

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    networks = Networks(engine=Slow)
    estimate = upscale(tmp_path / "in", tmp_path / "out", networks=networks, dry_run=True).estimate
    assert not (tmp_path / "out").exists()
    assert list(scratch.iterdir()) == []
    report = upscale(tmp_path / "in", tmp_path / "out", networks=networks)
    assert estimate
    assert estimate.pixels == sum(item.new_size[0] * item.new_size[1] for item in report.items if item.new_size)
    assert estimate.basis == "measured just now by upscaling a part of 6 of the pictures"
    taken = sum((tmp_path / "out" / name).stat().st_size for name in names(tmp_path / "out"))
    assert estimate.bytes == pytest.approx(taken, rel=0.2)
    assert estimate.seconds == pytest.approx(report.network_seconds, rel=0.5)
    assert estimate.free_bytes
    assert estimate.free_bytes > 0


def test_an_estimate_that_cannot_be_made_says_why(album: Path, tmp_path: Path) -> None:
    class Broken(Networks):
        def engine(self, scale: int, *, bits: int) -> Repeat:  # noqa: ARG002
            raise MafdnError("the engine is not there")

    report = upscale(album, tmp_path / "out", networks=Broken(), dry_run=True)
    assert report.estimate
    assert (report.estimate.seconds, report.estimate.bytes) == (None, None)
    assert report.estimate.basis == "no estimate: the engine is not there"
    assert report.counts["left"] == 3


def test_there_is_no_estimate_of_nothing(album: Path, tmp_path: Path) -> None:
    upscale(album, tmp_path / "out")
    assert upscale(album, tmp_path / "out", dry_run=True).estimate is None
    assert upscale(album, tmp_path / "out").estimate is None


def test_damaged_pictures_do_not_disturb_the_estimate(album: Path, tmp_path: Path) -> None:
    data = (album / "a.png").read_bytes()
    for number in range(5):
        (album / f"half{number}.png").write_bytes(data[: len(data) // 2])
    estimate = upscale(album, tmp_path / "out", dry_run=True).estimate
    assert estimate
    assert estimate.seconds
    for name in ("a.png", "d.png"):  # now no picture of this format can be measured
        (album / name).write_bytes(data[: len(data) // 2])
    estimate = upscale(album, tmp_path / "out", dry_run=True).estimate
    assert estimate
    assert estimate.seconds
    assert estimate.basis.endswith("a part of one of the pictures")


def test_sampling_ends_in_time(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasts, "MOST_SECONDS", -1.0)
    estimate = upscale(album, tmp_path / "out", dry_run=True).estimate
    assert estimate
    assert estimate.seconds is None
