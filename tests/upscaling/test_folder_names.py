"""Names of results in folders: unique, and the same in every run."""

from pathlib import Path

import pytest

from mafdn.errors import PictureError
from mafdn.upscaling.output import Output
from mafdn.upscaling.size import Size
from tests.support import draw
from tests.upscaling.conftest import names, upscale


def test_two_files_of_one_stem_give_two_results(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.jpg", 1)
    draw(tmp_path / "in" / "a.png", 2)
    report = upscale(tmp_path / "in", tmp_path / "out", output=Output(format="png"))
    assert {i.source.name: i.target.name for i in report.items if i.target} == {
        "a.jpg": "a_x2.png",
        "a.png": "a_png_x2.png",
    }
    assert len(names(tmp_path / "out")) == 2
    assert upscale(tmp_path / "in", tmp_path / "out", output=Output(format="png")).counts["kept"] == 2


def test_two_folders_into_one(tmp_path: Path) -> None:
    one, two = draw(tmp_path / "one" / "a.png", 1), draw(tmp_path / "two" / "a.png", 2)
    out = tmp_path / "out"
    assert upscale([one.parent], out).counts["done"] == 1
    first = (out / "a_x2.png").read_bytes()
    assert upscale([two.parent], out).counts["done"] == 1  # what another picture became is not overwritten
    assert names(out) == ["a_png_x2.png", "a_x2.png"]
    assert (out / "a_x2.png").read_bytes() == first
    assert upscale([two.parent, one.parent], out).counts["kept"] == 2


def test_a_moved_picture_is_recognized_by_its_content(album: Path, tmp_path: Path) -> None:
    upscale(album, tmp_path / "out")
    album.rename(tmp_path / "moved")
    assert upscale(tmp_path / "moved", tmp_path / "out").counts == {
        "done": 0,
        "kept": 3,
        "failed": 0,
        "left": 0,
        "skipped": 0,
    }


def test_a_pattern_names_results_and_their_format(album: Path, tmp_path: Path) -> None:
    upscale(album, tmp_path / "out", pattern="{stem}-{width}x{height}.webp", size=Size(width=64))
    assert names(tmp_path / "out") == ["a-64x48.webp", "b-64x48.webp", "d-64x48.webp"]


def test_results_beside_pictures_are_not_upscaled_again(album: Path) -> None:
    assert upscale(album, None, recursive=True).counts["done"] == 4
    made = names(album)
    assert len(made) == 9
    again = upscale(album, None, recursive=True)
    assert again.counts == {"done": 0, "kept": 4, "failed": 0, "left": 0, "skipped": 0}
    assert again.earlier_results == 4
    (album / "a.png").unlink()  # the result of a picture that is gone is no picture to be upscaled
    assert upscale(album, None, recursive=True).counts["kept"] == 3
    part = upscale(album / "deep" / "er", None)  # the manifest above is found
    assert part.counts["kept"] == 1
    assert upscale(album, None, size=Size(scale=4)).counts["done"] == 2
    with pytest.raises(PictureError, match="results of earlier runs"):
        upscale(album / "b_x2.jpg", None)


def test_results_inside_the_folder_are_not_read_again(album: Path) -> None:
    upscale(album, album / "out", recursive=True)
    report = upscale(album, album / "out", recursive=True)
    assert report.counts["kept"] == 4
    assert len(names(album / "out")) == 4


def test_results_beside_pictures_are_skipped_by_other_runs_too(album: Path, tmp_path: Path) -> None:
    upscale(album, None)
    report = upscale(album, tmp_path / "out", size=Size(scale=3))
    assert names(tmp_path / "out") == ["a_x3.png", "b_x3.jpg", "d_x3.png"]
    assert report.earlier_results == 3
    first = upscale(album, tmp_path / "larger", size=Size(scale=2)).counts["done"]
    assert upscale(tmp_path / "larger", tmp_path / "twice").counts["done"] == first == 3  # a result can be a source
