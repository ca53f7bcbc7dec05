"""Timings of docs, measured again: as ratios to the stored ones, since they depend on the machine."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tools.reproduce.parts import Data

Values = dict[str, float]
Timing = Callable[[Data], tuple[Values, Values]]
"""Measures something again; returns stored and new values by name."""


def ratios(stored: Values, made: Values) -> Iterator[str]:
    """A line for each value that was measured both times: the new one divided by the stored one."""
    for name in stored.keys() & made.keys():
        if stored[name]:
            yield f"{name}: {made[name] / stored[name]:.2f} times the stored value"


def bench(data: Data) -> tuple[Values, Values]:
    """`mafdn bench`: latency of the shipped networks (bench.json)."""
    made = _run(data, ["-m", "mafdn", "bench", "--rounds", "3", "--json"])
    return _latencies(data.stored("bench")), _latencies(made)


def start(data: Data) -> tuple[Values, Values]:
    """`tools.start`: start-up time (start.json)."""
    made = _run(data, ["-m", "tools.start", "3"])
    return _medians(data.stored("start")), _medians(made)


def growth(data: Data) -> tuple[Values, Values]:
    """`tools.growth`: memory and time by size, up to 16 megapixels (growth.json)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "growth.json")
        sizes = ["--megapixels", "1", "4", "10", "16", "--rounds", "1"]
        _call(data, ["-m", "tools.growth", str(data.photos[0]), "-o", str(path), *sizes])
        made = json.loads(path.read_text("utf-8"))
    return _sizes(data.stored("growth")), _sizes(made)


def photo(data: Data) -> tuple[Values, Values]:
    """`mafdn upscale` of a photograph of 6 megapixels (upscale-6mp-x4.json)."""
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder, "large.jpg"))
        made = _run(data, ["-m", "mafdn", "upscale", str(data.photos[0]), target, "--json"])
    keys = ("seconds", "peak_mib")
    stored = data.stored("upscale-6mp-x4")
    return {key: stored[key] for key in keys}, {key: made[key] for key in keys}


def throughput(data: Data) -> tuple[Values, Values]:
    """`tools.throughput`: folders against the network alone (throughput.json)."""
    made = _run(data, ["-m", "tools.throughput", str(data.photos[0].parent)])
    return _shares(data.stored("throughput")), _shares(made)


TIMINGS: dict[str, Timing] = {
    "bench": bench,
    "start": start,
    "growth": growth,
    "photo": photo,
    "throughput": throughput,
}


def _call(data: Data, arguments: list[str]) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=data.project, check=True, stdout=subprocess.PIPE, text=True).stdout


def _run(data: Data, arguments: list[str]) -> Any:
    return json.loads(_call(data, arguments))


def _latencies(measured: dict[str, Any]) -> Values:
    return {
        f"{r['name']} x{r['scale']} {r['precision']} {r['latency']['engine'].partition(' ')[0]}": r["latency"]["median"]
        for r in measured["rows"]
        if r["latency"].get("median")
    }


def _medians(measured: dict[str, Any]) -> Values:
    return {row["what"]: row["median"] for row in measured["starts"]}


def _sizes(measured: dict[str, Any]) -> Values:
    values: Values = {}
    for entry in measured["sizes"]:
        values[f"{entry['megapixels']:g} megapixels, seconds"] = statistics.median(entry["seconds"])
        values[f"{entry['megapixels']:g} megapixels, MiB"] = max(entry["peak_mib"])
    return values


def _shares(measured: dict[str, Any]) -> Values:
    return {kind: medians["throughput"] for kind, medians in measured["medians"].items()}
