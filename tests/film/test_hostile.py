"""Damaged and hostile films: what can be decoded is saved, all else is one line, and nothing is half written."""

import json
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mafdn.errors import MafdnError, PictureError
from mafdn.film.options import FilmOptions
from mafdn.film.output import mux
from mafdn.film.output.plan import plan_film
from mafdn.film.source.reader import open_film
from mafdn.pictures.limits import Limits
from tests.conftest import ROOT
from tests.film import films
from tests.film.support import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
HANG = 120.0
"""Seconds without an answer after which the child is taken to hang."""
MEMORY = 6 << 30
"""Address space of the child in bytes."""
KINDS = {
    "mp4": films.Film(sounds=(films.Sound(),), frames=30),
    "mkv": films.FULL,
    "ts": films.Film(sounds=(films.Sound(),), frames=30),
    "mov": films.Film(codec="prores_ks", pixel_format="yuv422p10le", settings={}, frames=10),
    "webm": films.CASES["webm"][1],
    "avi": films.CASES["avi"][1],
    "mpg": films.Film(codec="mpeg2video", settings={"b": "2000000"}),
}
"""A film for each container."""


def answers(paths: list[Path], folder: Path) -> list[dict[str, Any]]:
    """What the child says of each film; fails when it crashes or hangs."""

    folder.mkdir()
    said: list[dict[str, Any]] = []
    with subprocess.Popen(
        [sys.executable, "-m", "tests.film.corpus", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as child:
        resource.prlimit(child.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
        assert child.stdin
        assert child.stdout
        assert child.stderr
        for path in paths:
            watchdog = threading.Timer(HANG, child.kill)
            watchdog.start()
            child.stdin.write(f"{path}\n")
            child.stdin.flush()
            line = child.stdout.readline()
            watchdog.cancel()
            if not line:
                pytest.fail(f"{path.name} ended the child with {child.wait()}: {child.stderr.read()[-2000:]}")
            said.append(json.loads(line))
        child.stdin.close()
        assert child.wait(timeout=30) == 0
        assert "Traceback" not in child.stderr.read()
    return said


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Content that is cut off, or of which some bytes are changed, anywhere or at the beginning."""
    kind, changed = random.integers(0, 4), np.frombuffer(content, np.uint8).copy()
    if kind == 0:
        return content[: random.integers(1, len(content))]
    if kind == 1:
        changed[random.integers(0, len(content), 1 + len(content) // 500)] = random.integers(0, 256)
    elif kind == 2:
        places = random.integers(0, min(1500, len(content)), 4)
        changed[places] = random.integers(0, 256, 4)
    else:
        start = random.integers(0, len(content))
        length = int(random.integers(1, 2000))
        changed[start : start + length] = np.frombuffer(random.bytes(length), np.uint8)[: len(content) - start]
    return changed.tobytes()


@pytest.mark.parametrize(
    ("kind", "count"),
    [("mp4", 4), ("mkv", 4), ("ts", 8), *(pytest.param(k, 40, marks=pytest.mark.slow) for k in KINDS)],
)
@pytest.mark.timeout(1200)
def test_damaged_films_give_a_result_or_one_line(tmp_path: Path, kind: str, count: int) -> None:
    whole = films.make(tmp_path / f"whole.{kind}", KINDS[kind]).read_bytes()
    random = np.random.default_rng(count + sum(map(ord, kind)))
    paths = [tmp_path / f"{number}.{kind}" for number in range(count)]
    for path in paths:
        path.write_bytes(damaged(whole, random))
    for path, said in zip(paths, answers(paths, tmp_path / "out"), strict=True):
        assert said["left"] == [], path
        if said["error"] is None:
            assert said["made"]
            assert said["frames"] > 0
        else:
            assert not said["made"]
            assert "\n" not in said["error"]
            assert "Error" not in said["error"]
            assert path.name in said["error"]


def broken_sound(folder: Path) -> Path:
    """A film in which one packet of the sound has a header with a sample rate that does not exist."""
    content = bytearray(films.make(folder / "film.ts", films.Film(frames=30, sounds=(films.Sound(),))).read_bytes())
    headers = [place for place in range(len(content)) if content.startswith(b"\xff\xf1", place)]
    content[headers[3] + 2] |= 0x3C
    (folder / "film.ts").write_bytes(content)
    return folder / "film.ts"


def test_damaged_packets_are_left_out_and_told(tmp_path: Path) -> None:
    report = run(broken_sound(tmp_path), tmp_path / "result.mkv")
    assert report.frames == len(films.decoded(report.target)) == 30
    assert any("(audio aac) is damaged: " in note for note in report.notes), report.notes


def test_a_stream_that_spoils_the_result_is_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mux._Joining, "_is_whole", lambda *_: False)
    monkeypatch.setattr(mux, "begins_well", lambda *_: False)
    source = broken_sound(tmp_path)
    report = run(source, tmp_path / "result.mkv")
    assert report.frames == len(films.decoded(report.target)) == 30
    assert f"stream 1 of {source} (audio aac) is damaged and was left out" in report.notes
    monkeypatch.setattr(mux, "begins_well", lambda *_: True)
    with pytest.raises(MafdnError, match="cannot write the streams of"):
        run(source, tmp_path / "other.mkv")
    assert not (tmp_path / "other.mkv").exists()


@pytest.mark.parametrize("kind", list(KINDS))
def test_streams_of_whole_films_begin_well(tmp_path: Path, kind: str) -> None:
    with open_film(films.make(tmp_path / f"film.{kind}", KINDS[kind])) as film:
        others = [index for index, way in plan_film(film.info, FilmOptions(), scale=2).ways if way == "copy"]
        assert all(mux.begins_well(film.info, index, "mkv") for index in others)


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_a_film_that_is_broken_in_the_middle_is_saved_as_far_as_possible(tmp_path: Path, kind: str) -> None:
    film = films.Film(frames=60, settings={"crf": "12", "preset": "veryfast", "g": "10"}, sounds=(films.Sound(),))
    source = films.broken(films.make(tmp_path / f"a.{kind}", film))
    report = run(source, preset="ultrafast")
    assert 30 <= report.frames <= 60
    told = any("damaged" in note for note in report.notes)
    assert told or (kind == "mkv" and report.frames < 60), "FFmpeg passes over damaged parts of Matroska without a word"
    assert len(films.decoded(report.target)) == report.frames


@pytest.mark.parametrize("kind", ["mkv", "ts"])
def test_a_film_that_ends_early_is_saved_up_to_there(tmp_path: Path, kind: str) -> None:
    source = films.make(tmp_path / f"a.{kind}", films.Film(frames=60, settings={"crf": "12", "g": "10"}))
    content = source.read_bytes()
    source.write_bytes(content[: round(0.6 * len(content))])
    report = run(source, preset="ultrafast")
    assert 20 <= report.frames <= 50


def test_frames_beyond_the_limit_are_refused_from_the_header(tmp_path: Path) -> None:
    source = films.make(tmp_path / "a.mp4", films.Film(size=(640, 480), frames=2))
    with pytest.raises(PictureError, match=r"the limit is"):
        run(source, limits=Limits(pixels=100_000))
    with pytest.raises(PictureError, match=r"would become 1280x960 .*the limit is"):
        run(source, limits=Limits(pixels=640 * 480))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_playlists_do_not_lead_to_other_files(tmp_path: Path) -> None:
    films.make(tmp_path / "secret.mp4")
    for name, content in (
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n"),
        ("b.ffconcat", "ffconcat version 1.0\nfile secret.mp4\n"),
        ("c.mp4", "ffconcat version 1.0\nfile secret.mp4\n"),
    ):
        path = tmp_path / name
        path.write_text(content)
        with pytest.raises(PictureError) as caught:
            run(path)
        assert "secret" not in str(caught.value)
    assert len(list(tmp_path.iterdir())) == 4
