"""Measure how the time per pixel of the x4 network depends on the size of a picture, and so of its feature maps.

    python -m tools.sides [ROUNDS] > docs/results/sides.json

Feature maps of small pictures stay in the caches of the cores, those of large ones do not: the difference is the most
that computing a large picture in strips that fit the caches could gain. Sizes and precisions take turns.
"""

import json
import os
import statistics
import sys
import time
from dataclasses import asdict
from typing import Any

from mafdn._support.machine import installed_version, machine, machine_text
from mafdn.bench.tables import load_note
from mafdn.bench.timing import soft_picture
from mafdn.evaluation.tables import markdown_table
from mafdn.inference import EngineOptions, open_engine, upscale
from mafdn.weights.shipped import shipped

SIDES = (64, 96, 128, 192, 256, 384, 512)
"""Sides of square pictures in pixels."""
PRECISIONS = ("fp32", "bf16")
LEAST = 256**2
"""Least number of pixels that a turn upscales: small pictures are repeated."""


def main(rounds: int) -> None:
    path = shipped(4, ".onnx")
    engines = {
        name: open_engine(path, EngineOptions(engine="openvino", device="cpu", precision=name)) for name in PRECISIONS
    }
    seconds: dict[tuple[str, int], list[float]] = {(name, side): [] for side in SIDES for name in PRECISIONS}
    for turn in range(rounds + 1):
        for (name, side), mine in seconds.items():
            picture = soft_picture(side, side).astype("float32") / 255
            repeats = max(1, LEAST // side**2)
            began = time.perf_counter()
            for _ in range(repeats):
                upscale(engines[name], picture, tile=side)
            if turn:  # the first one warms up
                mine.append((time.perf_counter() - began) / repeats / side**2)
    report: dict[str, Any] = {
        "rounds": rounds,
        "microseconds": [
            {"precision": name, "side": side, "median": 1e6 * statistics.median(mine)}
            for (name, side), mine in seconds.items()
        ],
        "load": os.getloadavg()[0],
        "machine": asdict(machine()),
        "versions": {"openvino": installed_version("openvino")},
    }
    print(json.dumps(report, indent=1))


def side_table(report: dict[str, Any]) -> str:
    """A row per precision, a column per side, in Markdown."""
    rows = [
        [name, *(f"{one['median']:.2f}" for one in report["microseconds"] if one["precision"] == name)]
        for name in dict.fromkeys(one["precision"] for one in report["microseconds"])
    ]
    sides = dict.fromkeys(one["side"] for one in report["microseconds"])
    note = f"Medians of {report['rounds']} turns, on {machine_text(report['machine'])}.{load_note(report)}"
    return f"{note}\n\n" + markdown_table(["microseconds per LR pixel", *(f"{side}x{side}" for side in sides)], rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
