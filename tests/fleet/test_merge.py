"""One record and one table of what shards and runs recorded."""

import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path

import filelock
import pyarrow.parquet as pq
import pytest

from mafdn._support.atomic import sha256
from mafdn.errors import MafdnError
from mafdn.fleet.cluster import Cluster
from mafdn.fleet.merge import merge
from mafdn.fleet.options import Setup
from mafdn.fleet.run import run_fleet
from mafdn.fleet.state import RESULTS, files_in, run_name
from mafdn.fleet.storage import Store
from mafdn.fleet.table import RESULT, Row, Table, as_table
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.shards import MANIFEST, Shard, lock_name, manifests_in
from tests.conftest import Run
from tests.fleet.conftest import ENGINE, run
from tests.support import draw
from tests.upscaling.conftest import Networks, upscale


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """The results of three shards."""
    for number in range(9):
        draw(tmp_path / "in" / f"{number}.png", number)
    for number in range(1, 4):
        upscale(tmp_path / "in", tmp_path / "out", selection={"shard": f"{number}/3"})
    return tmp_path / "out"


def test_manifests_of_shards_become_that_of_one_run(shards: Path, tmp_path: Path) -> None:
    merged = merge(str(shards), tmp_path / "table.parquet")
    assert merged == {"records": 3, "counts": {"done": 9}}
    assert manifests_in(shards) == [shards / MANIFEST]
    table = pq.read_table(tmp_path / "table.parquet").to_pylist()
    assert [row["target"] for row in table] == [f"{number}_x2.png" for number in range(9)]
    assert all(row["sha256"] == sha256(shards / row["target"]) for row in table)
    assert all(row["source_sha256"] == sha256(shards / row["source"]) for row in table)
    networks = Networks()
    assert upscale(tmp_path / "in", shards, networks=networks).counts["kept"] == 9
    assert not networks.opened
    assert merge(str(shards)) == {"records": 1, "counts": {"done": 9}}


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_other_tables(shards: Path, tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"table.{ending}"
    merge(str(shards), output)
    text = output.read_text()
    found = list(csv.DictReader(text.splitlines())) if ending == "csv" else [json.loads(x) for x in text.splitlines()]
    assert {row["target"] for row in found} == {f"{number}_x2.png" for number in range(9)}
    with pytest.raises(MafdnError, match="or --overwrite"):
        merge(str(shards), output)
    merge(str(shards), output, overwrite=True)


def test_shards_at_work_are_not_merged(shards: Path) -> None:
    before = {path.name: path.read_bytes() for path in manifests_in(shards)}
    with (
        filelock.FileLock(shards / lock_name(Shard(2, 3))),
        pytest.raises(MafdnError, match="a run on shard 2/3 is working"),
    ):
        merge(str(shards))
    assert {path.name: path.read_bytes() for path in manifests_in(shards)} == before


def test_the_last_row_of_a_picture_counts(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(pictures, out)
    draw(pictures / "broken.png", 5)
    run(pictures, out)
    store = Store(str(out))
    assert len(files_in(store, RESULTS)) == 2
    assert merge(str(out), tmp_path / "table.parquet") == {"records": 2, "counts": {"done": 5}}
    table = pq.read_table(tmp_path / "table.parquet").to_pylist()
    assert [row["name"] for row in table] == ["a.png", "b.jpg", "broken.png", "deep/d.png", "deep/er/c.webp"]
    assert len(files_in(store, RESULTS)) == 1
    assert run(pictures, out).counts["kept"] == 5


def test_the_next_run_knows_all_results(tmp_path: Path) -> None:
    source, out = draw(tmp_path / "in" / "a.png").parent, tmp_path / "out"

    def run_at(scale: int, status: str = "done", strength: float = 1.0) -> dict[str, int]:
        def record(_cluster: Cluster, tasks: list[Row], setup: Setup) -> Iterator[Table]:
            for task in tasks:
                (out / task["target"]).write_text(setup.run)
                found = Store(setup.target).info(task["target"])
                assert found is not None
                row = task | {"status": status, "fault": False, "target_size": found.size, "target_mark": found.mark}
                yield as_table([row], RESULT)

        options = UpscaleOptions(size=scale, strength=strength)
        return run_fleet(str(source), str(out), engine=ENGINE, options=options, upscale=record).counts

    assert run_at(2)["done"] == run_at(4)["done"] == run_at(2, "failed", 0.5)["failed"] == 1
    assert merge(str(out), tmp_path / "table.parquet") == {"records": 3, "counts": {"failed": 1, "done": 1}}
    table = pq.read_table(tmp_path / "table.parquet").to_pylist()
    assert [(row["target"], row["status"]) for row in table] == [("a_x4.png", "done"), ("a_x2.png", "failed")]
    assert run_at(4)["kept"] == 1
    assert run_at(2, strength=0.7)["done"] == 1


def test_later_runs_have_later_names() -> None:
    names: list[str] = []
    for _ in range(50):
        names.append(run_name())
        time.sleep(1e-4)
    assert names == sorted(names)


def test_the_command(cli: Run, shards: Path, tmp_path: Path) -> None:
    code, out, err = cli("fleet", "merge", shards, "-o", tmp_path / "t.csv")
    assert (code, err) == (0, "")
    assert out == f"{shards}: 3 records joined, 9 done, written to {tmp_path / 't.csv'}\n"
    for arguments, expected, words in (
        ((shards, "-o", tmp_path / "t.xlsx"), 2, "must end in .parquet, .csv or .jsonl"),
        ((shards, "-o", tmp_path / "t.csv"), 1, "or --overwrite"),
        ((tmp_path / "in",), 2, "has no records"),
        (("nonsense://x",), 2, "unknown scheme"),
    ):
        code, _, err = cli("fleet", "merge", *arguments)
        assert (code, err.count("\n")) == (expected, 1)
        assert words in err


def test_the_command_refuses_bad_places(cli: Run, pictures: Path, tmp_path: Path) -> None:
    for arguments, code, words in (
        ((pictures, pictures / "deep" / "out"), 2, "is inside the source"),
        ((pictures, "s4://bucket/x"), 2, "unknown scheme s4://"),
        ((tmp_path / "nowhere", tmp_path / "out"), 2, "no such folder"),
        ((pictures, tmp_path / "out", "--pattern", "{stem}_{width}{ext}"), 2, "must not use {width}"),
        ((pictures, tmp_path / "out", "--shard", "5/3"), 2, "shard 5/3"),
    ):
        found, _, err = cli("fleet", *arguments)
        assert (found, err.count("\n")) == (code, 1), err
        assert words in err
    assert not (tmp_path / "out").exists()
