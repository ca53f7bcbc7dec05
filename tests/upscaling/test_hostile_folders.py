"""Folders with loops, FIFOs, missing permissions and unusual names."""

import json
import os
import shutil
from pathlib import Path

import pytest

from mafdn.errors import MafdnError
from tests.support import draw, refuse
from tests.upscaling.conftest import status, upscale


def test_loops_of_links_end(album: Path, tmp_path: Path) -> None:
    (album / "deep" / "up").symlink_to(album, target_is_directory=True)
    (album / "self.png").symlink_to("self.png")
    (album / "gone.png").symlink_to("nowhere.png")
    (album / "a_link.png").symlink_to("a.png")
    report = upscale(album, tmp_path / "out", recursive=True)
    assert report.counts == {"done": 5, "kept": 0, "failed": 2, "left": 0, "skipped": 0}
    assert report.links == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
@pytest.mark.timeout(120)
def test_fifos_are_never_opened(album: Path, tmp_path: Path) -> None:
    os.mkfifo(album / "pipe.png")
    os.mkfifo(album / "pipe")
    report = upscale(album, tmp_path / "out")
    assert [item.source.name for item in report.failed] == ["pipe.png"]
    assert report.not_pictures == 2
    os.mkfifo(tmp_path / "out2")
    with pytest.raises(MafdnError, match="out2"):
        upscale(album, tmp_path / "out2")


def test_missing_permissions_are_reported(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, album / "a.png", album / "deep")
    report = upscale(album, tmp_path / "out", recursive=True)
    assert status(report) == {"a.png": "failed", "b.jpg": "done", "d.png": "done", "deep": "failed"}


def test_a_folder_that_cannot_be_read_is_reported(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, album / "deep" / "er")
    report = upscale(album, tmp_path / "out", recursive=True)
    assert report.counts["done"] == 3
    assert "Permission denied" in (report.failed[0].reason or "")


def test_unusual_names(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    draw(folder / "x.png")
    strange = [
        "two\nlines.png",
        "😀" * 62 + "abc.png",
        "-rf.png",
        "[brackets].png",
        "{stem}.png",
        "%s\t.png",
        "..a.png",
    ]
    for name in strange:
        shutil.copy(folder / "x.png", folder / name)
    raw = os.fsdecode(os.fsencode(folder) + b"/bad\xff.png")
    shutil.copy(folder / "x.png", raw)
    report = upscale(folder, tmp_path / "out")
    assert report.counts == {"done": 8, "kept": 0, "failed": 0, "left": 0, "skipped": 0}  # one is hidden
    assert upscale(folder, tmp_path / "out").counts["kept"] == 8
    json.dumps(report.for_programs(), default=str)
