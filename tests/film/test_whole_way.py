"""Films through the whole way: what a film has, its result has, too, as ffprobe sees them."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mafdn.errors import MafdnError, UnsupportedError
from mafdn.film.options import FilmOptions
from mafdn.film.report import FilmProgress, FilmStopped
from mafdn.film.run import upscale_film_file
from tests.film import films, oracle
from tests.film.support import Fixed, color_error, run, same_but_larger
from tests.support import Repeat

OFTEN = ("plain", "vfr in mkv", "everything", "one frame", "odd size")
"""Cases that are tested always; the others take too long together."""


@oracle.needs_ffprobe
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in OFTEN else pytest.mark.slow) for name in films.CASES]
)
def test_everything_but_the_size_is_kept(tmp_path: Path, name: str) -> None:
    source = films.case(tmp_path, name)
    report = run(source, preset="ultrafast", crf=12)
    assert report.frames == films.CASES[name][1].frames
    same_but_larger(source, report.target)
    assert color_error(source, report.target) < 3


@pytest.mark.parametrize("form", ["yuv444p", "yuv420p", "yuv422p10le", "yuv420p10le", "gbrp10le"])
@pytest.mark.parametrize("colors", [films.BT601, films.BT709, films.BT2020_PQ, (1, 1, 1, 2)], ids=str)
def test_colors_of_a_chart_are_kept_to_one_code_value(
    tmp_path: Path, colors: tuple[int, int, int, int], form: str
) -> None:
    film = films.Film(codec="ffv1", pixel_format=form, settings={}, size=(128, 96), colors=colors)
    source = films.make(tmp_path / "chart.mkv", film, pictures=[films.chart(film.size)] * 2)
    target = run(source, codec="ffv1").target
    for before, after in zip(films.planes(source), films.planes(target), strict=True):
        assert len(before) == len(after)
        errors = [np.abs(films.patches(a) - films.patches(b)) for a, b in zip(before, after, strict=True)]
        assert np.max(errors) <= 1, "RGB of 8 bits is between"
        assert np.mean(errors, axis=0).max() < 1


@pytest.mark.parametrize("top_first", [True, False])
def test_interlaced_films_are_refused_unless_they_are_deinterlaced(tmp_path: Path, top_first: bool) -> None:
    source = films.interlaced(tmp_path / "a.mkv", top_first=top_first)
    with pytest.raises(UnsupportedError, match=r"interlaced.*deinterlace them"):
        run(source)
    report = run(source, deinterlace=True, preset="ultrafast")
    assert report.frames == 24
    assert {path.name for path in tmp_path.iterdir()} == {"a.mkv", "a_x2.mkv"}


@oracle.needs_ffprobe
@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_each_field_is_shown_for_half_the_time_of_its_frame(ending: str, top_first: bool, tmp_path: Path) -> None:
    sounds = (films.Sound(),)
    source = films.interlaced(tmp_path / f"a.{ending}", top_first=top_first, sounds=sounds, rate=films.RATE_29_97)
    report = run(source, deinterlace="fields", preset="ultrafast", segment_frames=7)
    assert (report.frames, report.frame_rate) == (48, 2 * films.RATE_29_97)
    old, new = (oracle.frames(path) for path in (source, report.target))
    unit = {"mp4": Fraction(0), "mkv": Fraction(1, 1000), "ts": Fraction(1, 90_000)}[ending]
    for number, frame in enumerate(new):
        assert abs(frame.begin - old[number // 2].begin - number % 2 / films.RATE_29_97 / 2) <= unit
    assert float(oracle.probe(report.target).duration) == pytest.approx(float(oracle.probe(source).duration), abs=0.02)
    whole = report.target.read_bytes()
    assert len(whole) > 0

    def stop(at: FilmProgress) -> None:
        assert at.total in (None, 48) or at.phase != "frames"
        if at.phase == "frames" and at.done >= 20:
            raise KeyboardInterrupt

    target = tmp_path / f"again.{ending}"
    options = FilmOptions(deinterlace="fields", preset="ultrafast", segment_frames=7)
    with pytest.raises(FilmStopped):
        upscale_film_file(source, target, networks=Fixed(Repeat()), options=options, on_progress=stop)
    resumed = run(source, target, deinterlace="fields", preset="ultrafast", segment_frames=7)
    assert resumed.kept_frames >= 7
    assert target.read_bytes() == whole


@oracle.needs_ffprobe
def test_fields_of_a_part_are_counted_from_its_beginning(tmp_path: Path) -> None:
    source = films.interlaced(tmp_path / "a.mp4")
    report = run(source, deinterlace="fields", preset="ultrafast", start=0.22, end=0.5)
    frames = oracle.frames(report.target)
    assert [frame.begin for frame in frames] == [Fraction(number, 50) for number in range(14)]
    assert float(oracle.probe(report.target).duration) == pytest.approx(0.28, abs=0.001)


def test_frames_that_do_not_change_are_computed_once(tmp_path: Path) -> None:
    report = run(films.static(tmp_path / "a.mkv", count=40), codec="ffv1")
    assert (report.frames, report.repeated_frames) == (40, 39)
    frames = films.decoded(report.target)
    assert all(np.array_equal(frame, frames[0]) for frame in frames)


@oracle.needs_ffprobe
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_part_is_cut_with_its_sound(tmp_path: Path, ending: str) -> None:
    sounds = (films.Sound(seconds=Fraction(4)),)
    source = films.make(tmp_path / f"a.{ending}", films.Film(frames=100, sounds=sounds, chapters=((0, 4, "All"),)))
    report = run(source, start=1.0, end=2.0, preset="ultrafast")
    found, times = oracle.probe(report.target), oracle.frames(report.target)
    assert report.frames == len(times) == 25
    assert times[0].begin == 0
    assert found.duration == pytest.approx(1, abs=0.05)
    heard, _ = oracle.packets(report.target, "a:0")
    assert abs(heard[0].begin) < Fraction(1, 20)
    assert abs(heard[-1].begin - 1) < Fraction(1, 20)
    assert found.chapters == ((0.0, pytest.approx(1, abs=0.05), "All"),)


@oracle.needs_ffprobe
@pytest.mark.slow
def test_sound_stays_in_time_to_the_end_of_a_long_film(tmp_path: Path) -> None:
    film = films.Film(frames=9000, size=(32, 32), rate=films.RATE_29_97, sounds=(films.Sound(seconds=Fraction(300)),))
    source = films.make(tmp_path / "a.mp4", film)
    report = run(source, preset="ultrafast")
    before, after = oracle.probe(source), oracle.probe(report.target)
    lengths = [[float(stream.about["duration"]) for stream in found.streams] for found in (before, after)]
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-6)
    assert oracle.frames(source)[-1].begin == oracle.frames(report.target)[-1].begin
    assert oracle.packets(source, "a:0") == oracle.packets(report.target, "a:0")


def test_what_is_not_a_film_is_refused_in_one_line(tmp_path: Path) -> None:
    for name, content in (("a.mp4", b""), ("b.mkv", b"no film" * 100), ("c.mp4", b"\0\0\0\x18ftypmp42" + bytes(500))):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(MafdnError) as caught:
            run(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "b.mkv", "c.mp4"}
