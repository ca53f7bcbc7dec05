"""Folders of pictures: what is found, made, kept, made again, reported; and what is hostile."""

import errno
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

import mafdn
from mafdn._support.atomic import sha256
from mafdn.errors import EncodeError, MafdnError, PictureError, UsageError
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import open_picture
from mafdn.upscaling.folder import manifest, pipeline
from mafdn.upscaling.folder.discover import find_sources
from mafdn.upscaling.folder.manifest import LOCK, MANIFEST
from mafdn.upscaling.folder.naming import Pattern
from mafdn.upscaling.folder.plan import Request
from mafdn.upscaling.folder.report import BatchReport, Standing
from mafdn.upscaling.folder.run import Stopped, upscale_all
from mafdn.upscaling.output import Output
from mafdn.upscaling.size import Size
from tests.conftest import Run
from tests.support import Repeat, draw

OURS = {MANIFEST, LOCK}


class Networks:
    """Stands for the shipped networks: repeats pixels, and notes what it is asked for."""

    def __init__(self, digest: str = "weights", engine: Callable[[int], Repeat] = Repeat) -> None:
        self.opened: list[int] = []
        self._digest, self._engine = digest, engine

    def usual_size(self) -> Size:
        return Size(scale=2)

    def scale_for(self, size: Size, width: int, _height: int) -> int:
        return 4 if size.width == 4 * width else 2

    def engine(self, scale: int) -> Repeat:
        self.opened.append(scale)
        return self._engine(scale)

    def digest(self, scale: int) -> str:
        return f"{self._digest} {scale}"

    def names(self) -> list[str]:
        return ["repeat 0"]


def upscale(
    inputs: object,
    out: Path | None,
    *,
    networks: Networks | None = None,
    recursive: bool = False,
    dry_run: bool = False,
    on_progress: Callable[[Standing], None] = lambda _: None,
    **asked: object,
) -> BatchReport:
    size = asked.pop("size", Size(scale=2))
    pattern = Pattern(str(asked.pop("pattern"))) if "pattern" in asked else Pattern.usual(size)  # pyright: ignore
    request = Request(folder=out, size=size, pattern=pattern, **asked)  # pyright: ignore
    given = inputs if isinstance(inputs, list) else [inputs]
    networks = networks or Networks()
    return upscale_all(
        given,  # pyright: ignore[reportArgumentType]
        request,
        networks,  # pyright: ignore[reportArgumentType]
        recursive=recursive,
        dry_run=dry_run,
        on_progress=on_progress,
    )


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name not in OURS)


