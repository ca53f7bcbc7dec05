"""Which files are films, and what their results are called."""

from pathlib import Path

import pytest

from mafdn.film.names import default_target, film_format, is_film, name_beside
from mafdn.upscaling.size import Size
from tests.film import films
from tests.support import draw


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.mpg", "a.y4m"])
def test_films_are_recognized_by_content_whatever_their_name(tmp_path: Path, name: str) -> None:
    codec = {"a.avi": "mpeg4", "a.mpg": "mpeg2video", "a.y4m": "rawvideo"}.get(name, "libx264")
    film = films.make(tmp_path / name, films.Film(frames=3, codec=codec, settings={}))
    assert is_film(film)
    if name not in ("a.ts", "a.y4m"):  # they have no signature that is long enough
        other = film.rename(tmp_path / "a.dat")
        assert is_film(other)


def test_pictures_texts_and_folders_are_none(tmp_path: Path) -> None:
    assert not is_film(draw(tmp_path / "a.png"))
    assert not is_film(draw(tmp_path / "b.png").rename(tmp_path / "b.mp4"))
    program = tmp_path / "program.ts"
    program.write_text("GET = 1;\n" * 100)
    assert not is_film(program)
    (tmp_path / "folder.mp4").mkdir()
    assert not is_film(tmp_path / "folder.mp4")
    (tmp_path / "notes.txt").write_text("notes")
    assert not is_film(tmp_path / "notes.txt")


def test_what_only_claims_to_be_a_film_is_one_that_fails(tmp_path: Path) -> None:
    assert is_film(tmp_path / "missing.mkv")
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(b"no film")
    assert is_film(damaged)


@pytest.mark.parametrize(
    ("source", "container", "part", "expected"),
    [
        ("film.mp4", "mp4", (None, None), "film_x2.mp4"),
        ("film.M4V", "mp4", (None, None), "film_x2.M4V"),
        ("film.avi", "mkv", (None, None), "film_x2.mkv"),
        ("film.mts", "ts", (None, None), "film_x2.mts"),
        ("film.mp4", "mp4", (None, 10.0), "film_0s-10s_x2.mp4"),
        ("film.mp4", "mp4", (90.5, 100.0), "film_90.5s-100s_x2.mp4"),
        ("film.mp4", "mp4", (3600.0, None), "film_from-3600s_x2.mp4"),
    ],
)
def test_results_are_named_after_the_film(
    source: str, container: str, part: tuple[float | None, float | None], expected: str
) -> None:
    start, end = part
    target = default_target(Path("in") / source, Size(scale=2), (640, 480), container, start=start, end=end)
    assert target == Path("in") / expected


def test_long_names_are_cut(tmp_path: Path) -> None:
    target = default_target(tmp_path / ("x" * 250 + ".mp4"), Size(width=640), (640, 480), "mp4")
    assert len(target.name) <= 255
    assert target.name.endswith("_640x480.mp4")
    assert film_format("webm").suffixes == (".webm",)


@pytest.mark.parametrize("letter", ["x", "漫"])
def test_names_beside_a_result_are_cut_to_different_ones(letter: str) -> None:
    assert name_beside(".{}.mafdn", "film.mp4") == ".film.mp4.mafdn"
    names = [letter * (250 // len(letter.encode())) + end for end in ("a.mp4", "b.mp4")]
    cut = [name_beside(".{}.mafdn", name, spare=8) for name in names]
    assert cut[0] != cut[1]
    for name in cut:
        assert 240 < len(name.encode()) <= 247
        assert name.startswith(f".{letter}")
        assert name.endswith(".mafdn")
