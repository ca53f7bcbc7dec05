"""Compare the time of small pictures of many sizes with that of as many of one size.

    python -m tools.small_pictures > docs/results/small-pictures.json

Each round upscales two folders of JPEG files by the command, in turns, with an empty cache: one of pictures that all
differ in size, and one of pictures of a single size with as many pixels. The seconds are those of the processor, which
other work on the machine hardly changes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyvips

from mafdn._support.machine import machine

MOST = 1.3
"""Goal: time of many sizes relative to that of one."""
SIDE = 80
"""Mean side of pictures, in pixels."""


def write_folder(folder: Path, sizes: list[tuple[int, int]]) -> None:
    """Write a JPEG file of noise for every size."""
    folder.mkdir()
    for number, (width, height) in enumerate(sizes):
        noise = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
        image = pyvips.Image.new_from_array(noise, interpretation="srgb").gaussblur(1)
        image.jpegsave(str(folder / f"{number:03}.jpg"), Q=90)


def processor_seconds(folder: Path, work: Path) -> float:
    """Upscale a folder in a new process with an empty cache; returns the seconds of processor time."""
    with tempfile.TemporaryDirectory(dir=work) as name:
        command = [sys.executable, "-m", "mafdn", "upscale", str(folder), "-o", f"{name}/large", "--quiet"]
        command += ["--engine", "openvino"]
        before = os.times()
        subprocess.run(command, check=True, env={**os.environ, "MAFDN_CACHE": f"{name}/cache"})
        after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> int:
    """Measure and print the result as JSON; the exit code is 1 if the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    count: int = arguments.pictures
    offsets = [number - count // 2 for number in range(count)]
    seconds: dict[str, list[float]] = {"many sizes": [], "one size": []}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_folder(work / "many sizes", [(SIDE + offset, SIDE - offset // 2) for offset in offsets])
        write_folder(work / "one size", [(SIDE, SIDE)] * count)
        for _ in range(arguments.rounds):
            for kind, times in seconds.items():
                times.append(processor_seconds(work / kind, work))
    ratio = statistics.median(a / b for a, b in zip(*seconds.values(), strict=True))
    report = {"machine": asdict(machine()), "pictures": count, "side": SIDE, "seconds": seconds, "ratio": ratio}
    print(json.dumps(report, indent=2))
    return int(ratio > MOST)


if __name__ == "__main__":
    sys.exit(main())