def status(report: BatchReport) -> dict[str, str]:
    return {item.source.name: item.status for item in report.items}


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Four pictures, one of them further down, and a text beside them."""
    folder = tmp_path / "album"
    for seed, name in enumerate(("a.png", "b.jpg", "deep/er/c.png", "d.png")):
        draw(folder / name, seed)
    (folder / "notes.txt").write_text("no picture")
    return folder


# --- what is found


def test_structure_is_kept(album: Path, tmp_path: Path) -> None:
    report = upscale(album, tmp_path / "out", recursive=True)
    assert names(tmp_path / "out") == ["a_x2.png", "b_x2.jpg", "d_x2.png", "deep/er/c_x2.png"]
    assert report.counts == {"done": 4, "kept": 0, "failed": 0, "left": 0}
    assert report.not_pictures == 1
    assert open_picture(tmp_path / "out" / "deep/er/c_x2.png").width == 32


def test_folders_in_folders_need_recursive(album: Path, tmp_path: Path) -> None:
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


def test_a_name_that_looks_like_a_glob_is_a_name(tmp_path: Path) -> None:
    path = draw(tmp_path / "in [2020]" / "a[1].png")
    for name in (path, path.parent, path.parent / "*.png"):
        assert [s.path for s in find_sources([str(name)]).sources] == [path]
    assert [u.reason for u in find_sources(["a\0b/*.png"]).unusable] == [
        "a\\x00b/*.png is no file name: it holds a NUL"
    ]


def test_every_file_is_taken_once(album: Path) -> None:
    found = find_sources([album, album / "a.png", f"{album}/*.png", album / "deep"], recursive=True)
    assert [str(s.relative) for s in found.sources] == ["a.png", "b.jpg", "d.png", "deep/er/c.png", "notes.txt"]


def test_content_tells_what_a_picture_is(tmp_path: Path) -> None:
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
    assert status(report) == {"no_ending": "done", "lying.txt": "done", "claims.jpg": "failed", "empty.png": "failed"}
    assert names(tmp_path / "out") == ["lying_x2.png", "no_ending_x2.png"]
    assert report.not_pictures == 2


def test_nothing_to_do_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match="no pictures in the folder"):
        upscale(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(UsageError, match="give a picture"):
        upscale([], tmp_path / "out")
    with pytest.raises(UsageError, match="give a folder"):
        upscale(tmp_path / "empty", tmp_path / "out.png")
    assert names(tmp_path) == []


# --- names


def test_one_stem_twice_makes_two_results(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.jpg", 1)
    draw(tmp_path / "in" / "a.png", 2)
    report = upscale(tmp_path / "in", tmp_path / "out", output=Output(format="png"))
    assert {i.source.name: i.target.name for i in report.items if i.target} == {
        "a.jpg": "a_x2.png",
        "a.png": "a_png_x2.png",
    }
    assert len(names(tmp_path / "out")) == 2
    assert upscale(tmp_path / "in", tmp_path / "out", output=Output(format="png")).counts["kept"] == 2


def test_two_folders_into_one(tmp_path: Path) -> None:
    one, two = draw(tmp_path / "one" / "a.png", 1), draw(tmp_path / "two" / "a.png", 2)
    out = tmp_path / "out"
    assert upscale([one.parent], out).counts["done"] == 1
    first = (out / "a_x2.png").read_bytes()
    assert upscale([two.parent], out).counts["done"] == 1  # what another picture became is not overwritten
    assert names(out) == ["a_png_x2.png", "a_x2.png"]
    assert (out / "a_x2.png").read_bytes() == first
    assert upscale([two.parent, one.parent], out).counts["kept"] == 2


def test_a_picture_that_was_moved_is_known_by_its_content(album: Path, tmp_path: Path) -> None:
    upscale(album, tmp_path / "out")
    album.rename(tmp_path / "moved")
    assert upscale(tmp_path / "moved", tmp_path / "out").counts == {"done": 0, "kept": 3, "failed": 0, "left": 0}


def test_a_pattern_names_results_and_their_format(album: Path, tmp_path: Path) -> None:
    upscale(album, tmp_path / "out", pattern="{stem}-{width}x{height}.webp", size=Size(width=64))
    assert names(tmp_path / "out") == ["a-64x48.webp", "b-64x48.webp", "d-64x48.webp"]


def test_beside_themselves_pictures_are_upscaled_once(album: Path) -> None:
    assert upscale(album, None, recursive=True).counts["done"] == 4
    made = names(album)
    assert len(made) == 9
    again = upscale(album, None, recursive=True)
    assert again.counts == {"done": 0, "kept": 4, "failed": 0, "left": 0}
    assert again.earlier_results == 4
    (album / "a.png").unlink()  # the result of a picture that is gone is no picture to be upscaled
    assert upscale(album, None, recursive=True).counts["kept"] == 3
    part = upscale(album / "deep" / "er", None)  # the manifest above is found
    assert part.counts["kept"] == 1
    assert upscale(album, None, size=Size(scale=4)).counts["done"] == 2
    with pytest.raises(PictureError, match="results of earlier runs"):
        upscale(album / "b_x2.jpg", None)


def test_results_inside_the_folder_are_not_read_again(album: Path) -> None:
    upscale(album, album / "out", recursive=True)
    report = upscale(album, album / "out", recursive=True)
    assert report.counts["kept"] == 4
    assert len(names(album / "out")) == 4


def test_results_beside_pictures_are_left_out_where_both_are(album: Path, tmp_path: Path) -> None:
    upscale(album, None)
    report = upscale(album, tmp_path / "out", size=Size(scale=3))
    assert names(tmp_path / "out") == ["a_x3.png", "b_x3.jpg", "d_x3.png"]
    assert report.earlier_results == 3
    first = upscale(album, tmp_path / "larger", size=Size(scale=2)).counts["done"]
    assert upscale(tmp_path / "larger", tmp_path / "twice").counts["done"] == first == 3  # a result can be a source


# --- what is made again


def test_a_second_run_makes_only_what_changed(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out, recursive=True)
    before = {name: (sha256(out / name), (out / name).stat().st_mtime_ns) for name in names(out)}
    (out / "a_x2.png").unlink()
    with (out / "b_x2.jpg").open("r+b") as file:  # the size and the times as they were
        times = os.fstat(file.fileno())
        file.seek(300)
        file.write(bytes(200))
    os.utime(out / "b_x2.jpg", ns=(times.st_atime_ns, times.st_mtime_ns))
    draw(album / "d.png", 99)
    networks = Networks()
    report = upscale(album, out, recursive=True, networks=networks)
    assert {i.source.name: (i.status, i.reason) for i in report.items} == {
        "a.png": ("done", "missing"),
        "b.jpg": ("done", "damaged"),
        "c.png": ("kept", None),
        "d.png": ("done", "changed"),
    }
    after = {name: sha256(out / name) for name in names(out)}
    assert {name for name in after if after[name] != before[name][0]} == {"d_x2.png"}
    assert (out / "deep/er/c_x2.png").stat().st_mtime_ns == before["deep/er/c_x2.png"][1]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"strength": 0.5}, "other settings"),
        ({"output": Output(quality=50, format="jpeg"), "pattern": "{stem}_x{scale}.jpg"}, "other settings"),
        ({"networks": Networks("other")}, "other weights"),
        ({"redo": True}, "redone"),
        ({"tile": 96}, None),
    ],
)
def test_other_settings_make_other_results(album: Path, tmp_path: Path, asked: dict[str, Any], why: str | None) -> None:
    first = {"pattern": asked["pattern"]} if "pattern" in asked else {}
    upscale(album, tmp_path / "out", **first)
    report = upscale(album, tmp_path / "out", **asked)
    assert {item.reason for item in report.items} == {why}
    assert report.counts["done" if why else "kept"] == 3


def test_what_nobody_knows_is_not_overwritten(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a_x2.png").write_text("precious")
    report = upscale(album, out)
    assert status(report) == {"a.png": "failed", "b.jpg": "done", "d.png": "done"}
    assert "--overwrite" in (report.failed[0].reason or "")
    assert (out / "a_x2.png").read_text() == "precious"
    assert upscale(album, out).counts["failed"] == 1
    assert upscale(album, out, overwrite=True).counts == {"done": 1, "kept": 2, "failed": 0, "left": 0}
    assert upscale(album, out).counts["kept"] == 3


def test_a_link_in_the_place_of_a_result_is_not_written_through(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    (out / "a_x2.png").unlink()
    (out / "a_x2.png").symlink_to(album / "d.png")
    before = (album / "d.png").read_bytes()
    report = upscale(album, out, overwrite=True, redo=True)
    assert status(report)["a.png"] == "failed"
    assert (album / "d.png").read_bytes() == before


def test_an_unfinished_result_is_made_again(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    upscale(album, out, redo=True)
    head, *lines = [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]
    begun = [line for line in lines if line["temporary"] and line["output"] is None]
    assert len(begun) == 3
    text = "".join(json.dumps(line) + "\n" for line in [head, *begun])
    (out / MANIFEST).write_text(text + '{"target": "a_x2.p')  # torn
    for line in begun:
        (out / line["temporary"]).write_text("left over")
    report = upscale(album, out)
    assert {item.reason for item in report.items} == {"unfinished"}
    assert report.counts["done"] == 3
    assert not list(out.glob(".*.partial"))
    assert upscale(album, out).counts["kept"] == 3


def test_what_was_whole_before_the_kill_is_kept(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    head, *lines = (out / MANIFEST).read_text().splitlines(keepends=True)
    before = [line for line in lines if json.loads(line)["temporary"]]
    assert len(before) == 6
    (out / MANIFEST).write_text("".join([head, *before]))  # as it is when a result has just got its name
    (out / "a_x2.png").unlink()
    assert status(upscale(album, out)) == {"a.png": "done", "b.jpg": "kept", "d.png": "kept"}


@pytest.mark.parametrize("finished", [True, False])
def test_a_temporary_of_someone_else_is_left(album: Path, tmp_path: Path, *, finished: bool) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    if not finished:
        head, *lines = [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]
        begun = [head, *(line for line in lines if line["output"] is None)]
        (out / MANIFEST).write_text("".join(json.dumps(line) + "\n" for line in begun))
    (out / ".0123456789ab.partial").write_text("another command's")
    upscale(album, out, overwrite=True, redo=True)
    assert (out / ".0123456789ab.partial").exists()


def test_a_manifest_names_only_temporaries_to_remove(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    head, line, *_ = (out / MANIFEST).read_text().splitlines()
    entry = {**json.loads(line), "temporary": "precious.png", "target": "precious_x2.png"}
    (out / MANIFEST).write_text(head + "\n" + json.dumps(entry) + "\n")
    (out / "precious.png").write_text("precious")
    upscale(album, out, overwrite=True)
    assert (out / "precious.png").read_text() == "precious"


def test_what_someone_changed_is_left_as_it_is(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    edited = draw(out / "a_x2.png", 77).read_bytes()
    for redo in (False, True):
        report = upscale(album, out, redo=redo)
        (item,) = [item for item in report.items if item.source.name == "a.png"]
        assert item.status == "kept"
        assert "changed since" in item.notes[0]
    report = upscale(album, out, strength=0.5)
    assert status(report) == {"a.png": "failed", "b.jpg": "done", "d.png": "done"}
    assert "--overwrite" in (report.failed[0].reason or "")
    assert (out / "a_x2.png").read_bytes() == edited
    assert upscale(album, out, strength=0.5, overwrite=True).counts == {"done": 1, "kept": 2, "failed": 0, "left": 0}
    assert upscale(album, out, strength=0.5).counts["kept"] == 3


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_what_is_no_picture_any_more_is_made_again(album: Path, tmp_path: Path, content: bytes | None) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    right = (out / "a_x2.png").read_bytes()
    (out / "a_x2.png").write_bytes(right[:-20] if content is None else content)
    assert [item.reason for item in upscale(album, out).with_status("done")] == ["damaged"]
    assert (out / "a_x2.png").read_bytes() == right


def test_a_changed_result_is_no_damaged_one_whatever_keeps_it_from_being_read(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    edited = draw(out / "a_x2.png", 77, (64, 64)).read_bytes()
    (out / "d_x2.png").write_bytes(b"8BPS and what else is a document of an editor")
    (out / "b_x2.jpg").write_bytes(edited[:-30])  # of another format, though cut short
    limits = Limits(file_mb=len(edited) / 2e6, pixels=48 * 48)
    report = upscale(album, out, limits=limits)
    assert report.counts == {"done": 0, "kept": 3, "failed": 0, "left": 0}
    assert [len(item.notes) for item in report.items] == [1, 1, 1]
    assert (out / "a_x2.png").read_bytes() == edited


def test_what_was_replaced_once_is_not_replaced_again(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    mine = draw(out / "a_x2.png", 77).read_bytes()
    assert upscale(album, out, overwrite=True).counts["done"] == 3
    (out / "a_x2.png").write_bytes(mine)
    assert "changed since" in upscale(album, out).items[0].notes[0]
    assert (out / "a_x2.png").read_bytes() == mine


def test_a_link_that_appears_during_the_run_is_not_written_through(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    kept = (out / "d_x2.png").read_bytes()

    def link(standing: Standing) -> None:
        if standing.phase == "upscaling" and not (out / "d_x2.png").is_symlink():
            (out / "d_x2.png").rename(tmp_path / "moved.png")
            (out / "d_x2.png").symlink_to(tmp_path / "moved.png")

    report = upscale(album, out, strength=0.5, on_progress=link)
    assert status(report) == {"a.png": "done", "b.jpg": "done", "d.png": "failed"}
    assert (tmp_path / "moved.png").read_bytes() == kept
    assert not list(tmp_path.glob("**/.*.partial"))


def test_what_a_kill_left_is_removed_though_nothing_is_to_be_made(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    lines = (out / MANIFEST).read_text().splitlines(keepends=True)
    sealed = [line for line in lines if '"temporary": "' in line and '"output": null' not in line]
    assert len(sealed) == 3
    (out / MANIFEST).write_text("".join([lines[0], *sealed]))
    left = out / json.loads(sealed[0])["temporary"]
    left.write_text("left over")
    assert upscale(album, out, dry_run=True).counts["kept"] == 3
    assert left.exists()
    with filelock.FileLock(out / LOCK):  # another run may work there: to tidy up is no reason to fail
        assert upscale(album, out).counts["kept"] == 3
    assert left.exists()
    (out / MANIFEST).write_text("".join([lines[0], *sealed]))
    assert upscale(album, out).counts["kept"] == 3
    assert not left.exists()
    assert '"temporary": "' not in (out / MANIFEST).read_text()


def test_a_line_that_was_not_written_whole_takes_no_other_with_it(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failed = os.write, list[bytes]()

    def write(file: int, data: bytes) -> int:
        if b"b.jpg" in data and not failed:
            failed.append(data)
            return real(file, data[:20])
        return real(file, data)

    monkeypatch.setattr(manifest.os, "write", write)
    report = upscale(album, tmp_path / "out")
    assert status(report)["b.jpg"] == "failed"
    monkeypatch.undo()
    assert upscale(album, tmp_path / "out").counts["failed"] == 0
    text = (tmp_path / "out" / MANIFEST).read_text()
    assert all(json.loads(line) for line in text.splitlines())


def test_what_changes_during_the_run_is_left_as_it_is(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)

    def edit(standing: Standing) -> None:
        if standing.phase == "upscaling":
            draw(out / "d_x2.png", 77)

    report = upscale(album, out, redo=True, on_progress=edit)
    assert status(report) == {"a.png": "done", "b.jpg": "done", "d.png": "failed"}
    assert "changed during this run" in (report.failed[0].reason or "")
    assert (out / "d_x2.png").read_bytes() == draw(tmp_path / "edited.png", 77).read_bytes()
    assert "changed since" in upscale(album, out).items[2].notes[0]


def test_a_manifest_of_a_later_version_is_refused(album: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MANIFEST).write_text('{"mafdn-manifest": 2}\n')
    with pytest.raises(MafdnError, match="later version"):
        upscale(album, tmp_path / "out")


WHOLE = dict.fromkeys(("source", "source_sha256", "settings", "weights", "output"), "a")


@pytest.mark.parametrize(
    "text",
    [
        *("", "\n\n", "[]\n", "nothing\n", '{"target": 3}\n', '{"target": "a"}\n', "\0" * 9),
        json.dumps({**WHOLE, "target": "a\0b/c.png"}),
        json.dumps({**WHOLE, "target": "\ud800/c.png"}),
        json.dumps({**WHOLE, "target": "c.png", "source": "\0"}),
        json.dumps({**WHOLE, "target": "../c.png", "temporary": ".0123456789ab.partial"}),
        json.dumps({**WHOLE, "target": "n" * 300 + "/c.png", "temporary": ".0123456789ab.partial"}),
    ],
)
def test_a_damaged_manifest_is_written_anew(album: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MANIFEST).write_text(text)
    (tmp_path / ".0123456789ab.partial").touch()
    assert upscale(album, tmp_path / "out").counts["done"] == 3
    assert (tmp_path / ".0123456789ab.partial").exists()
    assert upscale(album, tmp_path / "out").counts["kept"] == 3


def test_a_manifest_that_is_no_file_is_refused(album: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / MANIFEST)
    with pytest.raises(MafdnError, match="no regular file"):
        upscale(album, tmp_path / "out")


# --- what fails


def test_one_bad_file_is_reported_and_skipped(album: Path, tmp_path: Path) -> None:
    whole = draw(album / "broken.png", 5, (60, 60)).read_bytes()
    (album / "broken.png").write_bytes(whole[: len(whole) // 2])  # its header is right
    out = tmp_path / "out"
    first, report = upscale(album, out), upscale(album, out)
    for each in (first, report):
        assert [item.source.name for item in each.failed] == ["broken.png"]
    assert report.counts == {"done": 0, "kept": 3, "failed": 1, "left": 0}
    assert {p.name for p in out.iterdir()} == {"a_x2.png", "b_x2.jpg", "d_x2.png", *OURS}
    (album / "broken.png").write_bytes(whole)
    assert upscale(album, out).counts["done"] == 1


def test_a_bug_ends_only_its_own_picture(album: Path, tmp_path: Path) -> None:
    class Buggy(Repeat):
        def run(self, x: np.ndarray) -> np.ndarray:
            if x.shape[3] == 20:
                raise ZeroDivisionError("of\nall things")
            return super().run(x)

    draw(album / "c.png", 7, (12, 20))
    report = upscale(album, tmp_path / "out", networks=Networks(engine=Buggy))
    assert [i.source.name for i in report.failed] == ["c.png"]
    assert "internal error, ZeroDivisionError: of all things" in (report.failed[0].reason or "")
    assert not list((tmp_path / "out").glob(".*.partial"))


def test_what_failed_does_not_forget_the_result_before(album: Path, tmp_path: Path) -> None:
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
def test_a_full_disk_is_told_once(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    for seed in range(10):
        draw(album / f"more{seed}.png", seed)

    def full(path: Path) -> str:
        if path.parent == tmp_path / "out":
            raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)), str(path))
        return sha256(path)

    monkeypatch.setattr(pipeline, "sha256", full)
    report = upscale(album, tmp_path / "out")
    assert report.stopped is not None
    assert os.strerror(getattr(errno, number)) in report.stopped
    assert 1 <= report.counts["failed"] <= 4
    assert report.counts["left"] >= 9


def test_a_full_disk_is_told_once_though_the_encoder_does_not_say_so(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(10):
        draw(album / f"more{seed}.png", seed)

    def finish(self: pipeline.Pending, **_: object) -> None:
        self.cancel()
        raise EncodeError("whatever the codec says")

    monkeypatch.setattr(pipeline.Pending, "finish", finish)
    monkeypatch.setattr(pipeline.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6, 1000))  # pyright: ignore
    report = upscale(album, tmp_path / "out")
    assert report.stopped is not None
    assert "No space left" in report.stopped
    assert report.counts["failed"] <= 4


@pytest.mark.parametrize("stage", ["run", "finish"])
@pytest.mark.parametrize("number", ["ENOSPC", "EROFS"])
def test_a_full_disk_is_known_by_its_number_whatever_the_words(
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
    assert report.counts == {"done": 3, "kept": 0, "failed": 1, "left": 0}


def test_a_folder_that_vanishes_ends_the_run(album: Path, tmp_path: Path) -> None:
    for seed in range(10):
        draw(album / f"more{seed}.png", seed)

    def vanish(standing: Standing) -> None:
        if standing.phase == "upscaling" and standing.number == 4 and (tmp_path / "out").exists():
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


def test_time_limits_are_for_each_picture(album: Path, tmp_path: Path) -> None:
    class Slow(Repeat):
        def run(self, x: np.ndarray) -> np.ndarray:
            time.sleep(0.25)
            return super().run(x)

    report = upscale(album, tmp_path / "out", networks=Networks(engine=Slow), limits=Limits(seconds=0.6))
    assert report.counts["done"] == 3


def test_a_size_may_need_another_network(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.png", 0, (12, 16))
    draw(tmp_path / "in" / "b.png", 1, (12, 32))
    networks = Networks()
    report = upscale(tmp_path / "in", tmp_path / "out", networks=networks, size=Size(width=64))
    assert {i.new_size for i in report.items} == {(64, 48), (64, 24)}
    assert sorted(networks.opened) == [2, 4]


def test_a_quality_is_for_formats_that_have_one(album: Path, tmp_path: Path) -> None:
    assert upscale(album, tmp_path / "out", output=Output(quality=40)).counts["done"] == 3
    with pytest.raises(UsageError, match="PNG has no quality"):
        upscale(album, tmp_path / "out", output=Output(quality=40, format="png"))


# --- hostile


def test_links_that_go_round_end(album: Path, tmp_path: Path) -> None:
    (album / "deep" / "up").symlink_to(album, target_is_directory=True)
    (album / "self.png").symlink_to("self.png")
    (album / "gone.png").symlink_to("nowhere.png")
    (album / "a_link.png").symlink_to("a.png")
    report = upscale(album, tmp_path / "out", recursive=True)
    assert report.counts == {"done": 5, "kept": 0, "failed": 2, "left": 0}
    assert report.links == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
@pytest.mark.timeout(20)
def test_fifos_are_never_opened(album: Path, tmp_path: Path) -> None:
    os.mkfifo(album / "pipe.png")
    os.mkfifo(album / "pipe")
    report = upscale(album, tmp_path / "out")
    assert [item.source.name for item in report.failed] == ["pipe.png"]
    assert report.not_pictures == 2
    os.mkfifo(tmp_path / "out2")
    with pytest.raises(MafdnError, match="out2"):
        upscale(album, tmp_path / "out2")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_reported(album: Path, tmp_path: Path) -> None:
    (album / "a.png").chmod(0)
    (album / "deep").chmod(0)
    try:
        report = upscale(album, tmp_path / "out", recursive=True)
    finally:
        (album / "deep").chmod(0o755)
    assert status(report) == {"a.png": "failed", "b.jpg": "done", "d.png": "done", "deep": "failed"}


def test_a_folder_that_cannot_be_read_is_reported(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "er":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    report = upscale(album, tmp_path / "out", recursive=True)
    assert report.counts["done"] == 3
    assert "Permission denied" in (report.failed[0].reason or "")


def test_names_of_any_kind(tmp_path: Path) -> None:
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
    assert report.counts == {"done": 8, "kept": 0, "failed": 0, "left": 0}  # one is hidden
    assert upscale(folder, tmp_path / "out").counts["kept"] == 8
    json.dumps(report.for_programs(), default=str)


# --- pace


def test_decoding_and_encoding_do_not_hold_up_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(8):
        draw(tmp_path / "in" / f"{seed}.png", seed)

    class Slow(Repeat):
        def run(self, x: np.ndarray) -> np.ndarray:
            time.sleep(0.1)
            return super().run(x)

    real_prepare, real_finish = pipeline.prepare, pipeline.Pending.finish

    def prepare(*args: object, **kwargs: object) -> object:
        time.sleep(0.06)
        return real_prepare(*args, **kwargs)  # pyright: ignore

    def finish(self: pipeline.Pending, **given: object) -> object:
        time.sleep(0.06)
        return real_finish(self, **given)  # pyright: ignore

    monkeypatch.setattr(pipeline, "prepare", prepare)
    monkeypatch.setattr(pipeline.Pending, "finish", finish)
    report = upscale(tmp_path / "in", tmp_path / "out", networks=Networks(engine=Slow))
    assert report.counts["done"] == 8
    assert report.network_seconds >= 0.8
    assert report.waited_seconds < 0.3  # in turn it would be 0.96


def test_large_pictures_are_in_hand_alone(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "IN_HAND", 1)
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
    said: list[Standing] = []
    upscale(album, tmp_path / "out", on_progress=said.append)
    assert {s.phase for s in said} == {"checking", "upscaling"}
    last = said[-1]
    assert (last.number, last.count, last.done, last.total) == (3, 3, 2 * 32 * 24, 2 * 32 * 24)
    shares = [s.done / s.total for s in said if s.phase == "upscaling"]
    assert shares == sorted(shares)


def test_ctrl_c_keeps_what_is_done(album: Path, tmp_path: Path) -> None:
    def stop(standing: Standing) -> None:
        if standing.phase == "upscaling" and standing.number == 2:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(Stopped) as caught:
        upscale(album, out, recursive=True, on_progress=stop)
    assert caught.value.report.counts == {"done": 1, "kept": 0, "failed": 0, "left": 3}
    assert set(names(out)) == {"a_x2.png"}
    assert upscale(album, out, recursive=True).counts == {"done": 3, "kept": 1, "failed": 0, "left": 0}


# --- the command and the Python interface


def test_dry_run_writes_nothing(cli: Run, album: Path, tmp_path: Path) -> None:
    code, out, err = cli("upscale", album, "-o", tmp_path / "out", "--recursive", "--dry-run")
    assert (code, err) == (0, "")
    assert f"{album}/deep/er/c.png -> {tmp_path}/out/deep/er/c_x4.png (new)" in out
    assert "4 to be made" in out
    assert not (tmp_path / "out").exists()


def test_the_command(cli: Run, album: Path, tmp_path: Path) -> None:
    (album / "bad.png").write_text("no")
    out, report = tmp_path / "out", tmp_path / "report.json"
    code, text, err = cli("upscale", album, "-o", out, "-s", 2, "--report", report, "--pattern", "{stem}{ext}")
    assert (code, err) == (1, "mafdn: 1 of 4 pictures failed\n")
    for words in ("bad.png", "is not a picture", "3 made, 1 failed", "skipped 1 file that is no picture"):
        assert words in text
    stored = json.loads(report.read_text())
    assert stored["counts"] == {"done": 3, "kept": 0, "failed": 1, "left": 0}
    assert stored["machine"]["cores"] >= 1
    assert stored["engines"][0].startswith("openvino")
    first = stored["pictures"][0]
    assert (first["source"], first["status"], first["new_size"]) == (str(album / "a.png"), "done", [32, 24])
    assert first["seconds"] >= first["network_seconds"] > 0
    (album / "bad.png").unlink()
    assert cli("upscale", album, "-o", out, "-s", 2, "--pattern", "{stem}{ext}", "-q") == (0, "", "")
    code, text, err = cli("upscale", album, "-o", out, "-s", 2, "--pattern", "{stem}{ext}", "--json")
    assert (code, err, json.loads(text)["counts"]["kept"]) == (0, "", 3)


def test_what_could_mean_two_things_is_asked(cli: Run, album: Path, tmp_path: Path) -> None:
    def refused(*arguments: object) -> str:
        code, out, err = cli("upscale", *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        return err

    assert "give -o" in refused(album / "a.png", album)
    assert "give a folder" in refused(album / "a.png", "-o", tmp_path / "out.png")
    assert "{stem}" in refused(album, "-o", tmp_path / "out", "--pattern", "same.png")
    assert "--scale" in refused(album, "-o", tmp_path / "out", "--pattern", "{stem}_x{scale}{ext}", "--width", 9)
    assert "no such folder" in refused(album, "--report", tmp_path / "no" / "report.json")
    code, _, err = cli("upscale", album / "a.png", album / "d.png")
    assert (code, "exists" in err) == (1, True)
    assert names(tmp_path / "album") == ["a.png", "b.jpg", "d.png", "deep/er/c.png", "notes.txt"]


def test_from_python(album: Path, tmp_path: Path) -> None:
    report = mafdn.upscale_folder(album, tmp_path / "out", size=Size(scale=2), threads=1)
    assert report.counts["done"] == 3
    assert report.engines[0].startswith("openvino")
    again = mafdn.upscale_folder([album / "a.png"], tmp_path / "out", size=Size(scale=2), threads=1)
    assert again.counts["kept"] == 1
