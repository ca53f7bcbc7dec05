"""Measure the start-up time of `mafdn upscale` for a picture of 128x128, and where the time is spent.

    python -m tools.start [ROUNDS] > docs/results/start.json

Every start is a separate process; the kinds of start take turns. They differ in whether the compiled graph is cached.
"""

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from mafdn._support.machine import installed_version, machine, machine_text
from mafdn.bench.tables import load_note
from mafdn.bench.timing import soft_picture
from mafdn.evaluation.tables import Table

SIDE = 128
"""Side of the picture in pixels."""
MODULES = ("mafdn.cli", "mafdn.api", "typer", "rich.console", "numpy", "pyvips", "openvino")
"""Modules whose imports are timed, each including everything it imports."""
STEPS = """
import json, sys, time
marks = [time.perf_counter()]
steps = {}
def mark(what):
    marks.append(time.perf_counter())
    steps[what] = 1000 * (marks[-1] - marks[-2])
import mafdn.cli, mafdn.api, numpy
from mafdn.upscaling.loaded import load
mark("import the command line, numpy and libvips")
from mafdn.inference.engines.openvino import import_openvino
import_openvino()
mark("import OpenVINO")
upscaler = load("x4")
mark("find the engine and open the network")
engine = upscaler.engine
engine.run(numpy.zeros((1, 3, 16, 16), "float32"))
mark("read the compiled graph")
upscaler.upscale_file(sys.argv[1], sys.argv[2])
mark("upscale the file: decode, run, encode, write")
print(json.dumps(steps))
"""
"""A program that prints the milliseconds that every step of a start takes."""


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "small.png"
        pyvips.Image.new_from_array(soft_picture(SIDE, SIDE), interpretation="srgb").pngsave(str(source))
        cache = folder / "cache"
        command = [sys.executable, "-m", "mafdn", "upscale", str(source), str(folder / "large.png"), "--overwrite"]
        states: dict[str, tuple[list[str], Callable[[], None]]] = {
            "`python -c pass`": ([sys.executable, "-c", "pass"], lambda: None),
            "nothing cached": (command, lambda: shutil.rmtree(cache, ignore_errors=True)),
            "everything cached": (command, lambda: None),
        }
        times: dict[str, list[tuple[float, float]]] = {what: [] for what in states}
        for _ in range(rounds):
            for what, (line, prepare) in states.items():
                prepare()
                times[what].append(timed(line, cache))
        starts = [
            {
                "what": what,
                "runs": rounds,
                "median": statistics.median(wall for wall, _ in mine),
                "low": float(np.quantile([wall for wall, _ in mine], 0.25)),
                "high": float(np.quantile([wall for wall, _ in mine], 0.75)),
                "cpu": statistics.median(cpu for _, cpu in mine),
            }
            for what, mine in times.items()
        ]
        environment = os.environ | {"MAFDN_CACHE": str(cache)}
        steps: list[dict[str, float]] = []
        imports: list[dict[str, float]] = []
        for number in range(rounds):
            target = folder / f"step{number}.png"
            line = [sys.executable, "-c", STEPS, str(source), str(target)]
            done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
            steps.append(json.loads(done.stdout))
            line = [sys.executable, "-X", "importtime", *command[1:]]
            done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
            imports.append(cumulative(done.stderr))
    report: dict[str, Any] = {
        "starts": starts,
        "steps": [{"what": w, "milliseconds": statistics.median(s[w] for s in steps)} for w in steps[0]],
        "imports": [
            {"module": m, "milliseconds": statistics.median(i[m] for i in imports)} for m in MODULES if m in imports[0]
        ],
        "load": os.getloadavg()[0],
        "machine": asdict(machine()),
        "versions": {name: installed_version(name) for name in ("openvino", "numpy", "pyvips", "typer")},
    }
    print(json.dumps(report, indent=1))


def start_tables(measured: dict[str, Any]) -> str:
    """The tables of a stored measurement, in Markdown."""
    starts = [
        [row["what"], f"{row['median']:.2f} ({row['low']:.2f} to {row['high']:.2f})", f"{row['cpu']:.2f}"]
        for row in measured["starts"]
    ]
    steps = [[step["what"], f"{step['milliseconds']:.0f}"] for step in measured["steps"]]
    imports = [[f"`{part['module']}`", f"{part['milliseconds']:.0f}"] for part in measured["imports"]]
    tables = [
        Table("process from start to end", ["", "seconds, with quartiles", "CPU seconds"], starts),
        Table("steps with everything cached", ["", "ms"], steps),
        Table("imports, including their dependencies", ["", "ms"], imports),
    ]
    note = (
        f"Medians of {measured['starts'][0]['runs']} starts of each kind, in turns, on "
        f"{machine_text(measured['machine'])}.{load_note(measured)}"
    )
    return "\n\n".join([note, *(table.markdown() for table in tables)])


def timed(line: list[str], cache: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(line, env=os.environ | {"MAFDN_CACHE": str(cache)}, stdout=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cumulative(log: str) -> dict[str, float]:
    """Milliseconds of every import, including everything it imports, from the output of `python -X importtime`."""
    found = re.findall(r"^import time:\s+\d+ \|\s+(\d+) \|\s+(\S+)$", log, re.MULTILINE)
    return {module: int(microseconds) / 1000 for microseconds, module in found}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
