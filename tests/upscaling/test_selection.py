"""Which pictures are upscaled, and in which order; neither that nor the number of jobs changes any result."""

import os
import shutil
import tempfile
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mafdn
from mafdn import UsageError
from mafdn.upscaling.folder import pipeline
from mafdn.upscaling.folder.options import FolderOptions
from mafdn.upscaling.folder.report import FolderItem, FolderReport
from mafdn.upscaling.folder.selection import ORDERS, as_moment
from mafdn.upscaling.networks import SingleNetwork
from mafdn.upscaling.picture import upscale_file
from tests.support import Repeat, draw
from tests.upscaling.conftest import names, status, upscale

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
SIZES = {"a.png": (12, 16), "b.jpg": (40, 50), "c.png": (8, 9), "d.webp": (30, 20)}
"""Heights and widths of pictures of different sizes and formats."""
AGES = {"a.png": 3.0, "b.jpg": 1.0, "c.png": 4.0, "d.webp": 2.0}
"""Days since they were modified."""


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Pictures of different sizes, ages and formats."""
    folder = tmp_path / "mixed"
    for seed, (name, size) in enumerate(SIZES.items()):
        modified = time.time() - AGES[name] * 86_400
        os.utime(draw(folder / name, seed, size), (modified, modified))
    return folder


# --- since


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("12h", NOW - timedelta(hours=12)),
        ("1.5h", NOW - timedelta(minutes=90)),
        (" 1d12h30m5s ", NOW - timedelta(days=1, hours=12, minutes=30, seconds=5)),
        ("2w", NOW - timedelta(days=14)),
        ("2026-11-01", datetime(2026, 11, 1).astimezone(UTC)),
        ("2026-11-01T18:30", datetime(2026, 11, 1, 18, 30).astimezone(UTC)),
        ("2026-11-01 18:30:05+02:00", datetime(2026, 11, 1, 16, 30, 5, tzinfo=UTC)),
        (date(2026, 11, 1), datetime(2026, 11, 1).astimezone(UTC)),
        (datetime(2026, 11, 1, 3), datetime(2026, 11, 1, 3).astimezone(UTC)),  # noqa: DTZ001 - local
        (timedelta(hours=1), NOW - timedelta(hours=1)),
    ],
)
def test_moments(value: object, expected: datetime) -> None:
    assert as_moment(value, now=NOW) == expected


@pytest.mark.parametrize(
    "value", ["", "yesterday", "7", "7x", "d", "7d ago", "2026-13-01", "99999999999999w", "1..5h", 7, None, b"7d"]
)
def test_other_moments_are_refused(value: object) -> None:
    with pytest.raises(UsageError, match="since must be a date such as"):
        as_moment(value, now=NOW)


def test_the_future_is_refused() -> None:
    for value in ("2026-11-22", timedelta(days=-1), datetime(2027, 1, 1, tzinfo=UTC)):
        with pytest.raises(UsageError, match="in the future"):
            as_moment(value, now=NOW)


@pytest.mark.parametrize(
    ("since", "done"), [("90h", 3), ("2.5d", 2), (timedelta(days=9), 4), ("1h", 0), (datetime.now(UTC), 0)]
)
def test_older_pictures_are_skipped(mixed: Path, tmp_path: Path, since: Any, done: int) -> None:
    report = upscale(mixed, tmp_path / "out", selection={"since": since})
    assert report.counts == {"done": done, "kept": 0, "failed": 0, "left": 0, "skipped": 4 - done}
    newest = sorted(AGES, key=AGES.__getitem__)
    assert {name for name, what in status(report).items() if what == "done"} == set(newest[:done])
    assert all((item.reason or "").startswith("not modified since 20") for item in report.with_status("skipped"))


def test_an_old_file_that_is_damaged_is_no_failure(mixed: Path, tmp_path: Path) -> None:
    (mixed / "bad.png").write_text("no")
    assert upscale(mixed, tmp_path / "out", selection={"since": "9d"}).counts["failed"] == 1
    os.utime(mixed / "bad.png", (0, 0))
    assert upscale(mixed, tmp_path / "out", selection={"since": "9d"}).counts == {
        "done": 0,
        "kept": 4,
        "failed": 0,
        "left": 0,
        "skipped": 1,
    }


def test_names_do_not_depend_on_what_is_skipped(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png"):
        draw(tmp_path / "in" / name)
    os.utime(tmp_path / "in" / "a.jpg", (0, 0))
    output = mafdn.Output(format="webp")
    assert upscale(tmp_path / "in", tmp_path / "out", selection={"since": "1d"}, output=output).counts["done"] == 1
    assert names(tmp_path / "out") == ["a_png_x2.webp"]
    assert upscale(tmp_path / "in", tmp_path / "out", output=output).counts["kept"] == 1
    assert names(tmp_path / "out") == ["a_png_x2.webp", "a_x2.webp"]


# --- skip-larger-than


def test_larger_pictures_are_skipped(mixed: Path, tmp_path: Path) -> None:
    report = upscale(mixed, tmp_path / "out", selection={"skip_larger_than": 30})
    assert status(report) == {"a.png": "done", "b.jpg": "skipped", "c.png": "done", "d.webp": "done"}
    (skipped,) = report.with_status("skipped")
    assert (skipped.reason, skipped.size, skipped.target) == (
        "larger than 30 pixels on its longest side",
        (50, 40),
        None,
    )
    assert report.settings["skip_larger_than"] == 30
    assert upscale(mixed, tmp_path / "out", selection={"skip_larger_than": 29}).counts["skipped"] == 2


def test_what_is_skipped_may_exceed_the_limits_of_results(mixed: Path, tmp_path: Path) -> None:
    limits = mafdn.Limits(pixels=50 * 40)
    assert upscale(mixed, tmp_path / "out", limits=limits).counts["failed"] == 2
    assert upscale(mixed, tmp_path / "out", limits=limits, selection={"skip_larger_than": 20}).counts["failed"] == 0


def test_the_summary_counts_what_is_skipped(cli: Any, mixed: Path, tmp_path: Path) -> None:
    code, text, err = cli("upscale", mixed, "-o", tmp_path / "out", "-s", 2, "--skip-larger-than", 40, "--since", "60h")
    assert (code, err) == (0, "")
    assert "1 upscaled in" in text
    assert "skipped 1 file: larger than 40 pixels on its longest side" in text
    assert "skipped 2 files: not modified since 20" in text


# --- times


def test_results_have_the_times_of_their_pictures_if_wanted(mixed: Path, tmp_path: Path) -> None:
    os.utime(mixed / "a.png", (10**9, 10**9))
    upscale([mixed / "a.png"], tmp_path / "out", keep_times=True)
    assert (tmp_path / "out" / "a_x2.png").stat().st_mtime == 10**9
    assert upscale([mixed / "a.png"], tmp_path / "out", keep_times=True).counts["kept"] == 1
    upscale([mixed / "a.png"], tmp_path / "now")
    assert (tmp_path / "now" / "a_x2.png").stat().st_mtime > 10**9
    options = mafdn.UpscaleOptions(keep_times=True)
    upscale_file(mixed / "a.png", tmp_path / "one.png", networks=SingleNetwork(Repeat()), options=options)
    assert (tmp_path / "one.png").stat().st_mtime == 10**9


# --- order


@pytest.mark.parametrize(
    ("order", "expected"),
    [("name", "abcd"), ("size", "cadb"), ("newest", "bdac"), ("oldest", "cadb")],
)
def test_order(mixed: Path, tmp_path: Path, order: str, expected: str) -> None:
    done: list[FolderItem] = []
    report = upscale(mixed, tmp_path / "out", selection={"order": order}, on_item=done.append)
    assert "".join(item.source.stem for item in done) == expected
    assert [item.source.stem for item in report.items] == list("abcd")


def test_random_order_is_any(tmp_path: Path) -> None:
    for number in range(30):
        draw(tmp_path / "in" / f"{number:02}.png", number, (2, 2))
    started: list[FolderReport] = []
    orders: set[str] = set()
    for _ in range(3):
        out = Path(tempfile.mkdtemp(dir=tmp_path))
        done: list[FolderItem] = []
        upscale(tmp_path / "in", out, selection={"order": "random"}, on_start=started.append, on_item=done.append)
        orders.add(" ".join(item.source.stem for item in done))
    assert len(orders) == 3
    assert len({tuple(sorted(order.split())) for order in orders}) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"order": "biggest"},
        {"jobs": 0},
        {"jobs": 1.5},
        {"jobs": "two"},
        {"skip_larger_than": 0},
        {"since": "soon"},
        {"only": "sounds"},
    ],
)
def test_invalid_values_are_refused(wrong: dict[str, Any], png: Path) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        FolderOptions(**wrong)
    with pytest.raises(UsageError, match=next(iter(wrong))):
        mafdn.upscale_folder(png, **wrong)


# --- nothing of this changes a result


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.sampled_from(ORDERS),
    jobs=st.integers(1, 6),
    skipped=st.sampled_from([None, 10, 30]),
    pattern=st.sampled_from([None, "{stem}.png"]),
)
def test_order_and_jobs_never_change_a_byte(
    mixed: Path, order: str, jobs: int, skipped: int | None, pattern: str | None
) -> None:
    def results(out: Path) -> dict[str, bytes]:
        return {name: (out / name).read_bytes() for name in names(out)}

    folder = Path(tempfile.mkdtemp(dir=mixed.parent))
    try:
        upscale(mixed, folder / "plain", pattern=pattern)
        selection = {"order": order, "jobs": jobs, "skip_larger_than": skipped}
        some = upscale(mixed, folder / "other", pattern=pattern, selection=selection)
        plain = results(folder / "plain")
        assert results(folder / "other").items() <= plain.items()
        assert len(results(folder / "other")) == some.counts["done"]
        rest = upscale(mixed, folder / "other", pattern=pattern, selection={"order": order, "jobs": jobs})
        assert rest.counts["kept"] == some.counts["done"]
        assert results(folder / "other") == plain
    finally:
        shutil.rmtree(folder)


def test_jobs_are_decoded_and_encoded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(12):
        draw(tmp_path / "in" / f"{seed:02}.png", seed)
    lock = threading.Lock()
    active = {"decoding": 0, "encoding": 0}
    most = dict(active)
    meetings: dict[str, threading.Barrier] = {}
    real_prepare, real_finish = pipeline.prepare, pipeline.Pending.finish

    def watch(what: str, function: Any, *args: object, **kwargs: object) -> Any:
        with lock:
            active[what] += 1
            most[what] = max(most[what], active[what])
        try:
            if what in meetings:
                meetings[what].wait(60)
            return function(*args, **kwargs)
        finally:
            with lock:
                active[what] -= 1

    monkeypatch.setattr(pipeline, "prepare", lambda *a, **k: watch("decoding", real_prepare, *a, **k))  # pyright: ignore
    monkeypatch.setattr(pipeline.Pending, "finish", lambda *a, **k: watch("encoding", real_finish, *a, **k))  # pyright: ignore
    assert upscale(tmp_path / "in", tmp_path / "one").counts["done"] == 12
    assert most == {"decoding": 1, "encoding": 1}
    meetings |= {what: threading.Barrier(3) for what in active}  # three begin before one goes on
    assert upscale(tmp_path / "in", tmp_path / "three", selection={"jobs": 3}).counts["done"] == 12
    assert most == {"decoding": 3, "encoding": 3}
