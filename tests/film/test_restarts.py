"""Films whose time stamps restart, as joined transport streams: each part follows the one before, with its sound."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from mafdn.film.frame import FilmFrame
from mafdn.film.options import FilmOptions
from mafdn.film.report import FilmProgress, FilmStopped
from mafdn.film.run import upscale_film_file
from mafdn.film.source.info import FilmInfo
from mafdn.film.source.reader import open_film
from mafdn.film.source.timeline import Timeline
from tests.film import oracle
from tests.film.films import BT601, Film, Sound, make
from tests.film.support import Fixed, folder_of, run
from tests.support import Repeat

SOUND = Sound(seconds=Fraction(9, 5), codec="mp2", tone=443)
"""No two of its packets are the same."""
PART = Film(frames=50, settings={"bf": "2", "g": "10"}, colors=BT601, sounds=(SOUND,))
FILMS = {"ts": PART, "mpg": replace(PART, codec="mpeg2video", settings={"b": "2000000", "g": "10"})}
LENGTH = Fraction(2)
"""Seconds of a part."""


def part(folder: Path, ending: str = "ts", *, begin: int = 0) -> Path:
    """A film whose time stamps begin at `begin` seconds."""
    film = FILMS[ending]
    return make(folder / f"part{begin}.{ending}", replace(film, muxing={"output_ts_offset": str(begin)}))


def joined(folder: Path, *parts: Path) -> Path:
    path = folder / f"film{parts[0].suffix}"
    path.write_bytes(b"".join(each.read_bytes() for each in parts))
    return path


def moments(path: Path, options: FilmOptions | None = None) -> tuple[list[Fraction], list[FilmFrame], list[str]]:
    """When frames are shown, in seconds from the first one of the film, the frames, and notes."""
    with open_film(path, options) as film:
        frames = list(film.frames())
        return [(frame.pts - film.info.start_pts) * film.info.time_base for frame in frames], frames, film.notes


@pytest.mark.parametrize("ending", ["ts", "mpg"])
def test_frames_of_each_part_follow_those_of_the_one_before(ending: str, tmp_path: Path) -> None:
    alone = part(tmp_path, ending)
    times, frames, notes = moments(alone)
    assert len(times) == 50
    assert not any("restart" in note for note in notes)
    path = joined(tmp_path, alone, alone, alone)
    got, same, notes = moments(path)
    assert got == [time + number * LENGTH for number in range(3) for time in times]
    assert all(np.array_equal(one.pixels, frames[number % 50].pixels) for number, one in enumerate(same))
    assert notes[0] == f"{path} has time stamps that restart (2x); its parts follow one another"


def test_parts_that_begin_before_the_film_follow_too(tmp_path: Path) -> None:
    """FFmpeg adds 2**33 to time stamps of more than a minute before the first one."""
    late = part(tmp_path, begin=100)
    got, _, notes = moments(joined(tmp_path, late, part(tmp_path), late))
    assert [b - a for a, b in pairwise(got)] == [Fraction(1, 25)] * 149
    assert len(notes) == 1


@pytest.mark.parametrize("begins", [(0, 0, 0), (100, 0), (0, 20_000, 0)])
@pytest.mark.parametrize("ending", ["ts", "mpg"])
def test_lengths_are_those_of_all_parts(ending: str, begins: tuple[int, ...], tmp_path: Path) -> None:
    path = joined(tmp_path, *(part(tmp_path, ending, begin=begin) for begin in begins))
    for options, frames in ((FilmOptions(), 50 * len(begins)), (FilmOptions(start=1, end=3), 50)):
        with open_film(path, options) as film:
            assert film.info.frame_count == pytest.approx(frames, rel=0.2)
            assert film.info.duration == pytest.approx(frames / 25, rel=0.2)
            assert film.info.ends is None


@pytest.mark.parametrize("begins", [(0, 100, 0), (0, 9000) * 40], ids=["gap", "everywhere"])
def test_lengths_are_unknown_if_bytes_do_not_tell_them(begins: tuple[int, ...], tmp_path: Path) -> None:
    parts = {begin: part(tmp_path, begin=begin) for begin in set(begins)}
    with open_film(joined(tmp_path, *(parts[begin] for begin in begins))) as film:
        assert (film.info.duration, film.info.frame_count) == (None, None)


def test_gaps_stay(tmp_path: Path) -> None:
    got, _, notes = moments(joined(tmp_path, part(tmp_path, begin=10), part(tmp_path, begin=40)))
    assert (got[50] - got[0], notes) == (30, [])
    with open_film(joined(tmp_path, part(tmp_path, begin=10), part(tmp_path, begin=40))) as film:
        assert film.info.duration == pytest.approx(32)


@pytest.mark.parametrize(("start", "end"), [(2.6, 3.4), (0.5, 1.1), (1.7, 2.3), (4.5, None), (None, 2.2)])
@pytest.mark.parametrize("ending", ["ts", "mpg"])
def test_parts_are_selected_by_the_continued_time(
    ending: str, start: float | None, end: float | None, tmp_path: Path
) -> None:
    alone = part(tmp_path, ending)
    path = joined(tmp_path, alone, alone, alone)
    times, frames, _ = moments(path)
    wanted = [n for n, time in enumerate(times) if (start or 0) <= time < (end or 99)]
    got, selected, _ = moments(path, FilmOptions(start=start, end=end))
    assert got == [times[number] for number in wanted]
    assert all(np.array_equal(a.pixels, frames[b].pixels) for a, b in zip(selected, wanted, strict=True))


@oracle.needs_ffprobe
@pytest.mark.parametrize("ending", ["ts", "mpg"])
def test_sound_stays_in_sync_in_each_part(ending: str, tmp_path: Path) -> None:
    alone = part(tmp_path, ending)
    target = run(joined(tmp_path, alone, alone), tmp_path / "result.ts", preset="ultrafast").target
    pictures = [frame.begin for frame in oracle.frames(target)]
    sound, copied = oracle.packets(target, "a:0")
    assert copied == oracle.packets(alone, "a:0")[1] * 2
    for times in (pictures, [packet.begin for packet in sound]):
        half = len(times) // 2
        assert times[half:] == [time + LENGTH for time in times[:half]]
    video, audio = (float(stream.about["start_time"]) for stream in oracle.probe(alone).streams)
    assert float(sound[0].begin - pictures[0]) == pytest.approx(audio - video, abs=1e-4)


@oracle.needs_ffprobe
def test_the_sound_of_a_selection_is_that_of_its_pictures(tmp_path: Path) -> None:
    alone = part(tmp_path)
    target = run(joined(tmp_path, alone, alone), tmp_path / "result.ts", preset="ultrafast", start=2.6, end=3.4).target
    content = oracle.packets(alone, "a:0")[1]
    sound, copied = oracle.packets(target, "a:0")
    pictures = oracle.frames(target)
    assert len(pictures) == 20
    assert copied == content[content.index(copied[0]) :][: len(copied)]
    first = oracle.packets(alone, "a:0")[0][content.index(copied[0])].begin
    numbered = oracle.frames(alone)[15].begin  # 0.6 s after the first
    assert sound[0].begin - pictures[0].begin == pytest.approx(first - numbered, abs=1e-4)


def test_a_stopped_run_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    alone = part(tmp_path)
    path = joined(tmp_path, alone, alone)
    right = run(path, tmp_path / "right.ts", preset="ultrafast", segment_frames=20).target
    target = tmp_path / "film_x2.ts"
    for after in (30, 75):

        def stop(at: FilmProgress, after: int = after) -> None:
            if at.phase == "frames" and at.done >= after:
                raise KeyboardInterrupt

        options = FilmOptions(preset="ultrafast", segment_frames=20)
        with pytest.raises(FilmStopped):
            upscale_film_file(path, target, networks=Fixed(Repeat()), options=options, on_progress=stop)
        assert folder_of(target).exists()
    assert run(path, target, preset="ultrafast", segment_frames=20).kept_frames >= 40
    assert target.read_bytes() == right.read_bytes()


def moved(packets: list[tuple[int, int]], parts: tuple[int, ...] = (), *, rate: Fraction = Fraction(25)) -> list[int]:
    """Move packets, given as stream and time stamp in hundredths of a second; the video is stream 0."""
    unit = Fraction(1, 100)
    info = SimpleNamespace(stream=0, time_base=unit, stored_time_base=unit, average_rate=rate)
    timeline = Timeline(cast(FilmInfo, info), parts)
    made: list[Any] = [
        SimpleNamespace(stream=SimpleNamespace(index=stream), time_base=unit, pts=moment, dts=moment)
        for stream, moment in packets
    ]
    for packet in made:
        timeline.move(packet)
    assert all(packet.pts == packet.dts for packet in made)
    assert timeline.offsets == [0] or any(b < a or b - a > 360_000 for (_, a), (_, b) in pairwise(packets))
    return [packet.pts for packet in made]


@pytest.mark.parametrize("step", [1, 90, 101, 200, 100_000])
def test_the_time_stamps_of_slow_films_stay(step: int) -> None:
    stamps = list(range(0, 20 * step, step))
    assert moved([(0, stamp) for stamp in stamps], rate=Fraction(100, step)) == stamps


@pytest.mark.parametrize("wrong", [3, 700, 900_000])
def test_a_single_wrong_time_stamp_moves_no_others(wrong: int) -> None:
    right = list(range(1000, 1200, 4))
    stamps = [*right[:20], wrong, *right[21:]]
    got = moved([(0, stamp) for stamp in stamps])
    assert got[:20] + got[21:] == right[:20] + right[21:]
    assert got[20] == right[20]


def test_other_streams_are_moved_with_their_part_wherever_it_begins_among_their_packets() -> None:
    video = [(0, stamp) for stamp in range(100, 500, 4)]
    early, late = [(1, 100), (2, 110)], [(1, 490), (2, 480)]
    assert moved([*video, *early, *late, *video, (2, 480)], (0, 400)) == [
        *range(100, 500, 4),
        *(500, 510),
        *(490, 480),
        *range(500, 900, 4),
        880,
    ]
    assert moved([*video, *video[:2], *late, *early], (0, 400))[-4:] == [490, 480, 500, 510]
