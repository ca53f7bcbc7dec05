"""Measure what a folder costs beyond its network: files to files against arrays to arrays, in turns.

python scripts/throughput.py FOLDER > docs/results/throughput.json

From the photographs in FOLDER twelve crops of 480x320 pixels are taken, as JPEG and as PNG. One engine serves all; each
round runs the bare network on the decoded pictures and then both folders, and ratios are taken within the round: of the
time that passed, and of the processor time, which other work on the machine hardly changes.
"""

import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyvips

from mafdn.inference import upscale
from mafdn.jobs.batch import upscale_all
from mafdn.jobs.naming import Pattern
from mafdn.jobs.networks import Networks
from mafdn.jobs.plan import Request
from mafdn.jobs.sizes import Size
from mafdn.machine import machine
from mafdn.pictures.reading import open_picture, read_rgb8

PICTURES, ROUNDS = 12, 5
WIDTH, HEIGHT, SCALE = 480, 320, 4
FORMATS = {"JPEG": ("jpg", {"Q": 92}), "PNG": ("png", {})}


def crops(photos: Path, folder: Path) -> None:
    """Write crops along the diagonals of the photographs into ``folder``/FORMAT."""
    paths = sorted(path for path in photos.iterdir() if path.is_file())
    each = -(-PICTURES // len(paths))
    for number in range(PICTURES):
        pixels, share = read_rgb8(paths[number // each]), (number % each + 0.5) / each
        top, left = int((pixels.shape[0] - HEIGHT) * share), int((pixels.shape[1] - WIDTH) * share)
        crop = pixels[top : top + HEIGHT, left : left + WIDTH].copy()
        for ending, settings in FORMATS.values():
            (folder / ending).mkdir(exist_ok=True)
            image = pyvips.Image.new_from_array(crop, interpretation="srgb")
            image.write_to_file(str(folder / ending / f"{number:02d}.{ending}"), **settings)


def main() -> None:
    networks, size = Networks(), Size(scale=SCALE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        crops(Path(sys.argv[1]), folder)
        arrays = [open_picture(path).planes for path in sorted((folder / "png").iterdir())]
        engine = networks.engine(SCALE)
        upscale(engine, arrays[0])
        rounds: list[dict[str, Any]] = []
        for number in range(ROUNDS):
            began, processor = time.perf_counter(), time.process_time()
            for array in arrays:
                upscale(engine, array)
            bare, bare_processor = time.perf_counter() - began, time.process_time() - processor
            measured: dict[str, Any] = {"bare": bare, "bare_processor": bare_processor}
            for kind, (ending, _) in FORMATS.items():
                out = folder / f"out-{ending}-{number}"
                request = Request(folder=out, size=size, pattern=Pattern.usual(size))
                began, processor = time.perf_counter(), time.process_time()
                report = upscale_all([folder / ending], request, networks)
                seconds, spent = time.perf_counter() - began, time.process_time() - processor
                assert report.counts["done"] == PICTURES
                measured[kind] = {
                    "seconds": seconds,
                    "throughput": bare / seconds,
                    "network_seconds": report.network_seconds,
                    "waited_seconds": report.waited_seconds,
                    "processor_seconds": spent,
                    "processor_share": bare_processor / spent,
                }
            rounds.append(measured)
    medians = {
        kind: {key: statistics.median(r[kind][key] for r in rounds) for key in rounds[0][kind]} for kind in FORMATS
    }
    report = {
        "pictures": len(arrays),
        "size": [WIDTH, HEIGHT],
        "scale": SCALE,
        "bare_seconds": statistics.median(r["bare"] for r in rounds),
        "medians": medians,
        "engine": networks.names(),
        "machine": asdict(machine()),
        "rounds": rounds,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
