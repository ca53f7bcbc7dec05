"""Folders on the command line and in Python."""

import errno
import json
import os
from pathlib import Path
from typing import NoReturn

import pytest

import mafdn
from mafdn.upscaling.folder.report import Stopped
from tests.conftest import Run
from tests.upscaling.conftest import names


def test_dry_run_writes_nothing(cli: Run, album: Path, tmp_path: Path) -> None:
    code, out, err = cli("upscale", album, "-o", tmp_path / "out", "--recursive", "--dry-run")
    assert (code, err) == (0, "")
    assert f"{album}/deep/er/c.png -> {tmp_path}/out/deep/er/c_x4.png (new), 16x12 to 64x48" in out
    assert "4 to upscale" in out
    assert not (tmp_path / "out").exists()


def test_the_command(cli: Run, album: Path, tmp_path: Path) -> None:
    (album / "bad.png").write_text("no")
    out, report = tmp_path / "out", tmp_path / "report.json"
    code, text, err = cli("upscale", album, "-o", out, "-s", 2, "--report", report, "--pattern", "{stem}{ext}")
    assert (code, err) == (1, "mafdn: 1 of 4 pictures failed\n")
    for words in ("bad.png", "is not a picture", "3 upscaled, 1 failed", "skipped 1 file that is not a picture"):
        assert words in text
    stored = json.loads(report.read_text())
    assert stored["counts"] == {"done": 3, "kept": 0, "failed": 1, "left": 0, "skipped": 0}
    assert stored["machine"]["cores"] >= 1
    assert stored["engines"][0].startswith("openvino")
    first = stored["pictures"][0]
    assert (first["source"], first["status"], first["new_size"]) == (str(album / "a.png"), "done", [32, 24])
    assert first["seconds"] >= first["network_seconds"] > 0
    (album / "bad.png").unlink()
    assert cli("upscale", album, "-o", out, "-s", 2, "--pattern", "{stem}{ext}", "-q") == (0, "", "")
    code, text, err = cli("upscale", album, "-o", out, "-s", 2, "--pattern", "{stem}{ext}", "--json")
    assert (code, err, json.loads(text)["counts"]["kept"]) == (0, "", 3)


def test_quiet_names_only_what_failed(cli: Run, album: Path, tmp_path: Path) -> None:
    (album / "bad.png").write_text("no")
    code, text, err = cli("upscale", album, "-o", tmp_path / "out", "-s", 2, "--quiet")
    assert (code, text) == (1, "")
    first, last = err.splitlines()
    assert first.startswith(f"{album}/bad.png is not a picture in a known format")
    assert last == "mafdn: 1 of 4 pictures failed"
    for number in range(40):
        (album / f"bad{number:02d}.png").write_text("no")
    code, text, err = cli("upscale", album, "-o", tmp_path / "out", "-s", 2, "--quiet")
    assert (code, text, err.count("not a picture")) == (1, "", 30)
    assert "and 11 more; --report FILE lists all\n" in err


def test_a_report_that_cannot_be_written_costs_no_summary(
    cli: Run, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{path}.partial")

    monkeypatch.setattr("mafdn.cli.folders.replacing", full)
    report = tmp_path / "report.json"
    code, text, err = cli("upscale", album, "-o", tmp_path / "out", "-s", 2, "--report", report)
    assert (code, err) == (1, f"mafdn: cannot write {report}: No space left on device\n")
    assert "3 upscaled" in text
    (album / "bad.png").write_text("no")
    code, _, err = cli("upscale", album, "-o", tmp_path / "out", "-s", 2, "--report", report)
    assert (code, err) == (
        1,
        f"cannot write {report}: No space left on device\nmafdn: 1 of 4 pictures failed\n",
    )

    so_far = mafdn.upscale_folder(album, tmp_path / "out", size=2)

    def stop(*_: object, **__: object) -> NoReturn:
        raise Stopped(so_far)

    monkeypatch.setattr("mafdn.api.upscale_folder", stop)
    code, _, err = cli("upscale", album, "-o", tmp_path / "out", "-s", 2, "--report", report)
    assert code == 130
    assert "run the same command again to resume" in err


def test_ambiguous_commands_are_refused(cli: Run, album: Path, tmp_path: Path) -> None:
    def refused(*arguments: object) -> str:
        code, out, err = cli("upscale", *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        return err

    assert "use -o" in refused(album / "a.png", album)
    assert "give a folder" in refused(album, "-o", tmp_path / "out.png")
    assert "give a folder" in refused(album / "a.png", album / "d.png", "-o", tmp_path / "out.png")
    assert "--redo needs a folder" in refused(album / "a.png", "-o", tmp_path / "out.png", "--redo")
    assert "{stem}" in refused(album, "-o", tmp_path / "out", "--pattern", "same.png")
    assert "--scale" in refused(album, "-o", tmp_path / "out", "--pattern", "{stem}_x{scale}{ext}", "--width", 9)
    assert "no such folder" in refused(album, "--report", tmp_path / "no" / "report.json")
    assert "not a regular file" in refused(album, "-o", tmp_path / "out", "--report", album)
    before = (album / "a.png").read_bytes()
    assert "name of a picture" in refused("-o", tmp_path / "out", "--report", album / "a.png", album / "b.jpg")
    assert (album / "a.png").read_bytes() == before
    assert not (tmp_path / "out").exists()
    assert "-o FOLDER upscales both" in refused(album / "a.png", album / "d.png")
    assert names(tmp_path / "album") == ["a.png", "b.jpg", "d.png", "deep/er/c.png", "notes.txt"]


def test_from_python(album: Path, tmp_path: Path) -> None:
    report = mafdn.upscale_folder(album, tmp_path / "out", size=2, engine=mafdn.EngineOptions(threads=1))
    assert report.counts["done"] == 3
    assert report.engines[0].startswith("openvino")
    again = mafdn.upscale_folder([album / "a.png"], tmp_path / "out", size=2, engine=mafdn.EngineOptions(threads=1))
    assert again.counts["kept"] == 1
