"""Which files of folders and glob patterns are upscaled."""

from pathlib import Path

import pytest

import mafdn
from mafdn.errors import PictureError, UsageError
from mafdn.pictures.reading import open_picture
from mafdn.upscaling.folder.discover import find_sources
from tests.support import draw
from tests.upscaling.conftest import names, status, upscale


def test_structure_is_kept(album: Path, tmp_path: Path) -> None:
    report = upscale(album, tmp_path / "out", recursive=True)
    assert names(tmp_path / "out") == ["a_x2.png", "b_x2.jpg", "d_x2.png", "deep/er/c_x2.png"]
    assert report.counts == {"done": 4, "kept": 0, "failed": 0, "left": 0, "skipped": 0}
    assert report.not_pictures == 1
    assert open_picture(tmp_path / "out" / "deep/er/c_x2.png").width == 32


def test_subfolders_need_recursive(album: Path, tmp_path: Path) -> None:
    report = upscale(album, tmp_path / "out")
    assert names(tmp_path / "out") == ["a_x2.png", "b_x2.jpg", "d_x2.png"]
    assert report.folders == 1


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.png", ["a.png", "d.png"]),
        ("**/*.png", ["a.png", "d.png", "deep/er/c.png"]),
        ("[ab].*", ["a.png", "b.jpg"]),
        ("deep/*/c.png", ["deep/er/c.png"]),
        ("*/c.png", []),
    ],
)
def test_globs(album: Path, pattern: str, found: list[str]) -> None:
    sources = find_sources([f"{album}/{pattern}"])
    assert [str(s.path.relative_to(album)) for s in sources.sources] == found
    assert bool(sources.unusable) == (not found)


@pytest.mark.parametrize(("platform", "found"), [("linux", []), ("win32", ["B.JPG"]), ("darwin", ["B.JPG"])])
def test_upper_case_in_globs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, found: list[str]) -> None:
    draw(tmp_path / "a.png").rename(tmp_path / "B.JPG")
    monkeypatch.setattr("mafdn.upscaling.folder.discover.sys.platform", platform)
    assert [source.path.name for source in find_sources([f"{tmp_path}/*.jpg"]).sources] == found


def test_a_name_that_looks_like_a_glob_is_a_name(tmp_path: Path) -> None:
    path = draw(tmp_path / "in [2020]" / "a[1].png")
    for name in (path, path.parent, path.parent / "*.png"):
        assert [s.path for s in find_sources([str(name)]).sources] == [path]
    assert [u.reason for u in find_sources(["a\0b/*.png"]).unusable] == [
        "a\\x00b/*.png is not a valid file name: it contains a NUL character"
    ]


def test_every_file_is_found_once(album: Path) -> None:
    found = find_sources([album, album / "a.png", f"{album}/*.png", album / "deep"], recursive=True)
    assert [str(s.relative) for s in found.sources] == ["a.png", "b.jpg", "d.png", "deep/er/c.png", "notes.txt"]


def test_pictures_are_recognized_by_content(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    draw(folder / "right.png").rename(folder / "no_ending")
    draw(folder / "lying.png").rename(folder / "lying.txt")
    draw(folder / "raw.tif").rename(folder / "raw.nef")
    draw(folder / ".hidden.png")
    draw(folder / ".folder" / "inner.png")
    (folder / "sidecar.xmp").write_text("<xmp/>")
    (folder / "claims.jpg").write_text("no")
    (folder / "empty.png").touch()
    report = upscale(folder, tmp_path / "out", recursive=True)
    failed = dict.fromkeys(("claims.jpg", "empty.png"), "failed")
    assert status(report) == {"no_ending": "done", "lying.txt": "done", "raw.nef": "skipped", **failed}
    reason = report.with_status("skipped")[0].reason or ""
    assert reason.startswith("a raw photograph (NEF); ")
    assert names(tmp_path / "out") == ["lying_x2.png", "no_ending_x2.png"]
    assert (report.not_pictures, report.sidecars) == (0, 1)
    named = upscale([folder / "raw.nef"], tmp_path / "named")
    assert status(named) == {"raw.nef": "failed"}


def test_no_pictures_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match="no pictures in the folder"):
        upscale(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(UsageError, match="give a picture"):
        upscale([], tmp_path / "out")
    with pytest.raises(UsageError, match="give a folder"):
        mafdn.upscale_folder(tmp_path / "empty", tmp_path / "out.png")
    assert names(tmp_path) == []
