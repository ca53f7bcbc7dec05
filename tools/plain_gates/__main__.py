"""Measure the typical channel gates of the shipped networks, and what a plain ONNX file loses by them.

    python -m tools.plain_gates SHARED [--networks x2 x4 ...]

The mean gates of `COUNT` training crops, reduced by the scale, are written to `weights/typical-gates.json`; the scores
with each picture's own gates and with the typical ones, and the steps at the borders of tiles that a host cuts, to
`docs/results/plain-gates.json`. SHARED holds `data/train`, `data/bench` and `data/photos`.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn._support.atomic import replacing, sha256
from mafdn.degradation.chain import parse_degradation
from mafdn.evaluation.benchset import read_bench
from mafdn.inference import Engine, EngineOptions, Stencil, open_engine
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize, modulo_crop, psnr_y
from mafdn.weights.gates import TYPICAL_GATES
from mafdn.weights.resolve import NAMES_OF_SCALES
from mafdn.weights.shipped import shipped, shipped_stem, weights_folder
from tools.documents.update import PROJECT
from tools.documents.weights import RESULTS
from tools.plain_gates.tiles import Batch, spans, tiled

COUNT = 32
"""Number of training crops."""
SETS = ("Set5", "B100")
PICTURES = {2: 2, 3: 5, 4: 8}
"""Largest number of pictures of a set, by scale: their LR pictures differ in size."""
TILES = ((192, 16),)
"""Side and overlap of tiles: the smallest of darktable, whose overlap chaiNNer shares."""
PART = {2: (192, 288), 3: (256, 384), 4: (256, 384)}
"""Height and width of the part of the second photograph that is cut into tiles, in LR pixels, by scale."""
PHOTO_QUALITIES = ("", "jpeg:90", "jpeg:75")
"""The photo weights are for degraded pictures too: a third of their crops has each quality, and is measured at it."""
Pixels = NDArray[np.uint8]


def batch(picture: Pixels) -> Batch:
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None]).astype(np.float32) / np.float32(255)


def degraded(lr: Pixels, chain: str, name: str) -> Pixels:
    """An LR picture as it is, or degraded by a chain."""
    degradation = parse_degradation(chain) if chain else None
    return degradation.apply(lr, name=name) if degradation else lr


def measured_gates(stencil: Stencil, folder: Path, scale: int, variant: str) -> NDArray[np.float32]:
    """The mean gates of training crops, (blocks, 2n)."""
    files = sorted(path for path in folder.iterdir() if path.suffix == ".jpg")
    total: list[NDArray[np.float32]] = []
    for number, path in enumerate(random.Random(0).sample(files, COUNT)):
        lr = imresize(modulo_crop(read_rgb8(path), scale), 1 / scale)
        if variant == "photo":
            lr = degraded(lr, PHOTO_QUALITIES[number % len(PHOTO_QUALITIES)], path.stem)
        total.append(stencil.gates(batch(lr)))
    return np.asarray(np.mean(np.stack(total), axis=0, dtype=np.float64), np.float32)


def scores(
    engine: Engine, stencil: Stencil, gates: NDArray[np.float32], bench: Path, scale: int, chain: str
) -> dict[str, Any]:
    """Mean PSNR in dB on luma of degraded pictures, with each picture's own gates and with `gates`."""
    own: list[float] = []
    typical: list[float] = []
    for picture in list(read_bench(bench, scale))[: PICTURES[scale]]:
        x = batch(degraded(picture.lr, chain, picture.name))
        for kind, output in ((own, engine.run(x)), (typical, stencil.run(x, gates))):
            result = np.rint(output[0].transpose(1, 2, 0).clip(0, 1) * 255).astype(np.uint8)
            kind.append(psnr_y(result, picture.hr, border=scale))
    row = {"set": bench.name, "degraded": chain or "clean", "pictures": len(own)}
    return row | {"own": float(np.mean(own)), "typical": float(np.mean(typical))}


def steps(run: Callable[[Batch], Batch], x: Batch, whole: Batch, scale: int, tile: int, overlap: int) -> dict[str, Any]:
    """How much the error of tiles changes from one pixel to the next across their borders, in 8-bit levels."""
    error = 255 * (tiled(run, x, tile=tile, overlap=overlap, scale=scale).clip(0, 1) - whole.clip(0, 1))
    found: list[NDArray[np.float32]] = []
    for axis in (2, 3):
        lines = np.moveaxis(error, axis, 0)
        for start, _ in spans(x.shape[axis], tile, overlap)[1:]:
            found.append(np.abs(lines[scale * start] - lines[scale * start - 1]).ravel())
    values = np.concatenate(found)
    return {"mean": float(values.mean()), "largest": float(values.max()), "levels": float(np.abs(error).max())}


def measure(name: str, engine: Engine, gates: NDArray[np.float32], shared: Path) -> dict[str, Any]:
    """The scores and steps of a network."""
    variant, scale = NAMES_OF_SCALES[name]
    stencil = engine.stencil
    assert stencil
    benches = [
        scores(engine, stencil, gates, shared / "data" / "bench" / bench, scale, chain)
        for bench in SETS
        for chain in (PHOTO_QUALITIES if variant == "photo" else ("",))
    ]
    print(name, "scores", file=sys.stderr)
    seams: list[dict[str, Any]] = []
    for path in sorted((shared / "data" / "photos").iterdir())[1:]:
        height, width = PART[scale]
        top = read_rgb8(path)[: scale * height, : scale * width]
        x = batch(imresize(top, 1 / scale))
        runs: dict[str, Callable[[Batch], Batch]] = {
            "own": engine.run,
            "typical": lambda part: stencil.run(part, gates),
        }
        for kind, run in runs.items():
            whole = run(x)
            for tile, overlap in TILES:
                row = steps(run, x, whole, scale, tile, overlap)
                seams.append({"photo": path.stem, "gates": kind, "tile": tile, "overlap": overlap} | row)
    return {"network": name, "crops": COUNT, "scores": benches, "seams": seams}


def write(path: Path, content: Any) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--networks", nargs="+", default=list(NAMES_OF_SCALES), choices=list(NAMES_OF_SCALES))
    arguments = parser.parse_args()
    stored = PROJECT / RESULTS / "plain-gates.json"
    rows = {row["network"]: row for row in json.loads(stored.read_text())} if stored.is_file() else {}
    typical = weights_folder() / TYPICAL_GATES
    table = json.loads(typical.read_text()) if typical.is_file() else {}
    for name in arguments.networks:
        variant, scale = NAMES_OF_SCALES[name]
        engine = open_engine(shipped(scale, ".onnx", variant), EngineOptions(engine="onnxruntime"))
        assert engine.stencil
        gates = measured_gates(engine.stencil, arguments.shared / "data" / "train", scale, variant)
        table[shipped_stem(scale, variant)] = {
            "sha256": sha256(shipped(scale, ".safetensors", variant)),
            "gates": [[round(float(gate), 5) for gate in block] for block in gates],
        }
        write(typical, table)
        print(name, "gates", file=sys.stderr)
        rows[name] = measure(name, engine, gates, arguments.shared)
        write(stored, [rows[key] for key in NAMES_OF_SCALES if key in rows])


if __name__ == "__main__":
    main()
