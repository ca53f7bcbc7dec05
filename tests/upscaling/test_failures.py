"""Pictures, disks and folders that fail during a run."""

import errno
import os
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import filelock
import numpy as np
import pytest

from mafdn._support.atomic import sha256
from mafdn.errors import EncodeError, MafdnError, PictureError, UsageError
from mafdn.inference.upscale import MIRRORED
from mafdn.pictures.limits import Limits
from mafdn.upscaling.folder import bookkeeping, pipeline
from mafdn.upscaling.folder.report import FolderProgress
from mafdn.upscaling.output import Output
from mafdn.upscaling.shards import LOCK
from mafdn.upscaling.size import Size
from tests.support import Repeat, draw
from tests.upscaling.conftest import OURS, Networks, status, upscale


def test_one_bad_file_is_reported_and_skipped(album: Path, tmp_path: Path) -> None:
    whole = draw(album / "broken.png", 5, (60, 60)).read_bytes()
    (album / "broken.png").write_bytes(whole[: len(whole) // 2])  # its header is right
    out = tmp_path / "out"
    first, report = upscale(album, out), upscale(album, out)
    for each in (first, report):
        assert [item.source.name for item in each.failed] == ["broken.png"]
    assert report.counts == {"done": 0, "kept": 3, "failed": 1, "left": 0, "skipped": 0}
    assert {p.name for p in out.iterdir()} == {"a_x2.png", "b_x2.jpg", "d_x2.png", *OURS}
    (album / "broken.png").write_bytes(whole)
    assert upscale(album, out).counts["done"] == 1


def test_a_bug_ends_only_its_own_picture(album: Path, tmp_path: Path) -> None:
    class Buggy(Repeat):
        def run(self, x: np.ndarray) -> np.ndarray:
            if x.shape[3] == 20 + 2 * MIRRORED:
                raise ZeroDivisionError("of\nall things")
            return super().run(x)

    draw(album / "c.png", 7, (12, 20))
    report = upscale(album, tmp_path / "out", networks=Networks(engine=Buggy))
    assert [i.source.name for i in report.failed] == ["c.png"]
    assert "internal error, ZeroDivisionError: of all things" in (report.failed[0].reason or "")
    assert not list((tmp_path / "out").glob(".*.partial"))


def test_a_failure_does_not_forget_the_earlier_result(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    good = (album / "a.png").read_bytes()
    (album / "a.png").write_bytes(good[:-30])
    assert status(upscale(album, out))["a.png"] == "failed"
    (album / "a.png").write_bytes(good)
    assert upscale(album, out).counts["kept"] == 3


def test_a_missing_input_does_not_stop_the_others(album: Path, tmp_path: Path) -> None:
    report = upscale([album / "no.png", album / "a.png", f"{album}/*.gif"], tmp_path / "out")
    assert status(report) == {"no.png": "failed", "a.png": "done", "*.gif": "failed"}


@pytest.mark.parametrize("number", ["ENOSPC", "EROFS"])
def test_a_full_disk_ends_the_run(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    for seed in range(10):
        draw(album / f"more{seed}.png", seed)

    def full(path: Path) -> str:
        if path.parent == tmp_path / "out":
            raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)), str(path))
        return sha256(path)

    monkeypatch.setattr(bookkeeping, "sha256", full)
    report = upscale(album, tmp_path / "out")
    assert report.stopped is not None
    assert os.strerror(getattr(errno, number)) in report.stopped
    assert 1 <= report.counts["failed"] <= 4
    assert report.counts["left"] >= 9


def test_a_full_disk_ends_the_run_even_if_the_encoder_is_silent(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(10):
        draw(album / f"more{seed}.png", seed)

    def finish(self: pipeline.Pending, **_: object) -> None:
        self.cancel()
        raise EncodeError("whatever the codec says")

    monkeypatch.setattr(pipeline.Pending, "finish", finish)
    monkeypatch.setattr(bookkeeping.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6, 1000))  # pyright: ignore
    report = upscale(album, tmp_path / "out")
    assert report.stopped is not None
    assert "No space left" in report.stopped
    assert report.counts["failed"] <= 4


@pytest.mark.parametrize("stage", ["run", "finish"])
@pytest.mark.parametrize("number", ["ENOSPC", "EROFS"])
def test_a_full_disk_is_recognized_by_its_error_number(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str, stage: str
) -> None:
    def finish(self: pipeline.Pending, **_: object) -> None:
        self.cancel()
        raise PictureError("reworded", errno=getattr(errno, number))

    def run(prepared: pipeline.Prepared, *_: object, **__: object) -> None:
        prepared.close()
        raise PictureError("reworded", errno=getattr(errno, number))

    if stage == "finish":
        monkeypatch.setattr(pipeline.Pending, "finish", finish)
    else:
        monkeypatch.setattr(pipeline, "run", run)
    report = upscale(album, tmp_path / "out")
    assert report.stopped is not None
    assert os.strerror(getattr(errno, number)) in report.stopped


def test_a_name_like_an_error_does_not_end_the_run(album: Path, tmp_path: Path) -> None:
    name = f"{os.strerror(errno.ENOSPC)}.png"
    (album / name).write_bytes((album / "a.png").read_bytes()[:-30])
    report = upscale(album, tmp_path / "out")
    assert report.stopped is None
    assert report.counts == {"done": 3, "kept": 0, "failed": 1, "left": 0, "skipped": 0}


def test_a_folder_that_vanishes_ends_the_run(album: Path, tmp_path: Path) -> None:
    for seed in range(10):
        draw(album / f"more{seed}.png", seed)

    def vanish(at: FolderProgress) -> None:
        if at.phase == "upscaling" and at.number == 4 and (tmp_path / "out").exists():
            (tmp_path / "out").rename(tmp_path / "elsewhere")

    report = upscale(album, tmp_path / "out", on_progress=vanish)
    assert report.stopped is not None
    assert "is gone" in report.stopped
    assert report.counts["left"] >= 5
    assert not (tmp_path / "out").exists()


def test_only_one_run_at_a_time(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    (album / "a.png").unlink()
    draw(album / "a.png", 55)
    lock = filelock.FileLock(out / LOCK)
    done: list[object] = []
    with lock:

        def other() -> None:
            with pytest.raises(MafdnError, match="another run") as caught:
                upscale(album, out)
            done.append(caught.value)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join(20)
    assert done
    assert upscale(album, out).counts["done"] == 1  # a lock file that is left does not matter


def test_time_limits_are_for_each_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(6):
        draw(tmp_path / "in" / f"{seed}.png", seed)
    began = time.monotonic()
    clock = [began]

    class Slow(Repeat):
        def run(self, x: np.ndarray) -> np.ndarray:
            clock[0] += 0.5
            return super().run(x)

    monkeypatch.setattr("mafdn.pictures.limits.time", SimpleNamespace(monotonic=lambda: clock[0]))
    limits = Limits(seconds=2.2, began=began)  # the last two pictures may be running while one is still written
    report = upscale(tmp_path / "in", tmp_path / "out", networks=Networks(engine=Slow), limits=limits)
    assert report.counts["done"] == 6
    assert clock[0] - began > 2.2


def test_a_size_may_need_another_network(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.png", 0, (12, 16))
    draw(tmp_path / "in" / "b.png", 1, (12, 32))
    networks = Networks()
    report = upscale(tmp_path / "in", tmp_path / "out", networks=networks, size=Size(width=64))
    assert {i.new_size for i in report.items} == {(64, 48), (64, 24)}
    assert sorted(networks.opened) == [2, 4]


def test_the_quality_applies_to_formats_that_have_one(album: Path, tmp_path: Path) -> None:
    assert upscale(album, tmp_path / "out", output=Output(quality=40)).counts["done"] == 3
    with pytest.raises(UsageError, match="PNG has no quality setting"):
        upscale(album, tmp_path / "out", output=Output(quality=40, format="png"))
