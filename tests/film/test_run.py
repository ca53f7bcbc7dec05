"""Where the result of a film goes, what is reported about it, and the public functions."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mafdn
from mafdn.errors import MafdnError, PictureError, UsageError
from mafdn.film.options import FilmOptions
from mafdn.film.report import FilmProgress
from mafdn.film.run import upscale_film_file, upscaled_frames
from mafdn.film.source.reader import open_film
from mafdn.film.thumbnails import LARGEST
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import read_rgb8
from mafdn.upscaling.array import upscale_array
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.size import Size
from tests.film import films
from tests.film.support import CODING, LENGTH, Fixed, folder_of, run
from tests.support import Repeat

# --- places


def test_existing_files_are_only_replaced_on_request(film: Path, right: bytes) -> None:
    target = film.with_name("film_x2.mp4")
    target.write_text("mine")
    with pytest.raises(PictureError, match="exists; give another name or overwrite it"):
        run(film, **CODING)
    assert target.read_text() == "mine"
    assert not folder_of(target).exists()
    assert run(film, overwrite=True, **CODING).target.read_bytes() == right


def test_a_file_that_appears_meanwhile_is_not_replaced(film: Path, right: bytes) -> None:
    target = film.with_name("film_x2.mp4")

    def appear(_: Path) -> None:
        target.write_text("mine")

    with pytest.raises(PictureError, match="exists; give another name"):
        upscale_film_file(film, networks=Fixed(Repeat()), options=FilmOptions(**CODING), on_whole=appear)
    assert target.read_text() == "mine"
    target.unlink()
    report = run(film, **CODING)
    assert (report.kept_frames, target.read_bytes()) == (24, right)


def test_a_link_is_written_through(film: Path, right: bytes) -> None:
    real = film.parent / "elsewhere" / "real.mp4"
    real.parent.mkdir()
    real.write_text("old")
    link = film.with_name("link.mp4")
    link.symlink_to(real)
    run(film, link, overwrite=True, **CODING)
    assert link.is_symlink()
    assert real.read_bytes() == right


@pytest.mark.parametrize("name", ["film.mp4", ".", "missing/film.mp4", "film.doc"])
def test_impossible_places_are_refused(film: Path, name: str) -> None:
    before = film.read_bytes()
    with pytest.raises(UsageError):
        run(film, film.parent / name, overwrite=True, **CODING)
    assert film.read_bytes() == before


def test_a_part_has_a_name_of_its_own(film: Path) -> None:
    report = run(film, end=0.4, **CODING)
    assert (report.target.name, report.frames) == ("film_0s-0.4s_x2.mp4", 10)
    report = run(film, start=0.6, size=Size(width=96), **CODING)
    assert (report.target.name, report.frames) == ("film_from-0.6s_96x72.mp4", 9)


# --- what is reported


def test_the_report_counts_what_was_not_computed(tmp_path: Path) -> None:
    source = films.static(tmp_path / "still.mkv", count=12)
    engine = Repeat()
    seen: list[FilmProgress] = []
    options = FilmOptions(codec="ffv1", segment_frames=LENGTH)
    report = upscale_film_file(source, networks=Fixed(engine), options=options, on_progress=seen.append)
    assert (report.frames, report.repeated_frames, report.kept_frames) == (12, 11, 0)
    assert (report.size, report.new_size, report.bits) == ((64, 48), (128, 96), 8)
    assert (report.encoder, report.container) == ("ffv1", "mkv")
    assert seen[-1].phase == "joining"
    frames = [at.done for at in seen if at.phase == "frames"]
    assert frames == sorted(frames)
    assert frames[-1] == 12
    assert {at.total for at in seen if at.phase == "frames"} == {12}
    assert json.loads(json.dumps(report.for_programs(), default=str))["frame_rate"] == 25.0


def test_thumbnails_show_the_same_part(tmp_path: Path) -> None:
    size = (400, 304)
    source = films.make(
        tmp_path / "film.mkv",
        films.Film(codec="ffv1", pixel_format="bgr0", settings={}, size=size),
        pictures=[films.chart(size)] * 2,
    )
    report = run(source, thumbnails=True, **CODING)
    before, after = (read_rgb8(path).astype(int) for path in report.thumbnails)
    assert before.shape == after.shape == (LARGEST[1], LARGEST[0], 3)
    assert np.abs(before - after).mean() < 4


def test_the_time_limit_holds_and_loses_nothing(film: Path) -> None:
    with pytest.raises(PictureError, match="takes longer than the limit of 0 seconds"):
        run(film, limits=Limits(seconds=0), **CODING)


def test_frames_without_encoding_are_those_of_arrays(film: Path) -> None:
    options = FilmOptions(upscale=UpscaleOptions(size=1.5), end=0.4)
    with open_film(film, options) as source:
        plain = list(source.frames())
    large = list(upscaled_frames(film, networks=Fixed(Repeat()), options=options))
    assert [(frame.number, frame.pts, frame.duration) for frame in large] == [
        (frame.number, frame.pts, frame.duration) for frame in plain
    ]
    assert len(large) == 10
    for before, after in zip(plain, large, strict=True):
        assert np.array_equal(after.pixels, upscale_array(Repeat(), before.pixels, size=Size(scale=1.5)))


def test_sizes_are_those_of_the_film_as_shown(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mp4", films.Film(rotation=90))
    report = run(source, size=Size(width=96), **CODING)
    assert (report.size, report.new_size) == ((48, 64), (96, 128))
    options = FilmOptions(upscale=UpscaleOptions(size=Size(width=96)))
    frame = next(upscaled_frames(source, networks=Fixed(Repeat()), options=options))
    assert frame.pixels.shape == (128, 96, 3)


def test_frames_have_their_moments_and_equal_ones_share_pixels(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mkv", replace(films.Film(rotation=90), codec="ffv1", settings={}))
    still = films.static(tmp_path / "still.mkv", count=3)
    options = FilmOptions(start=0.2)
    frames = list(upscaled_frames(source, networks=Fixed(Repeat()), options=options))
    assert [frame.seconds for frame in frames[:3]] == pytest.approx([0.2, 0.24, 0.28])
    one, other, _ = upscaled_frames(still, networks=Fixed(Repeat()), options=FilmOptions())
    assert one.pixels is other.pixels


# --- the public functions


def test_the_public_functions_take_names_of_networks(film: Path, exported: Path) -> None:
    engine = mafdn.EngineOptions(engine="onnxruntime", threads=1)
    options = mafdn.FilmOptions(end=0.2, preset="ultrafast")
    report = mafdn.upscale_film(film, size=2, network=exported, engine=engine, options=options)
    assert (report.frames, report.new_size, report.weights) == (5, (128, 96), None)
    assert report.target.is_file()
    frames = list(mafdn.film_frames(film, network=exported, engine=engine, options=options))
    assert [frame.pixels.shape for frame in frames] == [(96, 128, 3)] * 5
    with pytest.raises(UsageError, match=r"use either size or options\.upscale\.size"):
        mafdn.upscale_film(film, size=2, options=replace(options, upscale=mafdn.UpscaleOptions(size=3)))
    with pytest.raises(UsageError, match=r"options must be a mafdn\.FilmOptions"):
        mafdn.upscale_film(film, options=mafdn.UpscaleOptions())  # pyright: ignore[reportArgumentType]
    with pytest.raises(MafdnError, match="is missing"):
        mafdn.upscale_film(film.with_name("missing.mp4"))
