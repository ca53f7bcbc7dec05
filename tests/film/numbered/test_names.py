"""Patterns such as `frames/%06d.png`."""

from pathlib import Path

import pytest

from mafdn.errors import PictureError
from mafdn.film.numbered.names import Numbering


@pytest.mark.parametrize(
    ("text", "number", "name"),
    [
        ("in/%06d.png", 7, "in/000007.png"),
        ("%d.jpg", 12, "12.jpg"),
        ("a/shot-%04d_x.TIFF", 12345, "a/shot-12345_x.TIFF"),
    ],
)
def test_patterns_give_names(text: str, number: int, name: str) -> None:
    pattern = Numbering.parse(text)
    assert pattern is not None
    assert pattern.file(number) == Path(name)
    assert str(pattern.path) == text


@pytest.mark.parametrize(
    "text", ["a.png", "%s.png", "%06d", "%06d.mp4", "%d-%d.png", "%06d/a.png", "100%.png", "", "-"]
)
def test_other_names_are_no_patterns(text: str) -> None:
    assert Numbering.parse(text) is None


def test_a_file_of_that_name_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "%d.png"
    path.touch()
    assert Numbering.parse(str(path)) is None


def test_pictures_come_by_their_numbers_and_others_are_none(tmp_path: Path) -> None:
    for name in ("a10.png", "a9.png", "a1.png", "a01.png", "b2.png", "a3.jpg", "a.png", "a4.png.partial"):
        (tmp_path / name).touch()
    pattern = Numbering.parse(str(tmp_path / "a%d.png"))
    assert pattern is not None
    assert [path.name for path in pattern.files()] == ["a1.png", "a9.png", "a10.png"]
    two = Numbering.parse(str(tmp_path / "a%02d.png"))
    assert two is not None
    assert [path.name for path in two.files()] == ["a01.png", "a10.png"]
    none = Numbering.parse(str(tmp_path / "c%d.png"))
    assert none is not None
    with pytest.raises(PictureError, match="no picture is called"):
        none.files()
