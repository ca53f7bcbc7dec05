"""Films among the pictures of a folder: named, recorded, reported and resumed like them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mafdn
from mafdn.errors import MafdnError
from mafdn.film import names
from mafdn.film.folder import FolderFilms
from mafdn.film.options import FilmOptions
from mafdn.upscaling.folder.options import FolderOptions
from mafdn.upscaling.folder.report import FolderProgress, FolderReport, Stopped
from mafdn.upscaling.folder.run import upscale_all
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.output import Output
from mafdn.upscaling.shards import LOCK, MANIFEST
from tests.film import films
from tests.film.support import Fixed, segments_in
from tests.support import Repeat, draw

FILM = FilmOptions(preset="ultrafast", segment_frames=5)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Two pictures and two films, one of them in a subfolder."""
    folder = tmp_path / "album"
    draw(folder / "a.png")
    draw(folder / "film.png", 1)
    films.make(folder / "film.mp4", films.Film(frames=12))
    (folder / "deeper").mkdir()
    films.make(folder / "deeper" / "clip.mkv", films.Film(frames=7))
    return folder


def upscale(
    album: Path, out: Path | None, *, film: FilmOptions = FILM, engine: Repeat | None = None, **options: Any
) -> FolderReport:
    """Upscale a folder by an engine that repeats pixels; `options` are callbacks and those of `FolderOptions`."""
    callbacks = {name: options.pop(name) for name in ("on_progress", "on_item", "on_start") if name in options}
    overwrite = options.pop("overwrite", False)
    return upscale_all(
        [album],
        Fixed(engine or Repeat()),
        UpscaleOptions(size=2, overwrite=overwrite),
        FolderOptions(folder=out, recursive=True, **options),
        films=FolderFilms(film),
        **callbacks,
    )


