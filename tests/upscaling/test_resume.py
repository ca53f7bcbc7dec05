"""What a second run keeps, re-creates and refuses."""

import json
import os
from pathlib import Path
from typing import Any

import filelock
import pytest

from mafdn._support.atomic import sha256
from mafdn.errors import MafdnError
from mafdn.pictures.limits import Limits
from mafdn.upscaling.folder import manifest
from mafdn.upscaling.folder.report import FolderProgress
from mafdn.upscaling.output import Output
from mafdn.upscaling.shards import LOCK, MANIFEST
from tests.support import draw
from tests.upscaling.conftest import Networks, names, status, upscale


def test_a_second_run_only_recreates_what_changed(album: Path, tmp_path: Path) -> None:
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
def test_other_settings_recreate_results(album: Path, tmp_path: Path, asked: dict[str, Any], why: str | None) -> None:
    first = {"pattern": asked["pattern"]} if "pattern" in asked else {}
    upscale(album, tmp_path / "out", **first)
    report = upscale(album, tmp_path / "out", **asked)
    assert {item.reason for item in report.items} == {why}
    assert report.counts["done" if why else "kept"] == 3


def test_files_of_others_are_not_overwritten(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a_x2.png").write_text("precious")
    report = upscale(album, out)
    assert status(report) == {"a.png": "failed", "b.jpg": "done", "d.png": "done"}
    assert "option overwrite" in (report.failed[0].reason or "")
    assert (out / "a_x2.png").read_text() == "precious"
    assert upscale(album, out).counts["failed"] == 1
    assert upscale(album, out, overwrite=True).counts == {"done": 1, "kept": 2, "failed": 0, "left": 0, "skipped": 0}
    assert upscale(album, out).counts["kept"] == 3


def test_a_link_at_the_target_is_not_followed(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    (out / "a_x2.png").unlink()
    (out / "a_x2.png").symlink_to(album / "d.png")
    before = (album / "d.png").read_bytes()
    report = upscale(album, out, overwrite=True, redo=True)
    assert status(report)["a.png"] == "failed"
    assert (album / "d.png").read_bytes() == before


def test_an_unfinished_result_is_recreated(album: Path, tmp_path: Path) -> None:
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


def test_a_result_completed_before_the_kill_is_kept(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    head, *lines = (out / MANIFEST).read_text().splitlines(keepends=True)
    before = [line for line in lines if json.loads(line)["temporary"]]
    assert len(before) == 6
    (out / MANIFEST).write_text("".join([head, *before]))  # as it is when a result has just got its name
    (out / "a_x2.png").unlink()
    assert status(upscale(album, out)) == {"a.png": "done", "b.jpg": "kept", "d.png": "kept"}


@pytest.mark.parametrize("finished", [True, False])
def test_temporary_files_of_others_are_kept(album: Path, tmp_path: Path, *, finished: bool) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    if not finished:
        head, *lines = [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]
        begun = [head, *(line for line in lines if line["output"] is None)]
        (out / MANIFEST).write_text("".join(json.dumps(line) + "\n" for line in begun))
    (out / ".0123456789ab.partial").write_text("another command's")
    upscale(album, out, overwrite=True, redo=True)
    assert (out / ".0123456789ab.partial").exists()


def test_only_temporary_names_in_a_manifest_are_removed(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    head, line, *_ = (out / MANIFEST).read_text().splitlines()
    entry = {**json.loads(line), "temporary": "precious.png", "target": "precious_x2.png"}
    (out / MANIFEST).write_text(head + "\n" + json.dumps(entry) + "\n")
    (out / "precious.png").write_text("precious")
    upscale(album, out, overwrite=True)
    assert (out / "precious.png").read_text() == "precious"


def test_an_edited_result_is_kept(album: Path, tmp_path: Path) -> None:
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
    assert "option overwrite" in (report.failed[0].reason or "")
    assert (out / "a_x2.png").read_bytes() == edited
    assert upscale(album, out, strength=0.5, overwrite=True).counts == {
        "done": 1,
        "kept": 2,
        "failed": 0,
        "left": 0,
        "skipped": 0,
    }
    assert upscale(album, out, strength=0.5).counts["kept"] == 3


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_damaged_result_is_recreated(album: Path, tmp_path: Path, content: bytes | None) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    right = (out / "a_x2.png").read_bytes()
    (out / "a_x2.png").write_bytes(right[:-20] if content is None else content)
    assert [item.reason for item in upscale(album, out).with_status("done")] == ["damaged"]
    assert (out / "a_x2.png").read_bytes() == right


def test_an_edited_result_that_cannot_be_read_is_not_damaged(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    edited = draw(out / "a_x2.png", 77, (64, 64)).read_bytes()
    (out / "d_x2.png").write_bytes(b"gimp xcf and what else is a document of an editor")
    (out / "b_x2.jpg").write_bytes(edited[:-30])  # of another format, though cut short
    limits = Limits(file_mb=len(edited) / 2e6, pixels=48 * 48)
    report = upscale(album, out, limits=limits)
    assert report.counts == {"done": 0, "kept": 3, "failed": 0, "left": 0, "skipped": 0}
    assert [len(item.notes) for item in report.items] == [1, 1, 1]
    assert (out / "a_x2.png").read_bytes() == edited


def test_a_file_restored_after_overwrite_is_kept(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    mine = draw(out / "a_x2.png", 77).read_bytes()
    assert upscale(album, out, overwrite=True).counts["done"] == 3
    (out / "a_x2.png").write_bytes(mine)
    assert "changed since" in upscale(album, out).items[0].notes[0]
    assert (out / "a_x2.png").read_bytes() == mine


def test_a_link_that_appears_during_the_run_is_not_followed(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    kept = (out / "d_x2.png").read_bytes()

    def link(at: FolderProgress) -> None:
        if at.phase == "upscaling" and not (out / "d_x2.png").is_symlink():
            (out / "d_x2.png").rename(tmp_path / "moved.png")
            (out / "d_x2.png").symlink_to(tmp_path / "moved.png")

    report = upscale(album, out, strength=0.5, on_progress=link)
    assert status(report) == {"a.png": "done", "b.jpg": "done", "d.png": "failed"}
    assert (tmp_path / "moved.png").read_bytes() == kept
    assert not list(tmp_path.glob("**/.*.partial"))


def test_files_left_by_a_kill_are_removed_even_if_all_is_up_to_date(album: Path, tmp_path: Path) -> None:
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


def test_a_torn_line_does_not_damage_others(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_result_edited_during_the_run_is_kept(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)

    def edit(at: FolderProgress) -> None:
        if at.phase == "upscaling":
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
def test_a_damaged_manifest_is_rewritten(album: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MANIFEST).write_text(text)
    (tmp_path / ".0123456789ab.partial").touch()
    assert upscale(album, tmp_path / "out").counts["done"] == 3
    assert (tmp_path / ".0123456789ab.partial").exists()
    assert upscale(album, tmp_path / "out").counts["kept"] == 3


def test_a_manifest_that_is_not_a_file_is_refused(album: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / MANIFEST)
    with pytest.raises(MafdnError, match="not a regular file"):
        upscale(album, tmp_path / "out")
