"""A film that is interrupted: the same call goes on, and its result is, byte for byte, that of an undisturbed one."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mafdn.errors import EncodeError, MafdnError
from mafdn.film.options import FilmOptions
from mafdn.film.report import FilmProgress, FilmStopped
from mafdn.film.run import upscale_film_file
from tests.film import films
from tests.film.support import CODING, LENGTH, Fixed, folder_of, run, segments_in
from tests.support import Repeat


def segments_of(target: Path) -> int:
    return len(segments_in(folder_of(target)))


def interrupted(film: Path, target: Path, error: BaseException, *, after: int, **options: Any) -> None:
    """Run until `after` frames went through the network in this run, then raise `error` there."""
    first: list[int] = []

    def tick(at: FilmProgress) -> None:
        first.append(at.done)
        if at.phase == "frames" and at.done - first[0] >= after:
            raise error

    chosen = FilmOptions(**{**CODING, **options})
    upscale_film_file(film, target, networks=Fixed(Repeat()), options=chosen, on_progress=tick)


@pytest.mark.parametrize("after", [0, 1, 4, 5, 6, 11, 23])
def test_a_stopped_run_resumes_to_the_same_bytes(film: Path, right: bytes, after: int) -> None:
    target = film.with_name("film_x2.mp4")
    with pytest.raises(FilmStopped) as stopped:
        interrupted(film, target, KeyboardInterrupt(), after=after)
    assert not target.exists()
    assert stopped.value.frames % LENGTH == 0
    assert after - stopped.value.frames <= 2 * LENGTH + 6, "at most one segment is lost, besides what is in queues"
    assert segments_of(target) * LENGTH == stopped.value.frames
    report = run(film, **CODING)
    assert (report.kept_frames, report.frames) == (stopped.value.frames, 24)
    assert report.target.read_bytes() == right
    assert not folder_of(target).exists()


def test_a_run_that_is_stopped_again_and_again_gets_there(film: Path, right: bytes) -> None:
    target, times = film.with_name("film_x2.mp4"), 0
    while not target.exists():
        times += 1
        try:
            interrupted(film, target, KeyboardInterrupt(), after=LENGTH + 6)
        except FilmStopped:
            assert times < 24
    assert times > 1
    assert target.read_bytes() == right


def test_an_error_keeps_what_is_whole_and_says_so(film: Path, right: bytes) -> None:
    target = film.with_name("film_x2.mp4")
    with pytest.raises(EncodeError, match=r"no room; \d+ frames are kept: run the same command again to resume"):
        interrupted(film, target, EncodeError("no room"), after=20)
    assert segments_of(target) > 0
    assert run(film, **CODING).target.read_bytes() == right


def test_a_run_that_ends_while_joining_only_joins_again(film: Path, right: bytes) -> None:
    def stop(_: Path) -> None:
        raise MafdnError("not now")

    options = FilmOptions(**CODING)
    with pytest.raises(MafdnError, match="not now; 24 frames are kept"):
        upscale_film_file(film, networks=Fixed(Repeat()), options=options, on_whole=stop)
    engine = Repeat()
    report = run(film, engine=engine, **CODING)
    assert (report.kept_frames, report.frames_per_second, engine.shapes) == (24, None, set())
    assert report.target.read_bytes() == right


def test_a_damaged_segment_is_made_again(film: Path, right: bytes) -> None:
    target = film.with_name("film_x2.mp4")
    with pytest.raises(FilmStopped):
        interrupted(film, target, KeyboardInterrupt(), after=23)
    first = folder_of(target) / "000000.nut"
    first.write_bytes(first.read_bytes()[:-1])
    report = run(film, **CODING)
    assert "segment 0 was damaged: its frames are upscaled again" in report.notes
    assert report.kept_frames > 0
    assert report.target.read_bytes() == right


def test_other_settings_and_sources_begin_anew(film: Path, right: bytes) -> None:
    target = film.with_name("film_x2.mp4")
    with pytest.raises(FilmStopped):
        interrupted(film, target, KeyboardInterrupt(), after=23, crf=30)
    report = run(film, **CODING)
    assert "an earlier run had another encoder: all frames are upscaled again" in report.notes
    assert (report.kept_frames, report.target.read_bytes()) == (0, right)
    target.unlink()
    with pytest.raises(FilmStopped):
        interrupted(film, target, KeyboardInterrupt(), after=23)
    films.make(film, films.Film(frames=24, sounds=(films.Sound(tone=500),)))
    report = run(film, **CODING)
    assert "an earlier run had another source: all frames are upscaled again" in report.notes
    assert report.kept_frames == 0


def test_nothing_else_is_in_the_way_of_a_later_run(film: Path) -> None:
    target = film.with_name("film_x2.mp4")
    with pytest.raises(FilmStopped):
        interrupted(film, target, KeyboardInterrupt(), after=23)
    mine = folder_of(target) / "notes.txt"
    mine.write_text("mine")
    run(film, **CODING)
    assert [path.name for path in folder_of(target).iterdir()] == ["notes.txt"]


def command(film: Path, network: Path, *more: str) -> list[str]:
    asked = ["--scale", "2", "--segment-frames", "5", "--preset", "ultrafast", "--quiet"]
    engine = ["--network", str(network), "--engine", "onnxruntime", "--threads", "1"]
    return [sys.executable, "-m", "mafdn", "upscale", str(film), *asked, *engine, *more]


def kill_and_resume(film: Path, network: Path, *, kills: int) -> None:
    """Kill a run with SIGKILL, after each time a segment more at least, and compare the result in the end."""
    line = command(film, network)
    target, folder = film.with_name(f"{film.stem}_x2.mp4"), film.with_name(f".{film.stem}_x2.mp4.mafdn")
    subprocess.run(line, check=True, timeout=300)
    right = target.read_bytes()
    target.unlink()
    chance, killed = random.Random(kills), 0
    for _ in range(kills):
        process = subprocess.Popen(line, stderr=subprocess.PIPE)
        enough, deadline = len(segments_in(folder)), time.monotonic() + 240
        while len(segments_in(folder)) <= enough and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.05))
        whole = len(segments_in(folder))
        process.kill()
        _, err = process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0), err
        killed += process.returncode != 0
        assert target.exists() == (process.returncode == 0)
        if target.exists():
            break
        assert len(segments_in(folder)) >= whole, "a segment was lost"
    assert killed >= kills / 2, "most kills came too late"
    if not target.exists():
        subprocess.run(line, check=True, timeout=300)
    assert target.read_bytes() == right
    assert not folder.exists()


def test_a_killed_run_resumes(tmp_path: Path, exported: Path) -> None:
    film = films.make(tmp_path / "film.mp4", films.Film(frames=120, size=(96, 64), sounds=(films.Sound(),)))
    kill_and_resume(film, exported, kills=2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_kills(tmp_path: Path, exported: Path) -> None:
    film = films.make(tmp_path / "film.mp4", films.Film(frames=150, size=(320, 180), sounds=(films.Sound(),)))
    kill_and_resume(film, exported, kills=10)


def test_ctrl_c_says_how_to_resume(tmp_path: Path, exported: Path) -> None:
    film = films.make(tmp_path / "film.mp4", films.Film(frames=100, size=(160, 120)))
    folder = tmp_path / ".film_x2.mp4.mafdn"
    process = subprocess.Popen(
        command(film, exported), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    deadline = time.monotonic() + 240
    while not segments_in(folder) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    frames = json.loads((folder / "manifest.json").read_text())["segments"]
    kept = sum(segment["frames"] for segment in frames)
    assert (process.returncode, out) == (130, "")
    assert err == f"{kept} of about 100 frames are kept; run the same command again to resume\nmafdn: stopped\n"
    assert 0 < kept < 100
    again = subprocess.run(command(film, exported), check=True, timeout=300, capture_output=True, text=True)
    assert (again.stdout, again.stderr) == ("", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "film_x2.mp4"]


def test_a_full_disk_loses_nothing(film: Path, exported: Path) -> None:
    """A limit on the size of files stands for it: segments are below, and the joined film above."""
    line = command(film, exported)
    subprocess.run(line, check=True, timeout=300)
    target = film.with_name("film_x2.mp4")
    whole = target.read_bytes()
    target.unlink()
    limited = ["bash", "-c", 'ulimit -f "$0" && exec "$@"', str(len(whole) // 2048), *line]  # in KiB: half of it
    failed = subprocess.run(limited, capture_output=True, text=True, check=False, timeout=300)
    assert failed.returncode == 1
    assert failed.stderr.startswith("mafdn: cannot write ")
    assert failed.stderr.count("\n") == 1
    assert "24 frames are kept: run the same command again to resume" in failed.stderr
    assert not target.exists()
    assert not list(folder_of(target).glob("result*"))
    subprocess.run(line, check=True, timeout=300)
    assert target.read_bytes() == whole


def test_a_second_run_on_the_same_result_is_refused(film: Path) -> None:
    def second(_: FilmProgress) -> None:
        with pytest.raises(MafdnError, match="another run is working on"):
            run(film, **CODING)
        raise KeyboardInterrupt

    with pytest.raises(FilmStopped):
        upscale_film_file(film, networks=Fixed(Repeat()), options=FilmOptions(**CODING), on_progress=second)
    run(film, **CODING)


def test_a_film_that_was_moved_resumes(film: Path, right: bytes) -> None:
    target, elsewhere = film.with_name("film_x2.mp4"), film.parent / "elsewhere"
    with pytest.raises(FilmStopped):
        interrupted(film, target, KeyboardInterrupt(), after=11)
    elsewhere.mkdir()
    for path in (film, folder_of(target)):
        path.rename(elsewhere / path.name)
    report = run(elsewhere / film.name, elsewhere / target.name, **CODING)
    assert report.kept_frames > 0
    assert report.target.read_bytes() == right
