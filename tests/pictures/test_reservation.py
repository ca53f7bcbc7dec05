"""Reserved files: complete under their final name, or not at all."""

import os
from pathlib import Path

import pytest

from mafdn.errors import PictureError
from mafdn.pictures.writing import reserve


def test_a_reserved_name_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    with pytest.raises(KeyError), reserve(target, overwrite=False) as temporary:
        temporary.write_text(str({}["half"]))
    assert list(tmp_path.iterdir()) == []
    with reserve(target, overwrite=False) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
    assert [p.read_text() for p in tmp_path.iterdir()] == ["whole"]
    with pytest.raises(PictureError, match="overwrite"), reserve(target, overwrite=False):
        pass
    with reserve(target, overwrite=True) as temporary:
        temporary.write_text("new")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["new"]


def test_a_name_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    reserved = reserve(target, overwrite=False)
    reserved.__enter__().write_text("ours")
    target.write_text("theirs")
    with pytest.raises(PictureError, match="exists"):
        reserved.__exit__(None, None, None)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["theirs"]


def test_links_and_special_files_as_targets(tmp_path: Path) -> None:
    real, link, dangling = tmp_path / "real.png", tmp_path / "link.png", tmp_path / "dangling.png"
    real.write_text("old")
    link.symlink_to(real)
    dangling.symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    for path in (link, dangling, tmp_path / "pipe.png", Path("/dev/null")):
        with pytest.raises(PictureError), reserve(path, overwrite=False):
            pass
    with pytest.raises(PictureError, match="regular"), reserve(tmp_path / "pipe.png", overwrite=True):
        pass
    with reserve(link, overwrite=True) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"
