"""Stores: lists, versions, and files that appear whole or not at all."""

import ntpath
import os
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mafdn.errors import UsageError
from mafdn.fleet.sources import Picture, Source, name_of, split_list
from mafdn.fleet.storage import Entry, StorageError, Store, is_inside, split_anchor
from mafdn.fleet.table import contains, key_of, sorted_keys


def test_folders_are_walked_one_at_a_time(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "x/2.png", "x/y/3.png", ".hidden/4.png", ".5.png", "w/6.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12")
    found = [[entry.name for entry in entries] for entries in Store(str(tmp_path)).walk()]
    assert found == [["a.png", "b.png"], ["w/6.png"], ["x/2.png"], ["x/y/3.png"]]
    assert Store(str(tmp_path / "nowhere")).entries() is None
    entry = Store(f"file://{tmp_path}").info("x/2.png")
    assert entry == Entry("x/2.png", 2, str((tmp_path / "x/2.png").stat().st_mtime))
    assert Store(str(tmp_path)).info("x") is None


@pytest.mark.parametrize("url", ["{folder}", "memory://{name}"])
def test_files_are_put_read_and_removed(tmp_path: Path, url: str) -> None:
    store = Store(url.format(folder=tmp_path / "store", name=tmp_path.name))
    local = tmp_path / "local"
    for content in (b"one", b"three"):
        local.write_bytes(content)
        entry = store.put(local, "deep/er/file")
        assert (entry.name, entry.size) == ("deep/er/file", len(content))
        assert store.read("deep/er/file") == content
        assert not local.exists()
    store.get("deep/er/file", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"three"
    assert store.write("lock", b"1", new=True)
    assert not store.write("lock", b"2", new=True)
    assert store.read("lock") == b"1"
    store.remove("lock")
    store.remove("lock")
    assert store.info("lock") is None
    with pytest.raises(StorageError, match=r"cannot use .*lock"):
        store.read("lock")


def test_a_file_that_cannot_be_put_leaves_the_old_one(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    store.write("file", b"old")
    with pytest.raises(StorageError, match="No such file"):
        store.put(tmp_path / "missing", "file")
    assert store.read("file") == b"old"


@pytest.mark.parametrize(
    ("inner", "outer", "inside"),
    [
        ("{t}/a", "{t}", True),
        ("{t}", "{t}", True),
        ("{t}/", "{t}", True),
        ("{t}-b", "{t}", False),
        ("{t}", "{t}/a", False),
        ("memory://a/b", "memory://a", True),
        ("memory://ab", "memory://a", False),
        ("memory://a", "{t}", False),
    ],
)
def test_places_inside_others(tmp_path: Path, inner: str, outer: str, inside: bool) -> None:
    assert is_inside(Store(inner.format(t=tmp_path)), Store(outer.format(t=tmp_path))) == inside


def test_a_link_does_not_hide_that_a_target_is_inside(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "in" / "deep")
    assert is_inside(Store(str(tmp_path / "link")), Store(str(tmp_path / "in")))


def test_versions_of_listed_files_are_looked_up(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_text("1")
    missing = str(tmp_path / "missing.png")
    (tmp_path / "list.txt").write_text(f"{file}\nnonsense://x/y.png\n{missing}\n")

    def listed() -> list[Picture]:
        return [picture for _, part in Source(str(tmp_path / "list.txt")).folders() for picture in part]

    first, *others = listed()
    assert first.size == 1
    assert first.mark
    assert [(p.uri, p.size, p.mark) for p in others] == [("nonsense://x/y.png", 0, ""), (missing, 0, "")]
    file.write_text("23")
    assert listed()[0].size == 2
    assert listed()[0].mark != first.mark


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PureWindowsPath(r"C:\photos\a b.png"), ("C:\\", "photos/a b.png")),
        (PureWindowsPath(r"\\server\share\a.png"), ("\\\\server\\share\\", "a.png")),
        (PurePosixPath("/photos/a.png"), ("/", "photos/a.png")),
    ],
)
def test_paths_are_split_into_disk_and_rest(path: PurePath, expected: tuple[str, str]) -> None:
    assert split_anchor(path) == expected


def test_lists_are_split_by_the_separators_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert split_list("s3://bucket/a/list.txt") == ("s3://bucket/a", "list.txt")
    assert split_list("list.txt") == ("", "list.txt")
    assert split_list("/list.txt") == ("/", "list.txt")
    monkeypatch.setattr(os, "path", ntpath)
    assert split_list(r"C:\photos\list.txt") == ("C:\\photos", "list.txt")
    assert name_of(r"C:\photos\a.png") == "photos/a.png"


def test_unknown_schemes_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown scheme abc://"):
        Store("abc://x")


@given(st.text())
def test_names_of_listed_files_stay_inside(uri: str) -> None:
    parts = name_of(uri).split("/")
    assert not {".", ".."} & set(parts)
    assert not name_of(uri).startswith("/")


@given(st.lists(st.integers(0, 2**64 - 1)), st.integers(0, 2**64 - 1))
def test_sorted_keys_contain_what_they_are_made_of(values: list[int], other: int) -> None:
    keys = sorted_keys([np.array(values, np.uint64)])
    assert all(contains(keys, value) for value in values)
    assert contains(keys, other) == (other in values)


def test_keys_tell_parts_apart() -> None:
    assert len({key_of("a", "b"), key_of("ab", ""), key_of("", "ab"), key_of("a", "b", "")}) == 4
