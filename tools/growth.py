"""Measure how memory and time grow with the size of a picture: x4 results from one megapixel to a thousand.

    python -m tools.growth PHOTO -o docs/results/growth.json
    python -m tools.growth --plot docs/growth.png

For every size a source is made from PHOTO and upscaled from PNG to PNG in its own process, whose peak memory and time
are stored. Sizes up to 16 megapixels take turns several times, and each process upscales them twice; only the second
time counts, which excludes one-time costs (reading the graph, allocating memory). Larger sizes are run once. Every
result is decoded completely, and its mean color is compared with that of the source. The memory of a process that has
only opened the network is stored too.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyvips
from matplotlib.figure import Figure

from mafdn._support.atomic import replacing
from mafdn._support.machine import machine
from mafdn.compare.plots import GRID, INK, OURS, SOFT

ROOT = Path(__file__).parents[1]
STORED = ROOT / "docs" / "results" / "growth.json"
SCALE, SIDES = 4, (4, 3)
REPEATED = 16
"""Megapixels up to which a size is measured several times, each time on the second picture of a process."""
ALONE = """
import numpy as np
import mafdn
from mafdn._support.machine import peak_mib
mafdn.load("x4").upscale(np.zeros((64, 64, 3), np.uint8))
print(peak_mib())
"""
PICTURE = """
import json, sys
from dataclasses import asdict
import mafdn
upscaler = mafdn.load("x4")
for number in range(int(sys.argv[3])):
    report = upscaler.upscale_file(sys.argv[1], sys.argv[2], overwrite=True)
print(json.dumps(asdict(report), default=str))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, nargs="?")
    parser.add_argument("-o", "--output", type=Path, default=STORED)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 4, 10, 16, 50, 64, 100, 400, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scratch", type=Path, help="folder for temporary sources and results")
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    if arguments.photo:
        with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
            report = measure(arguments.photo, arguments.megapixels, arguments.rounds, Path(folder))
        with replacing(arguments.output) as temporary:
            temporary.write_text(json.dumps(report, indent=1) + "\n")
    if arguments.plot:
        draw(json.loads(arguments.output.read_text()), arguments.plot)


def measure(photo: Path, sizes: list[float], rounds: int, folder: Path) -> dict[str, Any]:
    """Peak memory and seconds of every size, in all rounds."""
    entries: dict[float, dict[str, Any]] = {}
    engine = ""
    for number in range(rounds):
        for megapixels in sizes:
            if number and megapixels > REPEATED:
                continue
            report = upscale(photo, megapixels, folder)
            entry = entries.setdefault(
                megapixels, {"megapixels": megapixels, "new_size": report["new_size"], "peak_mib": [], "seconds": []}
            )
            engine = report["engine"]
            entry["peak_mib"].append(report["peak_mib"])
            entry["seconds"].append(report["seconds"])
            print(f"{megapixels:g} MP: {report['seconds']:.1f} s, {report['peak_mib']:.0f} MiB", flush=True)
    alone = subprocess.run([sys.executable, "-c", ALONE], check=True, capture_output=True, text=True)
    about = machine()
    return {
        "command": "python -m tools.growth PHOTO",
        "machine": {"processor": about.processor, "cores": about.cores, "features": about.features},
        "engine": engine,
        "scale": SCALE,
        "network_alone_mib": float(alone.stdout),
        "sizes": [entries[size] for size in sizes],
    }


def upscale(photo: Path, megapixels: float, folder: Path) -> dict[str, Any]:
    """The report of one run on a picture whose result has `megapixels`."""
    source, target = folder / f"{megapixels:g}.png", folder / "result.png"
    if not source.exists():
        short = round((megapixels * 1e6 * SIDES[1] / SIDES[0]) ** 0.5 / SCALE)
        width, height = int(megapixels * 1e6 / SCALE**2 / short), short
        image = pyvips.Image.thumbnail(str(photo), width, height=height, size="force", no_rotate=True)
        image.pngsave(str(source), compression=1)
    times = 2 if megapixels <= REPEATED else 1
    command = [sys.executable, "-c", PICTURE, str(source), str(target), str(times)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(done.stdout)
    check(source, target, report["new_size"])
    target.unlink()
    return report


def check(source: Path, target: Path, size: list[int]) -> None:
    """Check that the whole result can be decoded, and that its mean color is that of the source."""
    result = pyvips.Image.new_from_file(str(target), access="sequential", fail_on="error")
    assert [result.width, result.height] == size, (result.width, result.height, size)
    before = pyvips.Image.new_from_file(str(source)).stats()
    after = result.stats()
    for band in range(1, 4):
        assert abs(before(4, band)[0] - after(4, band)[0]) < 0.5, "the mean color has changed"


def draw(report: dict[str, Any], path: Path) -> None:
    """Plot memory, and time per megapixel, against the size of the result."""
    figure = Figure(figsize=(11, 4.2), dpi=110)
    figure.suptitle(
        "One picture at x4, PNG to PNG: what grows with its size, and what does not",
        x=0.012,
        ha="left",
        color=INK,
        fontsize=12,
        fontweight="bold",
    )
    sizes = [entry["megapixels"] for entry in report["sizes"]]
    peaks = [max(entry["peak_mib"]) for entry in report["sizes"]]
    times = [statistics.median(entry["seconds"]) / entry["megapixels"] for entry in report["sizes"]]
    panels = (
        (
            "peak memory of the process, MiB",
            peaks,
            report["network_alone_mib"],
            "with the network loaded, before any picture",
        ),
        ("seconds per megapixel of the result, median", times, None, ""),
    )
    for axis, (title, values, line, label) in zip(figure.subplots(1, 2), panels, strict=True):
        axis.plot(sizes, values, "o-", color=OURS)
        axis.set_xscale("log")
        axis.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axis.minorticks_off()
        axis.set_ylim(0, 1.25 * max(values))
        axis.set_title(title, loc="left", color=INK, fontsize=10)
        axis.set_xlabel("megapixels of the result", color=SOFT)
        axis.grid(color=GRID)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        for size, value in zip(sizes, values, strict=True):
            axis.annotate(
                f"{value:.3g}" if value < 100 else f"{value:.0f}",
                (size, value),
                (0, 8),
                textcoords="offset points",
                ha="center",
                color=SOFT,
                fontsize=8,
            )
        if line:
            axis.axhline(line, color=SOFT, linestyle="--", linewidth=1)
            axis.annotate(
                label, (sizes[-1], line), (0, -12), textcoords="offset points", ha="right", color=SOFT, fontsize=8
            )
    figure.tight_layout()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


if __name__ == "__main__":
    main()
