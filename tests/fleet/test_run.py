"""A run over a fleet, with one worker here instead of Ray: bytes, tables, resuming, refusals."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
from PIL import Image

from mafdn.errors import MafdnError, MissingPackageError, PictureError, UsageError
from mafdn.fleet import run as module
from mafdn.fleet.cluster import Cluster
from mafdn.fleet.options import FleetOptions, FleetReport, Setup
from mafdn.fleet.run import FleetStopped, run_fleet
from mafdn.fleet.state import LOCK, PLANS, files_in
from mafdn.fleet.storage import STATE, StorageError, Store
from mafdn.fleet.table import RESULT, Row, Table, as_table
from mafdn.fleet.worker import Ledger
from mafdn.pictures.limits import Limits
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.output import Output
from tests.fleet.conftest import ENGINE, in_this_process, rows, run, upscaled
from tests.support import contents, draw


def test_results_are_those_of_upscale_and_the_table_says_what_happened(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (pictures / "truly-png.jpg").write_bytes((pictures / "a.png").read_bytes())
    right = upscaled(pictures, tmp_path / "right")
    report = run(pictures, out, process=True)
    assert contents(out) == right
    assert report.counts == {"done": 5, "kept": 0, "failed": 1, "left": 0}
    assert report.not_pictures == 1
    table = rows(out)
    assert sorted(table) == ["a.png", "b.jpg", "broken.png", "deep/d.png", "deep/er/c.webp", "truly-png.jpg"]
    for row in table.values():
        if row["status"] == "done":
            content = right[row["target"]]
            assert row["sha256"] == hashlib.sha256(content).hexdigest()
            assert row["target_size"] == len(content)
            assert (row["new_width"], row["new_height"]) == (2 * row["width"], 2 * row["height"])
            assert (row["attempts"], row["fault"], row["reason"]) == (1, False, None)
    assert table["truly-png.jpg"]["target"] == "truly-png_x2.png"
    assert table["broken.png"]["reason"].startswith(f"{pictures}/broken.png ")
    assert report.failures == ((f"{pictures}/broken.png", table["broken.png"]["reason"]),)
    assert not files_in(Store(str(out)), PLANS)
    assert list((out / STATE / "partial").iterdir()) == []
    made: list[str] = []
    again = run(pictures, out, made=made)
    assert again.counts == {"done": 0, "kept": 5, "failed": 1, "left": 0}
    assert made == []


def test_results_too_large_for_the_format_of_their_picture_have_another_one(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (8200, 2), (200, 100, 50)).save(tmp_path / "in/wide.webp")
    out = tmp_path / "out"
    assert run(tmp_path / "in", out).counts == {"done": 1, "kept": 0, "failed": 0, "left": 0}
    row = rows(out)["wide.webp"]
    assert (row["target"], row["new_width"]) == ("wide_x2.jpg", 16400)
    assert row["notes"] == "WebP holds at most 16,383 pixels a side: the result was written as JPEG"
    made: list[str] = []
    assert run(tmp_path / "in", out, made=made).counts["kept"] == 1
    assert made == []


def test_only_what_is_missing_or_changed_is_made_again(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(pictures, out)
    (out / "a_x2.png").unlink()
    draw(pictures / "b.jpg", 99)
    (out / "deep/d_x2.png").write_text("changed by hand")
    draw(pictures / "new.png", 7)
    made: list[str] = []
    report = run(pictures, out, made=made)
    assert sorted(made) == ["a.png", "b.jpg", "deep/d.png", "new.png"]
    assert report.counts == {"done": 4, "kept": 1, "failed": 1, "left": 0}
    assert contents(out) == upscaled(pictures, tmp_path / "right")
    for options in ({"strength": 0.5}, {"output": Output(quality=50)}):
        made.clear()
        run(pictures, out, made=made, **options)  # pyright: ignore[reportArgumentType]
        assert len(made) == 6, "all, and the one that failed with other settings"
    made.clear()
    run(pictures, out, made=made, fleet={"redo": True}, output=Output(quality=50))
    assert len(made) == 6
    made.clear()
    run(pictures, out, made=made, fleet={"retry": True}, output=Output(quality=50))
    assert made == ["broken.png"]


def test_files_of_others_are_kept(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a_x2.png").write_text("precious")
    report = run(pictures, out)
    assert report.counts["failed"] == 2
    assert "--overwrite" in rows(out)["a.png"]["reason"]
    assert (out / "a_x2.png").read_text() == "precious"
    assert run(pictures, out, overwrite=True).counts == {"done": 1, "kept": 3, "failed": 1, "left": 0}
    assert contents(out) == upscaled(pictures, tmp_path / "right")


def test_results_of_a_run_that_died_before_recording_them_are_its_own(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    work = in_this_process(Ledger())

    def dies(cluster: Cluster, tasks: list[Row], setup: Setup) -> Iterator[Table]:
        for number, table in enumerate(work(cluster, tasks, setup)):
            if number == 2:
                raise SystemExit  # as kill -9: nothing is saved
            yield table

    with pytest.raises(SystemExit):
        run_fleet(str(pictures), str(out), engine=ENGINE, options=UpscaleOptions(size=2), upscale=dies)
    assert len(contents(out)) >= 2
    assert rows(out) == {}
    assert len(files_in(Store(str(out)), PLANS)) == 1
    assert run(pictures, out).counts == {"done": 4, "kept": 0, "failed": 1, "left": 0}
    assert contents(out) == upscaled(pictures, tmp_path / "right")
    assert not files_in(Store(str(out)), PLANS)


def test_ctrl_c_records_what_is_done(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    work = in_this_process(Ledger())

    def stopped(cluster: Cluster, tasks: list[Row], setup: Setup) -> Iterator[Table]:
        for number, table in enumerate(work(cluster, tasks, setup)):
            if number == 2:
                raise KeyboardInterrupt
            yield table

    with pytest.raises(FleetStopped) as caught:
        run_fleet(str(pictures), str(out), engine=ENGINE, options=UpscaleOptions(size=2), upscale=stopped)
    assert sum(caught.value.report.counts[status] for status in ("done", "failed")) == 2
    assert caught.value.report.counts["left"] == 3
    assert len(rows(out)) == 2
    made: list[str] = []
    run(pictures, out, made=made)
    assert len(made) == 3
    assert contents(out) == upscaled(pictures, tmp_path / "right")


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_store_that_is_gone_costs_no_report(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    def fail(*_: object) -> None:
        raise StorageError("cannot use it: 403")

    def gone(_cluster: Cluster, tasks: list[Row], setup: Setup) -> Iterator[Table]:
        failed = {"status": "failed", "reason": "broken", "fault": False}
        yield as_table([tasks[0] | failed | {"run": setup.run}], RESULT)
        monkeypatch.setattr("mafdn.fleet.state.write_table", fail)
        raise KeyboardInterrupt if by_hand else StorageError("cannot use it: 403")

    def start() -> FleetReport:
        options = UpscaleOptions(size=2)
        return run_fleet(str(pictures), str(tmp_path / "out"), engine=ENGINE, options=options, upscale=gone)

    if by_hand:
        with pytest.raises(FleetStopped) as caught:
            start()
        report = caught.value.report
        assert report.stopped == "stopped by hand; the last results are not recorded: cannot use it: 403"
    else:
        report = start()
        assert report.stopped == "cannot use it: 403"
    assert (report.counts["failed"], report.counts["left"]) == (1, 4)


def test_windows_and_shards_are_a_partition(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made: list[str] = []
    reports = [run(pictures, out, made=made, fleet={"shard": f"{number}/3"}) for number in (2, 3, 1)]
    assert sorted(made) == ["a.png", "b.jpg", "broken.png", "deep/d.png", "deep/er/c.webp"]
    assert all(sum(report.counts.values()) + report.other_shards == 5 for report in reports)
    assert contents(out) == upscaled(pictures, tmp_path / "right")
    windows: list[int] = []
    work = in_this_process(Ledger())

    def counted(cluster: Cluster, tasks: list[Row], setup: Setup) -> Iterator[Table]:
        windows.append(len(tasks))
        return work(cluster, tasks, setup)

    run_fleet(
        str(pictures),
        str(tmp_path / "small"),
        engine=ENGINE,
        options=UpscaleOptions(size=2),
        upscale=counted,
        window=2,
    )
    assert windows == [2, 2, 1]
    assert contents(tmp_path / "small") == contents(out)


def test_lists_of_files(pictures: Path, tmp_path: Path) -> None:
    files = [str(pictures / name) for name in ("a.png", "b.jpg")]
    lines = [f"\ufeff{files[0]}", "# a comment", "", files[1], str(tmp_path / "missing.png")]  # as Notepad begins
    (tmp_path / "list.txt").write_text("\n".join(lines), "utf-8")
    report = run(tmp_path / "list.txt", tmp_path / "out")
    assert (report.counts["done"], report.counts["failed"]) == (2, 1)
    base = str(pictures).lstrip("/")
    assert sorted(contents(tmp_path / "out")) == [f"{base}/a_x2.png", f"{base}/b_x2.jpg"]
    table = pa.table({"uri": [*files, *files], "name": ["1.png", "sub/2.jpg", "1.png", "../../3.jpg"]})
    pq.write_table(table, tmp_path / "list.parquet")
    report = run(tmp_path / "list.parquet", tmp_path / "named")
    assert sorted(contents(tmp_path / "named")) == ["1_x2.png", "sub/2_x2.jpg"]
    assert len(report.failures) == 2
    assert "same result" in report.failures[0][1] + report.failures[1][1]
    assert "leads out of its folder" in report.failures[0][1] + report.failures[1][1]
    pq.write_table(pa.table({"url": files}), tmp_path / "bad.parquet")
    with pytest.raises(UsageError, match="no column uri"):
        run(tmp_path / "bad.parquet", tmp_path / "named")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"uri": [1]}, "column uri must be text, not int64"),
        ({"uri": ["a.png"], "name": [7]}, "column name must be text, not int64"),
        ({"uri": ["a.png"], "size": [1.5]}, "column size must be whole numbers, not double"),
    ],
)
def test_columns_of_lists_have_their_types(tmp_path: Path, columns: dict[str, list[Any]], message: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "bad.parquet")
    with pytest.raises(UsageError, match=f"bad.parquet: {message}$"):
        run(tmp_path / "bad.parquet", tmp_path / "out")


def test_columns_of_lists_may_be_empty_or_categories(pictures: Path, tmp_path: Path) -> None:
    uris = pa.array([str(pictures / "a.png")]).dictionary_encode()
    pq.write_table(pa.table({"uri": uris, "name": ["n.png"], "size": pa.nulls(1)}), tmp_path / "list.parquet")
    run(tmp_path / "list.parquet", tmp_path / "out")
    assert list(contents(tmp_path / "out")) == ["n_x2.png"]


@pytest.mark.parametrize("kind", ["txt", "parquet"])
def test_paths_of_lists_are_relative_to_the_folder_of_the_driver(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "list.txt").write_text("deep/d.png\n")
    pq.write_table(pa.table({"uri": ["deep/d.png"]}), tmp_path / "list.parquet")
    monkeypatch.chdir(pictures)
    upscale = in_this_process(Ledger())

    def elsewhere(cluster: Cluster, tasks: list[Row], setup: Setup) -> Iterator[Table]:
        monkeypatch.chdir(tmp_path)
        return upscale(cluster, tasks, setup)

    report = run_fleet(
        str(tmp_path / f"list.{kind}"),
        str(tmp_path / "out"),
        engine=ENGINE,
        options=UpscaleOptions(size=2),
        upscale=elsewhere,
    )
    assert report.failures == ()
    assert list(contents(tmp_path / "out")) == ["deep/d_x2.png"]
    assert rows(tmp_path / "out")["deep/d.png"]["uri"] == str(pictures / "deep" / "d.png")


def test_a_picture_that_was_upscaled_at_last_has_not_failed(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        assert run(pictures, out, limits=Limits(file_mb=0)).counts["failed"] == 5
    run(pictures, out, fleet={"retry": True})
    (out / "a_x2.png").unlink()
    made: list[str] = []
    report = run(pictures, out, made=made)
    assert made == ["a.png"]
    assert [Path(name).name for name, _ in report.failures] == ["broken.png"]


def test_limits_hold(pictures: Path, tmp_path: Path) -> None:
    report = run(pictures, tmp_path / "out", limits=Limits(file_mb=0.0005))
    assert report.counts["done"] < 4
    assert any("--max-file-mb allows" in reason for _, reason in report.failures)


@pytest.mark.parametrize(
    ("source", "target", "error", "words"),
    [
        ("{pictures}", "{pictures}", UsageError, "is inside the source"),
        ("{pictures}", "{pictures}/deep/results", UsageError, "is inside the source"),
        ("{pictures}", "file://{pictures}/results", UsageError, "is inside the source"),
        ("{pictures}/nowhere", "{out}", UsageError, "no such folder"),
        ("{pictures}/nowhere.txt", "{out}", UsageError, "no such folder"),
        ("{pictures}/a.png", "{out}", UsageError, r"is a file: .* a list must end in \.parquet, \.txt or \.lst"),
        ("file://{pictures}/a.png", "{out}", UsageError, "is a file"),
        ("nonsense://x/y", "{out}", UsageError, "unknown scheme nonsense://"),
        ("{pictures}", "nonsense://x/y", UsageError, "unknown scheme nonsense://"),
        ("gs://bucket/x", "{out}", MissingPackageError, "needs a package"),
        ("{pictures}/deep", "{pictures}/a.png", MafdnError, "a.png.*: Not a directory"),
    ],
)
def test_bad_places_are_refused_in_one_line(
    pictures: Path,
    tmp_path: Path,
    source: str,
    target: str,
    error: type[MafdnError],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    places = {"pictures": pictures, "out": tmp_path / "out"}
    with pytest.raises(error, match=words) as caught:
        run(source.format(**places), target.format(**places))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_source_without_pictures_is_an_error(tmp_path: Path) -> None:
    folder, texts = tmp_path / "in", tmp_path / "list.txt"
    folder.mkdir()
    texts.touch()
    for source in (folder, texts):
        with pytest.raises(PictureError, match=rf"no pictures in .*{source.name}$"):
            run(source, tmp_path / "out")
    (folder / "notes.csv").touch()
    with pytest.raises(PictureError, match=r"no pictures in .*in \(1 other files\)"):
        run(folder, tmp_path / "out")


def test_missing_decoders_are_failures_of_their_pictures_alone(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAULTS_IN_A_ROW", 2)
    without = tmp_path / "without" / "tifffile"
    without.mkdir(parents=True)
    (without / "__init__.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", f"{without.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    for number in range(3):
        tifffile.imwrite(pictures / f"{number}.tif", np.full((8, 8), 0.5, np.float64))
    report = run(pictures, tmp_path / "out", process=True)
    assert (report.stopped, report.counts["done"], report.counts["failed"]) == (None, 4, 4)
    found = rows(tmp_path / "out")["0.tif"]
    assert not found["fault"]
    assert 'pip install "mafdn[formats]"' in found["reason"]


def test_a_target_is_not_inside_a_folder_with_a_similar_name(pictures: Path) -> None:
    assert run(pictures, f"{pictures}-large").counts["done"] == 4


def test_a_second_driver_is_refused(pictures: Path, tmp_path: Path) -> None:
    out = Store(str(tmp_path / "out"))
    lock = {"run": "x", "host": "elsewhere", "pid": 1, "seen": time.time()}
    out.write(LOCK, json.dumps(lock).encode())
    with pytest.raises(MafdnError, match=r"another run is working on .*\(process 1 on elsewhere, seen"):
        run(pictures, out.url)
    with pytest.raises(MafdnError, match="another run is working on"):
        run(pictures, out.url, fleet={"shard": "1/2"})
    out.write(LOCK, json.dumps(lock | {"seen": time.time() - 500}).encode())  # killed
    assert run(pictures, out.url).counts["done"] == 4
    assert out.info(LOCK) is None
    out.write(f"{STATE}/lock-1-of-2.json", json.dumps(lock).encode())
    with pytest.raises(MafdnError, match="another run is working on"):
        run(pictures, out.url)
    assert run(pictures, out.url, fleet={"shard": "2/2"}).counts["kept"] < 4


def test_a_store_that_fails_ends_the_run(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAULTS_IN_A_ROW", 3)

    def fail(*_: object) -> None:
        raise StorageError("cannot use it: 403")

    def faulty(_cluster: Cluster, tasks: list[Row], setup: Setup) -> Iterator[Table]:
        monkeypatch.setattr("mafdn.fleet.worker.PictureProcess.run", fail)
        return in_this_process(Ledger(), process=True)(_cluster, tasks, setup)

    report = run_fleet(
        str(pictures), str(tmp_path / "out"), engine=ENGINE, options=UpscaleOptions(size=2), upscale=faulty
    )
    assert report.stopped == "3 pictures in a row failed alike: cannot use it: 403"
    assert report.counts == {"done": 0, "kept": 0, "failed": 3, "left": 2}
    monkeypatch.undo()
    assert run(pictures, tmp_path / "out").counts["done"] == 4, "faults are tried again"


@pytest.mark.parametrize("pattern", ["{stem}_{width}{ext}", "{stem}_{height}{ext}"])
def test_patterns_that_need_the_content_are_refused(pattern: str) -> None:
    from mafdn.upscaling.pattern import Pattern

    with pytest.raises(UsageError, match="must not use"):
        FleetOptions(pattern=Pattern(pattern))
