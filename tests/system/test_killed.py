"""A run over a folder that is killed or stopped, and resumed: only complete files, and the same bytes in the end."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import mafdn
from mafdn._support.interrupts import stop_signals
from mafdn.pictures.reading import open_picture
from mafdn.upscaling.shards import LOCK, MANIFEST
from tests.support import contents, draw, files_below

HIDDEN = {MANIFEST, LOCK}
ENDINGS = ("png", "jpg", "webp", "tif")


def command(album: Path, out: Path, *more: str) -> list[str]:
    asked = ["upscale", str(album), "-o", str(out), "--recursive", "--scale", "2", "--threads", "1", "--quiet", *more]
    return [sys.executable, "-m", "mafdn", *asked]


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*") if path.name not in HIDDEN]


def build(folder: Path, count: int, size: tuple[int, int]) -> Path:
    for number in range(count):
        ending = ENDINGS[number % len(ENDINGS)]
        draw(folder / f"part{number % 3}" / f"{number:03d}.{ending}", number, size)
    return folder


@contextmanager
def watched(out: Path, right: dict[str, bytes]) -> Generator[list[str]]:
    """Watch `out` all the time and collect the names of files with wrong content."""
    wrong: list[str] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            wrong.extend(name for name, content in contents(out).items() if content != right.get(name))
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield wrong
    finally:
        ended.set()
        thread.join()


def count(out: Path) -> int:
    return sum(not path.name.startswith(".") for path in files_below(out))


def kill_and_resume(tmp_path: Path, *, pictures: int, kills: int, size: tuple[int, int], engine: str) -> None:
    album, out = build(tmp_path / "in", pictures, size), tmp_path / "out"
    run = command(album, out, "--engine", engine)
    options = mafdn.EngineOptions(threads=1, engine=engine)
    mafdn.upscale_folder(album, tmp_path / "right", size=2, recursive=True, engine=options)
    right = contents(tmp_path / "right")
    assert len(right) == pictures
    chance, done, killed = random.Random(pictures), 0, 0
    with watched(out, right) as wrong:
        for number in range(kills):
            process = subprocess.Popen(run, stderr=subprocess.PIPE)
            if number % 4 == 3:  # of four kills one comes at any time, three while pictures are made
                time.sleep(chance.uniform(0, 2))
            else:
                enough = count(out) + chance.randint(0, pictures // (2 * kills))
                deadline = time.monotonic() + 120
                while count(out) <= enough and process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.001)
                time.sleep(chance.uniform(0, 0.02))
            process.kill()
            _, err = process.communicate()
            assert process.returncode in (-signal.SIGKILL, 0), err
            killed += process.returncode != 0
            found = contents(out)
            assert all(content == right[name] for name, content in found.items())
            assert len(found) >= done, "a result was lost"
            done = len(found)
        assert killed > kills // 2, "most kills came too late"
        last = subprocess.run(run, capture_output=True, text=True, timeout=240, check=False)
        assert (last.returncode, last.stderr) == (0, "")
    assert wrong == []
    assert contents(out) == right
    assert leftovers(out) == []
    for name in right:
        assert open_picture(out / name).width == 2 * size[1]


def test_a_killed_run_resumes(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, pictures=36, kills=4, size=(48, 64), engine="onnxruntime")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_kills_in_two_hundred_pictures(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, pictures=200, kills=10, size=(48, 64), engine="openvino")


@pytest.mark.parametrize("number", stop_signals())
def test_ctrl_c_shows_how_to_resume(tmp_path: Path, number: signal.Signals) -> None:
    album, out = build(tmp_path / "in", 20, (96, 128)), tmp_path / "out"
    report = tmp_path / "report.json"
    process = subprocess.Popen(
        command(album, out, "--report", str(report), "--engine", "onnxruntime"),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not count(out) and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, number)
    text, err = process.communicate(timeout=120)
    done = len(contents(out))
    assert process.returncode == 130
    assert (text, err) == (
        "",
        f"{done} of 20 pictures are done; run the same command again to resume\nmafdn: stopped\n",
    )
    assert 0 < done < 20
    assert leftovers(out) == []
    assert report.is_file()
    first = {name: path.stat().st_mtime_ns for name in contents(out) if (path := out / name)}
    again = subprocess.run(
        command(album, out, "--engine", "onnxruntime"), capture_output=True, text=True, timeout=180, check=False
    )
    assert (again.returncode, again.stderr) == (0, "")
    assert len(contents(out)) == 20
    assert {name: (out / name).stat().st_mtime_ns for name in first} == first


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGHUP")
@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_leaves_no_temporary_file(tmp_path: Path, *, ignored: bool) -> None:
    draw(tmp_path / "a.png", 0, (300, 400))
    asked = ["upscale", "a.png", "--engine", "onnxruntime", "--threads", "1", "--quiet"]
    process = subprocess.Popen(
        [*(["nohup"] if ignored else []), sys.executable, "-m", "mafdn", *asked],
        cwd=tmp_path,
    )
    deadline = time.monotonic() + 120
    while not leftovers(tmp_path) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    assert leftovers(tmp_path)
    os.kill(process.pid, signal.SIGHUP)
    assert process.wait(120) == (0 if ignored else 130)
    assert leftovers(tmp_path) == []
    assert (tmp_path / "a_x4.png").exists() == ignored
