"""Measure which parts of the network must stay in float when it is quantized to int8.

    python -m tools.int8_layers BANK BENCH SCALE > docs/results/int8-layers.json

Each variant removes one part from those that stay in float, or adds one. BENCH is a folder with Set5, Set14 and B100;
the first pictures of every set are measured.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mafdn.evaluation.benchset import read_bench
from mafdn.inference import open_engine, upscale
from mafdn.pixels import psnr_y
from mafdn.release.quantize import KEPT_FLOAT, calibration_crops, quantize_onnx
from mafdn.training.data.bank import open_bank
from mafdn.weights.shipped import shipped

PICTURES = {"Set5": 5, "Set14": 8, "B100": 8}
"""Number of pictures of every set."""
ADDED = ("spatial", "fuse", "pixel")


def main(bank: Path, bench: Path, scale: int) -> None:
    network, crops = shipped(scale, ".onnx"), calibration_crops(open_bank(bank), scale=scale)
    pictures = [(name, p) for name, count in PICTURES.items() for p in list(read_bench(bench / name, scale))[:count]]
    before = scores(network, pictures, scale)
    variants = {"shipped": set(KEPT_FLOAT)}
    variants |= {f"{part} in int8 too": set(KEPT_FLOAT) - {part} for part in KEPT_FLOAT}
    variants |= {f"{part} in float too": set(KEPT_FLOAT) | {part} for part in ADDED}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        for name, kept in variants.items():
            quantize_onnx(network, path, crops, kept_float=kept)
            loss = before - scores(path, pictures, scale)
            sets = {s: float(loss[[s == other for other, _ in pictures]].mean()) for s in PICTURES}
            rows.append({"name": name, "float": sorted(kept), "sets": sets, "worst": float(loss.max())})
            print(rows[-1], file=sys.stderr)
    print(json.dumps({"scale": scale, "pictures": PICTURES, "rows": rows}, indent=2))


def scores(path: Path, pictures: list[tuple[str, Any]], scale: int) -> np.ndarray:
    engine = open_engine(path)
    return np.array([psnr_y(upscale(engine, p.lr), p.hr, border=scale) for _, p in pictures])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
