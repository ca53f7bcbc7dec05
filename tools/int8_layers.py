"""Measure which parts of the network must stay in float when it is quantized to int8.

    python -m tools.int8_layers BANK BENCH NETWORK > docs/results/int8-layers.json

Each variant removes one part from those that stay in float, adds one, or leaves out equalization; one on which engines
disagree is not measured. BENCH is a folder with Set5, Set14 and B100; the first pictures of every set are measured.
NETWORK is a shipped one, such as `photo-x2`.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mafdn.errors import WeightsError
from mafdn.evaluation.benchset import read_bench
from mafdn.inference import open_engine, upscale
from mafdn.pixels import psnr_y
from mafdn.release.quantize import KEPT_FLOAT, calibration_crops, quantize_onnx
from mafdn.training.data.bank import open_bank
from mafdn.weights.resolve import NAMES_OF_SCALES
from mafdn.weights.shipped import shipped

PICTURES = {"Set5": 5, "Set14": 8, "B100": 8}
"""Number of pictures of every set."""
EVERY = 4
"""One of so many calibration crops is used, which saves time; the last one, which is binarized, is among them."""
ADDED = ("spatial", "fuse", "pixel")


def main(bank: Path, bench: Path, name: str) -> None:
    variant, scale = NAMES_OF_SCALES[name]
    network, crops = shipped(scale, ".onnx", variant), calibration_crops(open_bank(bank), scale=scale)[::-EVERY][::-1]
    pictures = [(group, p) for group, count in PICTURES.items() for p in list(read_bench(bench / group, scale))[:count]]
    before = scores(network, pictures, scale)
    variants = {"as it ships": (set(KEPT_FLOAT), True), "not equalized": (set(KEPT_FLOAT), False)}
    variants |= {f"{part} in int8 too": (set(KEPT_FLOAT) - {part}, True) for part in KEPT_FLOAT}
    variants |= {f"{part} in float too": (set(KEPT_FLOAT) | {part}, True) for part in ADDED}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        for title, (kept, equalized) in variants.items():
            row: dict[str, Any] = {"name": title, "float": sorted(kept), "equalized": equalized}
            try:
                quantize_onnx(network, path, crops, kept_float=kept, equalized=equalized)
            except WeightsError as error:
                rows.append(row | {"refused": str(error).replace(f" on {path}", "")})
            else:
                loss = before - scores(path, pictures, scale)
                sets = {s: float(loss[[s == other for other, _ in pictures]].mean()) for s in PICTURES}
                rows.append(row | {"sets": sets, "worst": float(loss.max())})
            print(rows[-1], file=sys.stderr, flush=True)
    print(json.dumps({"network": name, "pictures": PICTURES, "rows": rows}, indent=2))


def scores(path: Path, pictures: list[tuple[str, Any]], scale: int) -> np.ndarray:
    engine = open_engine(path)
    return np.array([psnr_y(upscale(engine, p.lr), p.hr, border=scale) for _, p in pictures])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