def test_options_for_pictures_only_are_not_ignored(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stripped = upscale_all(
        [album],
        Fixed(Repeat()),
        UpscaleOptions(size=2, output=Output(strip_metadata=True)),
        FolderOptions(folder=out),
        films=FolderFilms(FILM),
    )
    assert status(stripped) == {"a.png": "done", "film.png": "done", "film.mp4": "failed"}
    assert "film.mp4 is a film, whose metadata is not removed" in next(
        item.reason or "" for item in stripped.items if item.status == "failed"
    )
    for expected in ("done", "kept"):
        verified = upscale_all(
            [album / "film.mp4"],
            Fixed(Repeat()),
            UpscaleOptions(size=2, verify=True),
            FolderOptions(folder=out),
            films=FolderFilms(FILM),
        )
        (item,) = verified.items
        assert (item.status, item.notes[-1]) == (expected, "films are not verified")


def test_the_rate_of_numbered_pictures_changes_nothing(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    again = upscale(album, out, film=FilmOptions(preset="ultrafast", segment_frames=5, rate="30000/1001"))
    assert status(again) == dict.fromkeys(status(again), "kept")
    json.dumps(again.settings)


def test_thumbnails_are_not_pictures_to_upscale(album: Path) -> None:
    report = upscale(album, None, film=FilmOptions(preset="ultrafast", thumbnails=True))
    assert (album / "film_x2.mp4.before.png").is_file()
    again = upscale(album, None, film=FilmOptions(preset="ultrafast", thumbnails=True))
    assert status(again) == dict.fromkeys(status(report), "kept")


def status(report: FolderReport) -> dict[str, str]:
    return {item.source.name: item.status for item in report.items}


def test_films_are_upscaled_and_kept_by_the_next_run(album: Path, tmp_path: Path) -> None:
    out, engine, seen = tmp_path / "out", Repeat(), list[FolderProgress]()
    report = upscale(album, out, engine=engine, on_progress=seen.append)
    assert status(report) == dict.fromkeys(["a.png", "clip.mkv", "film.mp4", "film.png"], "done")
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file() and path.name[0] != "."} == {
        "a_x2.png",
        "film_x2.png",
        "film_x2.mp4",
        "deeper/clip_x2.mkv",
    }
    item = next(item for item in report.items if item.source.name == "film.mp4")
    assert (item.size, item.new_size, item.frames) == ((64, 48), (128, 96), 12)
    assert [at.done for at in seen if at.phase == "upscaling"] == sorted(
        at.done for at in seen if at.phase == "upscaling"
    )
    assert (seen[-1].done, seen[-1].number) == (seen[-1].total, seen[-1].count)
    assert {at.total for at in seen if at.phase == "upscaling"} == {seen[-1].total}
    engine.shapes.clear()
    again = upscale(album, out, engine=engine)
    assert status(again) == dict.fromkeys(status(report), "kept")
    assert engine.shapes == set()


def test_results_beside_films_are_no_sources(album: Path) -> None:
    assert set(status(upscale(album, None)).values()) == {"done"}
    report = upscale(album, None)
    assert status(report) == dict.fromkeys(["a.png", "clip.mkv", "film.mp4", "film.png"], "kept")
    assert report.earlier_results == 4


def test_other_settings_make_films_again_but_no_pictures(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    report = upscale(album, out, film=FilmOptions(preset="ultrafast", crf=30, segment_frames=5))
    assert status(report) == {"a.png": "kept", "clip.mkv": "done", "film.mp4": "done", "film.png": "kept"}
    assert {item.reason for item in report.items if item.status == "done"} == {"other settings"}


def test_a_stopped_film_goes_on_in_the_next_run(album: Path, tmp_path: Path) -> None:
    out, right = tmp_path / "out", tmp_path / "right"
    upscale(album, right)

    def stop(at: FolderProgress) -> None:
        segments = segments_in(out / ".film_x2.mp4.mafdn")
        if at.name == "film.mp4" and segments:
            raise KeyboardInterrupt

    with pytest.raises(Stopped) as stopped:
        upscale(album, out, on_progress=stop)
    assert status(stopped.value.report) == {
        "a.png": "done",
        "film.png": "done",
        "clip.mkv": "done",
        "film.mp4": "left",
    }
    assert not (out / "film_x2.mp4").exists()
    engine = Repeat()
    report = upscale(album, out, engine=engine)
    assert status(report)["film.mp4"] == "done"
    assert (out / "film_x2.mp4").read_bytes() == (right / "film_x2.mp4").read_bytes()
    assert not (out / ".film_x2.mp4.mafdn").exists()


INTERRUPTED = """
import signal, sys
from pathlib import Path
import mafdn.film.run as run
from mafdn.upscaling.folder.report import Stopped
from tests.film.test_folder import upscale

publish = run.publish


def interrupted(*paths, **options):
    publish(*paths, **options)
    signal.raise_signal(signal.SIGINT)


signal.signal(signal.SIGINT, signal.default_int_handler)
run.publish = interrupted
try:
    upscale(Path(sys.argv[1]), Path(sys.argv[2]))
except Stopped:
    print("stopped")
"""


def test_a_film_that_is_complete_when_ctrl_c_comes_is_kept(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", INTERRUPTED, str(album / "film.mp4"), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr
    assert {path.name for path in out.iterdir()} == {"film_x2.mp4", MANIFEST, LOCK}
    assert status(upscale(album / "film.mp4", out)) == {"film.mp4": "kept"}


def test_a_damaged_film_fails_alone(album: Path, tmp_path: Path) -> None:
    (album / "film.mp4").write_bytes(b"no film")
    outcomes: list[str] = []
    report = upscale(album, tmp_path / "out", on_item=lambda item: outcomes.append(item.source.name))
    assert status(report) == {"a.png": "done", "clip.mkv": "done", "film.mp4": "failed", "film.png": "done"}
    assert sorted(outcomes) == sorted(status(report))
    assert "film.mp4" in (report.failed[0].reason or "")


def test_existing_files_are_not_replaced(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "film_x2.mp4").write_text("mine")
    report = upscale(album, out)
    assert status(report)["film.mp4"] == "failed"
    assert (out / "film_x2.mp4").read_text() == "mine"
    assert status(upscale(album, out, overwrite=True))["film.mp4"] == "done"
    assert (out / "film_x2.mp4").read_bytes() != b"mine"


def test_selection_and_dry_runs_apply_to_films(album: Path, tmp_path: Path) -> None:
    report = upscale(album, tmp_path / "out", skip_larger_than=20)
    assert status(report) == {"a.png": "done", "clip.mkv": "skipped", "film.mp4": "skipped", "film.png": "done"}
    dry = upscale(album, tmp_path / "other", dry_run=True)
    assert set(status(dry).values()) == {"left"}
    assert dry.estimate is not None
    assert dry.estimate.pixels == 2 * 32 * 24 + 19 * 128 * 96
    assert dry.estimate.bytes
    assert dry.estimate.basis == (
        "measured just now by upscaling a part of 2 of the pictures and of a frame of 2 of the films; "
        "films take less where frames repeat; disk space is without 2 films"
    )
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("selected", [{}, {"start": 0.4, "end": 0.8}])
def test_dry_runs_estimate_the_time_of_films(
    selected: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    class Timed(Repeat):
        def run(self, x: np.ndarray) -> np.ndarray:
            nonlocal now
            now += 1e-4 * x.shape[2] * x.shape[3]
            return super().run(x)

    monkeypatch.setattr("mafdn.film.measuring.clock", lambda: now)
    path = films.make(tmp_path / "film.mp4", films.Film(frames=40, size=(256, 240)))
    options = FilmOptions(preset="ultrafast", **selected)
    estimate = upscale(path, tmp_path / "out", film=options, engine=Timed(), dry_run=True).estimate
    assert estimate
    assert not (tmp_path / "out").exists()
    frames = 10 if selected else 40
    assert estimate.pixels == frames * 512 * 480
    assert estimate.bytes is None
    assert estimate.seconds == pytest.approx(frames * 1e-4 * 264 * 248, rel=0.1)
    assert estimate.seconds == float(f"{estimate.seconds:.2g}")
    assert estimate.basis == (
        "measured just now by upscaling a part of a frame of one of the films; films take less where frames repeat; "
        "disk space is without 1 film"
    )
    nothing = upscale(path, tmp_path / "out", film=FilmOptions(start=100), engine=Timed(), dry_run=True).estimate
    assert nothing
    assert (nothing.seconds, "has no frame in the selected part" in nothing.basis) == (None, True)


def test_there_is_no_estimate_for_films_of_unknown_length(album: Path, tmp_path: Path) -> None:
    raw = films.make(tmp_path / "film.h264")
    alone = upscale(raw, tmp_path / "out", dry_run=True).estimate
    assert alone
    assert (alone.pixels, alone.seconds, alone.bytes) == (0, None, None)
    assert alone.basis.endswith("films; without 1 film of unknown length; disk space is without 1 film")
    raw.rename(album / "raw.h264")
    mixed, known = upscale(album, tmp_path / "out", dry_run=True).estimate, 2 * 32 * 24 + 19 * 128 * 96
    assert mixed
    assert (mixed.pixels, mixed.seconds is None) == (known, False)
    assert "; films take less where frames repeat; without 1 film of unknown length; " in mixed.basis


def test_a_pattern_for_pictures_is_none_for_films(album: Path, tmp_path: Path) -> None:
    from mafdn.upscaling.pattern import Pattern

    report = upscale(album, tmp_path / "out", pattern=Pattern("{stem}.webp"))
    assert {item.source.name for item in report.failed} == {"clip.mkv", "film.mp4"}
    assert "names pictures: end it in {ext}" in (report.failed[0].reason or "")


def test_only_one_kind(album: Path, tmp_path: Path) -> None:
    pictures = upscale(album, tmp_path / "out", only="pictures")
    skipped = {"film.mp4": "skipped", "clip.mkv": "skipped"}
    assert status(pictures) == {"a.png": "done", "film.png": "done", **skipped}
    assert {item.reason for item in pictures.with_status("skipped")} == {"films are left out (only pictures)"}
    only_films = upscale(album, tmp_path / "out", only="films")
    assert status(only_films) == {"a.png": "skipped", "film.png": "skipped", "film.mp4": "done", "clip.mkv": "done"}
    assert only_films.settings["only"] == "films"


def test_results_may_keep_the_times_of_films(album: Path, tmp_path: Path) -> None:
    os.utime(album / "film.mp4", (10**9, 10**9))
    options = UpscaleOptions(size=2, keep_times=True)
    (item,) = upscale_all(
        [album / "film.mp4"], Fixed(Repeat()), options, FolderOptions(folder=tmp_path / "out"), films=FolderFilms(FILM)
    ).items
    assert item.target is not None
    assert item.target.stat().st_mtime == 10**9


def test_without_the_extra_films_are_skipped_with_its_name(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mafdn.film.libav.find_spec", lambda _: None)
    report = upscale(album, tmp_path / "out")
    assert not report.failed
    assert {item.source.name for item in report.with_status("skipped")} == {"clip.mkv", "film.mp4"}
    reasons = {item.reason for item in report.with_status("skipped")}
    assert reasons == {'films need the extra film: pip install "mafdn[film]"'}
    assert names.is_film(album / "film.mp4")


def test_the_public_function_takes_options_for_films(album: Path, tmp_path: Path, exported: Path) -> None:
    engine = mafdn.EngineOptions(engine="onnxruntime", threads=1)
    report = mafdn.upscale_folder(
        album, tmp_path / "out", size=2, network=exported, engine=engine, films=mafdn.FilmOptions(preset="ultrafast")
    )
    assert status(report) == {"a.png": "done", "film.mp4": "done", "film.png": "done"}
    assert report.settings["films"]["preset"] == "ultrafast"
    json.dumps(report.for_programs(), default=str)
    with pytest.raises(MafdnError, match="films must be"):
        mafdn.upscale_folder(album, films=mafdn.UpscaleOptions())  # pyright: ignore[reportArgumentType]
