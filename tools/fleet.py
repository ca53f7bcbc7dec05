"""Measure fleets: `python -m tools.fleet pair FOLDER` and `python -m tools.fleet rows`, which print JSON.

`pair` upscales the pictures of a folder by turns with `mafdn upscale` and with `mafdn fleet` on this machine, compares
all results byte by byte, and prints the throughput of both. `rows` runs a fleet on Ray over a list of many pictures of
which none is opened: each worker makes a copy of one small file in place of every result, so that all but the network,
codecs and transfers is measured. Time and memory of the driver are measured as the rows go by.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from mafdn._support.machine import machine
from mafdn.fleet import cluster as module
from mafdn.fleet.cluster import Cluster, open_cluster
from mafdn.fleet.options import FleetOptions, Setup
from mafdn.fleet.run import FleetProgress, run_fleet
from mafdn.fleet.storage import Store
from mafdn.fleet.table import RESULT, Row, Table, as_table
from mafdn.upscaling.options import UpscaleOptions

COPY = bytes(64)
"""Content of the file that takes the place of results."""
WORKERS = 2
"""Workers of the simulation."""


class CopyWorker:
    """Takes the place of `RayWorker`: copies a small file to the place of every result."""

    def __init__(self, setup: str, ledger: Any) -> None:
        self._setup, self._ledger = Setup.from_text(setup), ledger
        self._target = Store(self._setup.target)

    def __call__(self, tasks: Table) -> Table:
        """Make copies; the ledger is asked once for each group, not for each picture."""
        import ray

        rows: list[Row] = []
        for task in tasks.to_pylist():
            path = Path(self._target.path(task["target"]))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(COPY)
            found = path.stat()
            done = {"status": "done", "target_size": found.st_size, "target_mark": str(found.st_mtime), "fault": False}
            rows.append({**task, **done, "finished": datetime.now(UTC), "run": self._setup.run, "reason": None})
        ray.get(self._ledger.begin.remote(rows[0]["name"]))
        return as_table(rows, RESULT)


def memory_mib() -> float:
    """Memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure_rows(count: int, window: int, group: int, folder: Path) -> dict[str, Any]:
    """Run a fleet over a list of `count` rows; returns time and memory of the driver every tenth of them."""
    listed = folder / "list.parquet"
    writer = pq.ParquetWriter(listed, pa.schema([("uri", pa.string()), ("size", pa.int64())]))
    for start in range(0, count, 100_000):
        numbers = range(start, min(start + 100_000, count))
        uris = [f"/pictures/{number // 1000:06d}/{number:09d}.jpg" for number in numbers]
        writer.write_table(pa.table({"uri": uris, "size": [1000] * len(numbers)}))
    writer.close()
    began, points = time.monotonic(), list[dict[str, float]]()

    def note(rows: int) -> None:
        times = {"seconds": round(time.monotonic() - began, 1), "driver_cpu_seconds": round(time.process_time(), 1)}
        points.append({"rows": rows, **times, "driver_mib": round(memory_mib(), 1)})

    def follow(at: FleetProgress) -> None:
        if at.done >= points[-1]["rows"] + count / 10:
            note(at.done)

    note(0)

    fleet = FleetOptions(workers=WORKERS)
    module.RayWorker = CopyWorker  # pyright: ignore[reportAttributeAccessIssue]
    with open_cluster(fleet) as opened:

        def upscale(_cluster: Cluster, tasks: list[Row], setup: Setup) -> Iterator[Table]:
            return opened.upscale(tasks, setup, fleet, rows=group)

        report = run_fleet(
            str(listed),
            str(folder / "out"),
            options=UpscaleOptions(size=2),
            fleet=fleet,
            on_progress=follow,
            upscale=upscale,
            window=window,
        )
    again = time.monotonic()
    second = run_fleet(
        str(listed), str(folder / "out"), options=UpscaleOptions(size=2), fleet=fleet, upscale=None, window=window
    )
    assert second.counts["kept"] == count, second.counts
    return {
        "what": "the network, codecs and transfers are replaced by the copy of a small file",
        "rows": count,
        "window": window,
        "rows_per_group": group,
        "counts": report.counts,
        "seconds": round(report.seconds, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "points": points,
        "seconds_of_a_second_run_that_keeps_all": round(time.monotonic() - again, 1),
    }


def measure_pair(source: Path, turns: int, scale: float, folder: Path) -> dict[str, Any]:
    """Upscale a folder by turns with both commands; returns seconds of each and whether results are equal.

    `throughput_of_fleet` is that of whole runs, in which Ray starts and ends; `throughput_without_start` that of all
    pictures but the first and last twentieth, by the times at which results were written.
    """
    cores = len(os.sched_getaffinity(0))
    options = ["--scale", f"{scale:g}", "--engine", "openvino", "--quiet"]
    commands = {
        "upscale": ["upscale", str(source), "-r", "-o", str(folder / "upscale"), *options],
        "fleet": ["fleet", str(source), str(folder / "fleet"), *options],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    between: dict[str, list[float]] = {name: [] for name in commands}
    environment = {**os.environ, "RAY_worker_niceness": "0", "RAY_ADDRESS": "local"}
    for _ in range(turns):
        for name, command in commands.items():
            shutil.rmtree(folder / name, ignore_errors=True)
            began = time.monotonic()
            subprocess.run([sys.executable, "-m", "mafdn", *command], check=True, env=environment)
            seconds[name].append(round(time.monotonic() - began, 2))
            moments = sorted(path.stat().st_mtime for path in _results(folder / name))
            spared = len(moments) // 20
            between[name].append(round(moments[-1 - spared] - moments[spared], 2))
    files = {path.relative_to(folder / "upscale") for path in _results(folder / "upscale")}
    equal = sum((folder / "upscale" / path).read_bytes() == (folder / "fleet" / path).read_bytes() for path in files)
    return {
        "pictures": len(files),
        "megapixels": round(statistics.mean(_megapixels(path) for path in _results(source)), 4),
        "scale": scale,
        "equal": equal,
        "cores": cores,
        "seconds": seconds,
        "seconds_between": between,
        "throughput_of_fleet": _ratio(seconds),
        "throughput_without_start": _ratio(between),
    }


def _results(folder: Path) -> list[Path]:
    """The results in a folder, without what runs record beside them."""
    return [
        path for path in folder.rglob("*") if path.is_file() and not path.relative_to(folder).as_posix().startswith(".")
    ]


def _megapixels(path: Path) -> float:
    with Image.open(path) as picture:
        return picture.width * picture.height / 1e6


def _ratio(seconds: dict[str, list[float]]) -> float:
    """The throughput of `mafdn fleet` relative to that of `mafdn upscale`, the median of all turns."""
    return round(statistics.median(a / b for a, b in zip(seconds["upscale"], seconds["fleet"], strict=True)), 3)


def main() -> None:
    """Run one of the measurements and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    rows = parts.add_parser("rows")
    rows.add_argument("--rows", type=int, default=1_000_000)
    rows.add_argument("--window", type=int, default=50_000)
    rows.add_argument("--group", type=int, default=100)
    pair = parts.add_parser("pair")
    pair.add_argument("source", type=Path)
    pair.add_argument("--turns", type=int, default=3)
    pair.add_argument("--scale", type=float, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mafdn-fleet-") as name:
        folder = Path(name)
        if arguments.part == "rows":
            result = measure_rows(arguments.rows, arguments.window, arguments.group, folder)
        else:
            result = measure_pair(arguments.source, arguments.turns, arguments.scale, folder)
        print(json.dumps({"machine": asdict(machine()), **result}, indent=2), flush=True)  # deleting takes minutes


if __name__ == "__main__":
    main()
