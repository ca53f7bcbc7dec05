"""Pictures whose content is of another format than their names say: their results get other names than were planned."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mafdn.fleet import sources
from mafdn.fleet.cluster import Cluster
from mafdn.fleet.options import Setup
from mafdn.fleet.run import run_fleet
from mafdn.fleet.table import Row, Table
from mafdn.fleet.worker import Ledger
from mafdn.upscaling.options import UpscaleOptions
from tests.fleet.conftest import ENGINE, in_this_process, rows, run, upscaled
from tests.support import contents, draw


def draw_as(path: Path, ending: str, seed: int = 0) -> Path:
    """Make a picture whose content is of another format than its name says."""
    return draw(Path(f"{path}{ending}"), seed).rename(path)


def test_results_of_pictures_with_the_same_stem_are_all_kept(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    draw_as(source / "a.jpg", ".png", 1)
    draw_as(source / "a.webp", ".png", 2)
    draw_as(source / "B.JPG", ".png", 3)
    draw(source / "a.png", 4)
    draw(source / "a_jpg.png", 5)
    draw(source / "b.png", 6)
    right = upscaled(source, tmp_path / "right")
    for overwrite in (False, True):
        assert run(source, out, overwrite=overwrite, fleet={"redo": True}).counts["done"] == 6
        assert sorted(contents(out).values()) == sorted(right.values())
        assert {name: row["target"] for name, row in rows(out).items()} == {
            "B.JPG": "B_JPG_x2.png",
            "a.jpg": "a_jpg_2_x2.png",
            "a.png": "a_x2.png",
            "a.webp": "a_webp_x2.png",
            "a_jpg.png": "a_jpg_x2.png",
            "b.png": "b_x2.png",
        }
    assert run(source, out).counts["kept"] == 6


def test_a_new_picture_does_not_replace_the_result_of_another(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    draw_as(source / "a.jpg", ".png", 1)
    run(source, out)
    first = contents(out)
    draw(source / "a.png", 2)
    assert run(source, out).counts == {"done": 1, "kept": 1, "failed": 0, "left": 0}
    assert sorted(contents(out)) == ["a_png_x2.png", "a_x2.png"]
    assert contents(out)["a_x2.png"] == first["a_x2.png"]
    draw_as(source / "a.jpg", ".png", 3)
    assert run(source, out).counts == {"done": 1, "kept": 1, "failed": 0, "left": 0}
    assert contents(out) == upscaled(source, tmp_path / "right")


@pytest.mark.parametrize("true_first", [False, True])
def test_pictures_far_apart_in_a_list_do_not_replace_results_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, true_first: bool
) -> None:
    monkeypatch.setattr(sources, "ROWS", 1)
    files = [draw_as(tmp_path / "in/a.jpg", ".png", 1), draw(tmp_path / "in/a.png", 2)]
    (tmp_path / "list.txt").write_text("\n".join(map(str, reversed(files) if true_first else files)))
    report = run(tmp_path / "list.txt", tmp_path / "out")
    assert report.counts == {"done": 1, "kept": 0, "failed": 1, "left": 0}
    [(_, reason)] = report.failures
    assert reason.endswith("a_x2.png exists, and is the name of this result by its content; use --overwrite")
    assert len(contents(tmp_path / "out")) == 1


@pytest.mark.parametrize("again", [{"fleet": {"redo": True}}, {"strength": 0.5}, {}])
def test_an_own_result_is_replaced(tmp_path: Path, again: dict[str, Any]) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    draw_as(source / "b.jpg", ".png", 1)
    run(source, out)
    first = contents(out)
    if not again:
        draw_as(source / "b.jpg", ".png", 2)
    assert run(source, out, **again).counts == {"done": 1, "kept": 0, "failed": 0, "left": 0}
    assert list(contents(out)) == ["b_x2.png"]
    assert (contents(out) == first) == ("fleet" in again)


def test_a_picture_whose_name_has_become_true_is_made_once(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    draw_as(source / "b.jpg", ".png", 1)
    run(source, out)
    draw(source / "b.jpg", 2)
    assert run(source, out).counts["done"] == 1
    assert run(source, out).counts["kept"] == 1
    assert sorted(contents(out)) == ["b_x2.jpg", "b_x2.png"]


def test_a_result_that_a_killed_run_did_not_record_is_recorded(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    draw_as(source / "b.jpg", ".png", 1)
    work = in_this_process(Ledger())

    def dies(cluster: Cluster, tasks: list[Row], setup: Setup) -> Iterator[Table]:
        list(work(cluster, tasks, setup))
        raise SystemExit  # as kill -9: nothing is saved
        yield

    with pytest.raises(SystemExit):
        run_fleet(str(source), str(out), engine=ENGINE, options=UpscaleOptions(size=2), upscale=dies)
    assert (sorted(contents(out)), rows(out)) == (["b_x2.png"], {})
    assert run(source, out).counts["done"] == 1
    assert run(source, out).counts["kept"] == 1
    assert contents(out) == upscaled(source, tmp_path / "right")


def test_a_file_of_others_is_kept(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    draw_as(source / "b.jpg", ".png", 1)
    run(source, tmp_path / "other")
    out.mkdir()
    size = len(contents(tmp_path / "other")["b_x2.png"])
    for precious in ("precious", "p" * size):
        (out / "b_x2.png").write_text(precious)
        report = run(source, out, fleet={"retry": True})
        assert report.counts["failed"] == 1
        assert "is the name of this result by its content; use --overwrite" in report.failures[0][1]
        assert (out / "b_x2.png").read_text() == precious
    assert run(source, out, overwrite=True, fleet={"retry": True}).counts["done"] == 1
