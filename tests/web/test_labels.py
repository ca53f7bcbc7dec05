"""Names of clients as labels."""

from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mafdn.web.labels import LONGEST_NAME, Label, content_disposition, with_labels


@pytest.mark.parametrize(
    ("text", "folder", "name"),
    [
        ("photo.jpg", "", "photo.jpg"),
        ("holiday/day 1/photo.jpg", "holiday/day 1", "photo.jpg"),
        ("../../etc/passwd", "etc", "passwd"),
        ("/etc/passwd", "etc", "passwd"),
        (r"C:\Users\me\photo.jpg", "C_/Users/me", "photo.jpg"),
        ("..", "", "picture"),
        ("", "", "picture"),
        (None, "", "picture"),
        (".hidden", "", "hidden"),
        ("con.png", "", "_con.png"),
        ("a\r\nSet-Cookie: x\0.png", "", "aSet-Cookie_ x.png"),
        ("\u202egpj.exe", "", "gpj.exe"),
        ("cafe\u0301.png", "", "café.png"),
        ("a. ", "", "a"),
    ],
)
def test_labels_are_plain_names(text: str | None, folder: str, name: str) -> None:
    assert Label.of(text) == Label(name=name, folder=folder)


@given(st.text())
def test_no_text_makes_a_label_that_leaves_its_folder(text: str) -> None:
    label = Label.of(text)
    parts = [*filter(None, label.folder.split("/")), label.name]
    for part in parts:
        assert part not in ("", ".", "..")
        assert not set(part) & set('/\\:*?"<>|\0\r\n')
        assert len(part.encode()) <= LONGEST_NAME
    assert Label.of("/".join(parts)) == label


@given(st.text(min_size=1))
def test_headers_for_downloads_are_one_ascii_line_with_the_whole_name(text: str) -> None:
    name = Label.of(text).name
    header = content_disposition(name)
    assert header.isascii()
    assert header.isprintable()
    assert unquote(header.rpartition("''")[2]) == name
    assert header.count('"') == 2


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.JPG", ".jpg"), ("a.exe", ""), ("a", ""), ("a.cr2", ".cr2"), ("a.tga", ".tga")]
)
def test_only_known_endings_name_files(name: str, suffix: str) -> None:
    assert Label.of(name).suffix == suffix


def test_messages_have_labels_in_place_of_paths() -> None:
    text = with_labels("/x/y/source.jpg is in /x/y", {Path("/x/y"): "the folder", Path("/x/y/source.jpg"): "a.jpg"})
    assert text == "a.jpg is in the folder"
