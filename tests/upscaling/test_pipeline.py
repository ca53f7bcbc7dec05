"""Overlap of decoding, network and encoding, and progress."""

import signal
import threading
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mafdn.upscaling.folder import pipeline
from mafdn.upscaling.folder.manifest import Manifest
from mafdn.upscaling.folder.report import FolderItem, FolderProgress, Stopped
from tests.support import Repeat, draw
from tests.upscaling.conftest import Networks, names, upscale


def test_decoding_and_encoding_do_not_hold_up_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a picture is in the network, the next is decoded and the one before encoded."""
    for seed in range(8):
        draw(tmp_path / "in" / f"{seed}.png", seed)
    begun = {"decoding": 0, "encoding": 0}
    changed = threading.Condition()
    overlaps: list[bool] = []

    class Waiting(Repeat):
        def run(self, x: np.ndarray) -> np.ndarray:
            number = len(overlaps) + 1
            with changed:
                overlaps.append(
                    changed.wait_for(
                        lambda: begun["decoding"] >= min(number + 1, 8) and begun["encoding"] >= number - 1, timeout=30
                    )
                )
            return super().run(x)

    def count(what: str) -> None:
        with changed:
            begun[what] += 1
            changed.notify_all()

    real_prepare, real_finish = pipeline.prepare, pipeline.Pending.finish

    def prepare(*args: object, **kwargs: object) -> object:
        count("decoding")
        return real_prepare(*args, **kwargs)  # pyright: ignore

    def finish(self: pipeline.Pending, **given: object) -> object:
        count("encoding")
        return real_finish(self, **given)  # pyright: ignore

    monkeypatch.setattr(pipeline, "prepare", prepare)
    monkeypatch.setattr(pipeline.Pending, "finish", finish)
    report = upscale(tmp_path / "in", tmp_path / "out", networks=Networks(engine=Waiting))
    assert report.counts["done"] == 8
    assert overlaps == [True] * 8
    assert report.network_seconds > 0
    assert report.waited_seconds > 0


def test_large_pictures_are_processed_alone(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MOST_PIXELS", 1)
    in_hand: list[int] = []
    real_prepare, real_finish = pipeline.prepare, pipeline.Pending.finish

    def prepare(*args: object, **kwargs: object) -> object:
        in_hand.append(1)
        assert sum(in_hand) == 1
        return real_prepare(*args, **kwargs)  # pyright: ignore

    def finish(self: pipeline.Pending, **given: object) -> object:
        report = real_finish(self, **given)  # pyright: ignore
        in_hand.append(-1)
        return report

    monkeypatch.setattr(pipeline, "prepare", prepare)
    monkeypatch.setattr(pipeline.Pending, "finish", finish)
    assert upscale(album, tmp_path / "out").counts["done"] == 3


def test_progress_is_over_all_pixels(album: Path, tmp_path: Path) -> None:
    (album / "bad.png").write_bytes(draw(album / "bad.png", 5, (60, 60)).read_bytes()[:-200])
    upscale(album / "d.png", tmp_path / "out")
    reports: list[FolderProgress] = []
    upscale(album, tmp_path / "out", on_progress=reports.append)
    assert {s.phase for s in reports} == {"checking", "upscaling"}
    last = reports[-1]
    assert (last.number, last.count, last.done, last.total) == (3, 3, 2 * 32 * 24, 2 * 32 * 24)
    shares = [s.done / s.total for s in reports if s.phase == "upscaling"]
    assert shares == sorted(shares)


def test_ctrl_c_keeps_what_is_done(album: Path, tmp_path: Path) -> None:
    def stop(at: FolderProgress) -> None:
        if at.phase == "upscaling" and at.number == 2:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(Stopped) as caught:
        upscale(album, out, recursive=True, on_progress=stop)
    assert caught.value.report.counts == {"done": 1, "kept": 0, "failed": 0, "left": 3, "skipped": 0}
    assert set(names(out)) == {"a_x2.png"}
    assert upscale(album, out, recursive=True).counts == {"done": 3, "kept": 1, "failed": 0, "left": 0, "skipped": 0}


@pytest.mark.parametrize("at", range(1, 10))
def test_ctrl_c_loses_no_picture_between_two_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """The signal comes right after a picture was taken from a list: those that wait, are decoded, or are encoded."""
    taken = 0

    class Interrupted(deque[Any]):
        def popleft(self) -> Any:
            nonlocal taken
            taken += 1
            item = super().popleft()
            if taken == at:
                signal.raise_signal(signal.SIGINT)
            return item

    for seed, name in enumerate("abc"):
        draw(tmp_path / "in" / f"{name}.png", seed)
    monkeypatch.setattr(pipeline, "deque", Interrupted)
    items: list[FolderItem] = []
    out = tmp_path / "out"
    with pytest.raises(Stopped) as stopped:
        upscale(tmp_path / "in", out, on_item=items.append)
    report = stopped.value.report
    assert sorted(items, key=lambda item: str(item.source)) == list(report.items)
    assert len(report.items) == 3
    assert names(out) == sorted(f"{item.source.stem}_x2.png" for item in report.with_status("done"))
    assert not Manifest(out).unfinished
    monkeypatch.setattr(pipeline, "deque", deque)
    again = upscale(tmp_path / "in", out)
    assert again.counts["done"] + again.counts["kept"] == 3


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_picture_is_reported_once(album: Path, tmp_path: Path, jobs: int) -> None:
    upscale(album / "a.png", tmp_path / "out")
    (album / "bad.png").write_text("no picture")
    items: list[FolderItem] = []
    report = upscale(album, tmp_path / "out", recursive=True, on_item=items.append, selection={"jobs": jobs})
    assert sorted(items, key=lambda item: str(item.source)) == list(report.items)
    assert {item.status for item in items} == {"done", "kept", "failed"}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_error_of_the_callback_ends_the_run(album: Path, tmp_path: Path, count: int) -> None:
    items: list[FolderItem] = []

    def fail(item: FolderItem) -> None:
        items.append(item)
        if len(items) == count:
            raise ZeroDivisionError("not a picture's fault")

    with pytest.raises(ZeroDivisionError):
        upscale(album, tmp_path / "out", on_item=fail)
    assert len(items) == count
    assert not list((tmp_path / "out").glob(".*.partial"))
    report = upscale(album, tmp_path / "out")
    assert report.counts["failed"] == 0
    assert report.counts["kept"] >= count
