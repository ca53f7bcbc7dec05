"""Damaged and hostile files: a correct result or an error of one line, and no files left behind."""

import json
import os
import struct
import subprocess
import sys
import threading
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
import pyvips

from mafdn.errors import MafdnError, PictureError
from mafdn.pictures.formats import FORMATS
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import read_header
from mafdn.upscaling.preflight import check_room
from mafdn.upscaling.several import Sizes
from tests.conftest import ROOT
from tests.support import Repeat, check_loaders_are_blocked, refuse, upscale_file

HANG = 60.0
"""Seconds without an answer after which the child is taken to hang."""


def answers(paths: list[Path], folder: Path) -> list[dict[str, object]]:
    """What the child said of each path; fails when it ends or hangs before the last, or says anything else."""
    environment = {**os.environ, "VIPS_CONCURRENCY": "1", "PYTHONFAULTHANDLER": "1"}
    said: list[dict[str, object]] = []
    with (
        (folder / "stderr").open("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.pictures.corpus", str(folder / "out")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env=environment,
        ) as child,
    ):
        assert child.stdin
        assert child.stdout
        for number, path in enumerate(paths):
            watchdog = threading.Timer(HANG, child.kill)
            watchdog.start()
            try:
                child.stdin.write(f"{number}\t{path}\n")
                child.stdin.flush()
                line = child.stdout.readline()
            except BrokenPipeError:
                line = ""
            watchdog.cancel()
            if not line:
                child.wait()
                errors.seek(0)
                pytest.fail(f"{path} ended the child with {child.returncode}: {errors.read()}")
            said.append(json.loads(line))
        child.stdin.close()
        assert child.wait(timeout=30) == 0
        errors.seek(0)
        assert "Traceback" not in errors.read()
    return said


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.timeout(900)
def test_every_picture_of_the_corpora(corpora: Path, tmp_path: Path) -> None:
    entries = json.loads((corpora / "manifest.json").read_text())
    paths = [corpora / entry["file"] for entry in entries]
    assert len(paths) == 750
    (tmp_path / "out").mkdir()
    done = 0
    for path, said in zip(paths, answers(paths, tmp_path), strict=True):
        assert said["wrong"] == "", (path, said)
        assert said["left"] == [], (path, said)
        if said["error"] is None:
            done += 1
        else:
            assert "\n" not in str(said["error"])
            assert str(path) in str(said["error"])
    assert done >= 330, "fewer pictures are read than were"


# --- one by one


def refused(path: Path, *words: str, **options: object) -> None:
    before = sorted(path.parent.iterdir())
    with pytest.raises(MafdnError) as caught:
        upscale_file(path, engine=Repeat(), **options)  # pyright: ignore[reportArgumentType]
    text = caught.value.reason
    assert "\n" not in text
    for word in words:
        assert word in text
    assert sorted(path.parent.iterdir()) == before


def bomb(path: Path, side: int) -> Path:
    """A PNG of a few hundred bytes whose header says ``side`` x ``side``."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def test_a_header_of_65535_squared_is_refused_from_the_header(tmp_path: Path) -> None:
    refused(bomb(tmp_path / "bomb.png", 65_535), "65535x65535", "max_pixels")
    refused(bomb(tmp_path / "bomb.png", 20_000), "40000x40000", "max_pixels")  # the result
    pnm = tmp_path / "bomb.ppm"
    pnm.write_bytes(b"P6 65535 65535 65535\n123")
    refused(pnm, "65535x65535", "max_pixels")
    pnm.write_bytes(b"P6 9999 9999 255\n123")
    refused(pnm, "ends too early")


def test_limits_are_named(png: Path) -> None:
    refused(png, "max_pixels", limits=Limits(pixels=100))
    refused(png, "max_file_mb", limits=Limits(file_mb=0.0001))
    refused(png, "max_seconds", limits=Limits(seconds=0))
    upscale_file(png, engine=Repeat(), limits=Limits(pixels=32 * 24 * 4))


def test_time_ends_a_long_decode(tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    pyvips.Image.black(6000, 6000, bands=3).pngsave(str(large))
    refused(large, "max_seconds", limits=Limits(seconds=0.01))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_special_files_are_refused_in_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "empty.png").touch()
    (tmp_path / "zeros.png").write_bytes(bytes(5000))
    for name, word in {
        "fifo.png": "not a regular file",
        "loop.png": "cannot read",
        "gone.png": "cannot read",
        "empty.png": "empty",
        "zeros.png": "not a picture",
    }.items():
        refused(tmp_path / name, word)
    if Path("/dev/zero").exists():
        with pytest.raises(PictureError, match="regular file"):
            read_header(Path("/dev/zero"))
    for url in ("http://example.com/a.png", "file:///etc/passwd"):
        with pytest.raises(PictureError, match="No such file"):
            read_header(Path(url))


def test_an_unreadable_file_is_one_line(png: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, png)
    refused(png, "Permission denied")


def test_names_of_any_kind_are_only_names(png: Path) -> None:
    emoji = png.rename(png.with_name("\N{CAMERA}" * 62 + "abc.png"))
    assert len(os.fsencode(emoji.name)) == 255
    report = upscale_file(emoji, engine=Repeat())
    assert len(os.fsencode(report.target.name)) <= 255
    assert report.target.name.endswith("_x2.png")
    odd = emoji.rename(emoji.with_name("a\nb\x1b[31m.png"))
    assert upscale_file(odd, engine=Repeat()).target.name == "a\nb\x1b[31m_x2.png"
    odd.write_bytes(b"nothing")
    refused(odd, "a\\nb\\x1b[31m.png")


@pytest.mark.parametrize(
    ("start", "word"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"push graphic-context\nviewbox 0 0 1 1\nfill 'url(https://example.com/a.png)'", "known format"),
        (b"v/1\x01" + bytes(30), "OpenEXR"),
        (b"BM" + bytes(60), "known format"),
        (b"P7\nWIDTH 1\n", "PAM"),
    ],
)
def test_unsupported_formats_are_refused(tmp_path: Path, start: bytes, word: str) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(start)
    refused(path, word)


COMMANDS = {
    "upscale": ["upscale", "a.png", "--scale", "1", "--quiet"],
    "verify": ["verify", "a.png", "a.png", "--quiet"],
    "mcp": ["mcp"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_other_loaders_are_blocked_by_commands(command: str, png: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(png.parent)
    png.rename("a.png")
    check_loaders_are_blocked(
        "from mafdn.cli import run; assert run(sys.argv[3:]) == 0", png.parent, *COMMANDS[command]
    )


def test_other_loaders_are_blocked_in_processes_of_the_server(tmp_path: Path) -> None:
    check_loaders_are_blocked("from mafdn.web.processes.channel import become_child; become_child()", tmp_path)


def test_lack_of_memory_and_disk_space_is_reported_before_any_work(png: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = replace(read_header(png), width=20_000, height=20_000, channels=3, bits=16)

    def check() -> None:
        check_room(
            header,
            png.with_name("out.png"),
            scale=4,
            tile=512,
            sizes=Sizes(before=((20_000, 20_000),), after=((80_000, 80_000),)),
            kind=FORMATS["PNG"],
            lossless=False,
        )

    monkeypatch.setattr("mafdn.upscaling.preflight.available_mib", lambda: 1000.0)
    with pytest.raises(PictureError, match="memory"):
        check()
    monkeypatch.setattr("mafdn.upscaling.preflight.available_mib", lambda: None)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**6})())
    with pytest.raises(PictureError, match="MB"):
        check()
