"""Nights are not lost: a run that is killed goes on where it was, and its result is that of one that was not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.film import films
from tests.film.support import segments_in

KILLS = 10
WAIT = 120.0
"""Seconds after which a run that makes no segment is taken to hang."""


def command(source: Path, target: Path) -> list[str]:
    options = ["-o", str(target), "--scale", "2", "--network", "classic", "--segment-frames", "4", "--threads", "1"]
    return [sys.executable, "-m", "mafdn", "upscale", str(source), *options]


def wait_for_a_segment(child: subprocess.Popen[str], folder: Path) -> bool:
    """Wait until one more segment is whole; returns `False` if the run ended before."""
    before = segments_in(folder)
    end = time.monotonic() + WAIT
    while child.poll() is None and time.monotonic() < end:
        if segments_in(folder) - before:
            return True
        time.sleep(0.01)
    assert child.poll() is not None, "it hangs"
    return False


def started(source: Path, target: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(source, target), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_ten_kills_change_nothing(tmp_path: Path, ending: str) -> None:
    film = films.Film(frames=160, sounds=(films.Sound(seconds=films.Fraction(6)),))
    source = films.make(tmp_path / f"a.{ending}", film)
    whole, killed = tmp_path / f"whole.{ending}", tmp_path / f"killed.{ending}"
    subprocess.run(command(source, whole), cwd=ROOT, check=True, capture_output=True)
    folder, rng = tmp_path / f".killed.{ending}.mafdn", random.Random(3)
    for number in range(KILLS):
        with started(source, killed) as child:
            assert wait_for_a_segment(child, folder), f"the run ended before kill {number}"
            time.sleep(rng.random() / 4)
            child.kill()
        assert not killed.exists()
    kept = len(segments_in(folder))
    assert kept >= KILLS, "each run goes on from the segments of those before"
    subprocess.run(command(source, killed), cwd=ROOT, check=True, capture_output=True)
    assert killed.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {source.name, whole.name, killed.name}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    source = films.make(tmp_path / "a.mp4", films.Film(frames=160))
    target = tmp_path / "b.mp4"
    with started(source, target) as child:
        assert wait_for_a_segment(child, tmp_path / ".b.mp4.mafdn")
        child.send_signal(signal.SIGINT)
        assert child.stdout
        said = child.stdout.read()
        assert child.wait(timeout=60) == 130
    assert "Traceback" not in said
    assert "frames are kept; run the same command again to resume" in said
    assert not target.exists()


FLAT = """
import sys
from pathlib import Path
from tests.film.support import run
report = run(Path(sys.argv[1]), preset="ultrafast", segment_frames=100)
print(report.frames, round(report.peak_mib))
"""
"""Prints the number of frames, and the peak memory of the process in MiB."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    peaks: list[int] = []
    for count in (250, 5000):
        source = films.make(tmp_path / f"{count}.mp4", films.Film(frames=count, sounds=(films.Sound(),)))
        ended = subprocess.run(
            [sys.executable, "-c", FLAT, str(source)], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        frames, peak = map(int, ended.stdout.split())
        assert frames == count
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 10, peaks
