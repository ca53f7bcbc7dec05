"""Atomic replacement of files, snapshots, and escaped file names."""

import os
from pathlib import Path

import pytest

from mafdn._support.atomic import FileSnapshot, printable, replacing, sha256


def test_a_file_is_only_replaced_by_a_complete_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text(str({}["half"]))
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert [p.read_text() for p in tmp_path.iterdir()] == ["new"]


@pytest.mark.skipif(os.name != "posix", reason="needs links and modes")
def test_a_replaced_file_keeps_its_place_and_mode(tmp_path: Path) -> None:
    path, link = tmp_path / "real" / "file", tmp_path / "link"
    path.parent.mkdir()
    path.write_text("old")
    path.chmod(0o600)
    link.symlink_to(path)
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    assert list(path.parent.iterdir()) == [path]


def test_files_with_long_names_and_of_several_processes_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    with replacing(path) as first, replacing(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    with replacing(tmp_path / "film", resumed=True) as temporary:
        assert temporary.name == "film.partial"
        temporary.touch()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs /dev/null")
def test_a_device_is_not_replaced() -> None:
    with pytest.raises(OSError, match="not a regular file"), replacing(Path("/dev/null")):
        pass


def test_a_snapshot_detects_changes_of_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    snapshot = FileSnapshot.take(path)
    assert snapshot.sha256 == sha256(path)
    assert snapshot.still_holds(path)
    os.utime(path, (0, 0))
    assert snapshot.still_holds(path), "only the times have changed"
    path.write_text("two")
    assert not snapshot.still_holds(path)
    path.unlink()
    assert snapshot.still_holds(path), "a removed file counts as unchanged"
    path.mkdir()
    assert not snapshot.still_holds(path)


def test_control_characters_in_names_are_escaped() -> None:
    assert printable("a\nb\x1b[31m \N{CAMERA} \udcff") == "a\\nb\\x1b[31m \N{CAMERA} \udcff"
