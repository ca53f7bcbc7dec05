"""Measure the overhead of upscaling a folder: files to files compared with the network alone on arrays, in turns.

    python -m tools.throughput FOLDER > docs/results/throughput.json

Six crops of 480x320 pixels are taken from the photographs in FOLDER and saved as JPEG, as PNG, and half of each. One
engine runs everything. Each round runs the three folders, and the network alone on the decoded pictures before, between
and after them. A folder is compared with the two runs next to it, by elapsed time and by CPU time, which other load on
the machine hardly affects.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pyvips

from mafdn._support.machine import machine
from mafdn.inference import upscale
from mafdn.pictures.reading import open_picture, read_rgb8
from mafdn.upscaling.folder.options import FolderOptions
from mafdn.upscaling.folder.run import upscale_all
from mafdn.upscaling.networks import NetworkSet
from mafdn.upscaling.options import UpscaleOptions

Result = TypeVar("Result")
PICTURES, ROUNDS = 6, 11
WIDTH, HEIGHT, SCALE = 480, 320, 4
SETTINGS = {"jpg": {"Q": 92}, "png": {}}
FOLDERS = {"JPEG": ("jpg", "jpg"), "PNG": ("png", "png"), "half of each": ("jpg", "png")}
"""File endings of even and odd pictures."""


def crops(photos: Path, folder: Path) -> None:
    """Write crops along the diagonals of the photographs into subfolders of `folder`."""
    paths = sorted(path for path in photos.iterdir() if path.is_file())
    each = -(-PICTURES // len(paths))
    for number in range(PICTURES):
        pixels, share = read_rgb8(paths[number // each]), (number % each + 0.5) / each
        top, left = int((pixels.shape[0] - HEIGHT) * share), int((pixels.shape[1] - WIDTH) * share)
        crop = pixels[top : top + HEIGHT, left : left + WIDTH].copy()
        for kind, endings in FOLDERS.items():
            (folder / kind).mkdir(exist_ok=True)
            image, ending = pyvips.Image.new_from_array(crop, interpretation="srgb"), endings[number % 2]
            image.write_to_file(str(folder / kind / f"{number:02d}.{ending}"), **SETTINGS[ending])


def timed(work: Callable[[], Result]) -> tuple[Result, float, float]:
    """The result of `work`, elapsed seconds and CPU seconds."""
    began, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - began, time.process_time() - processor


def main() -> None:
    networks, options = NetworkSet(), UpscaleOptions(size=SCALE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        crops(Path(sys.argv[1]), folder)
        arrays = [open_picture(path).planes[:] for path in sorted((folder / "PNG").iterdir())]
        engine = networks.engine(SCALE, bits=8)
        upscale(engine, arrays[0])
        rounds: list[dict[str, Any]] = []

        def alone() -> None:
            for array in arrays:
                upscale(engine, array)

        _, *bare = timed(alone)
        for number in range(ROUNDS):
            measured: dict[str, Any] = {"bare": bare[0]}
            for kind in FOLDERS:
                to = FolderOptions(folder=folder / f"{kind}-{number}")
                before = bare
                report, seconds, spent = timed(partial(upscale_all, [folder / kind], networks, options, to))
                _, *bare = timed(alone)
                assert report.counts["done"] == PICTURES
                measured[kind] = {
                    "seconds": seconds,
                    "throughput": (before[0] + bare[0]) / 2 / seconds,
                    "network_seconds": report.network_seconds,
                    "waited_seconds": report.waited_seconds,
                    "processor_seconds": spent,
                    "processor_share": (before[1] + bare[1]) / 2 / spent,
                }
            rounds.append(measured)
    medians = {
        kind: {key: statistics.median(r[kind][key] for r in rounds) for key in rounds[0][kind]} for kind in FOLDERS
    }
    summary = {
        "pictures": len(arrays),
        "size": [WIDTH, HEIGHT],
        "scale": SCALE,
        "bare_seconds": statistics.median(r["bare"] for r in rounds),
        "medians": medians,
        "engine": networks.names(),
        "machine": asdict(machine()),
        "rounds": rounds,
    }
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
