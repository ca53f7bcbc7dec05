"""Measure how exactly `mafdn verify` recovers the coefficients of JPEG files from their pixels.

    pip install jpeglib
    python -m tools.recovered ../shared/data/bench/B100 ../shared/data/photos/*.jpg

The coefficients in the files are read by jpeglib, which is not a dependency: it is only needed here. The figures are
written to docs/results/recovered.json, and from there into docs/photo.md.
"""

import argparse
import json
import tempfile
from collections import Counter
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mafdn._support.atomic import replacing
from mafdn.evaluation.benchset import read_bench
from mafdn.pictures.codecs.jpeg_coding import read_coding
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels.dct import component_plane, forward_dct, reduced_chroma
from mafdn.verification.coefficients import recover
from tools.documents.update import PROJECT, refresh
from tools.documents.weights import RESULTS

FIRST = 20
"""Pictures of the benchmark dataset, by name."""
QUALITIES = (95, 90, 75, 50)
PLANES = ("Y", "Cb", "Cr")
"""Names of the components in jpeglib."""
STEPS = {"1": (1, 1), "2": (2, 2), "3 and more": (3, 65_535)}
"""Ranges of quantization steps."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path, help="folder of B100, whose HR pictures are coded as JPEG")
    parser.add_argument("photos", type=Path, nargs="*", help="camera JPEG files")
    parser.add_argument("-o", "--output", type=Path, default=PROJECT / RESULTS / "recovered.json")
    arguments = parser.parse_args()
    inputs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        for quality in QUALITIES:
            files: list[Path] = []
            for picture in islice(read_bench(arguments.bench, 2), FIRST):
                files.append(Path(name, f"{picture.name}.jpg"))
                Image.fromarray(picture.hr).save(files[-1], quality=quality)
            inputs.append(compared(f"{arguments.bench.name}, quality {quality}", files))
    inputs += [compared(photo.name, [photo]) for photo in arguments.photos]
    with replacing(arguments.output) as temporary:
        temporary.write_text(json.dumps({"inputs": inputs}, indent=1) + "\n")
    for path in refresh(PROJECT):
        print(path)


def compared(title: str, files: list[Path]) -> dict[str, Any]:
    """The share of coefficients in judged blocks that are recovered exactly, by component and step."""
    total, exact = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for file in files:
        stored = import_module("jpeglib").read_dct(str(file))
        with file.open("rb") as stream:
            coding = read_coding(stream)
        assert coding is not None
        pixels = read_rgb8(file)
        down, across = (max(getattr(one, name) for one in coding.components) for name in ("down", "across"))
        for number, one in enumerate(coding.components):
            plane = reduced_chroma(component_plane(pixels, number), down // one.down, across // one.across)
            steps = coding.tables[one.table].astype(np.float64)
            found, judged = recover(forward_dct(plane), steps, reduced=one.down * one.across < down * across)
            truth = getattr(stored, PLANES[number])[: found.shape[0], : found.shape[1]]
            right = (found == truth)[judged]
            for name, (low, high) in STEPS.items():
                chosen = right[:, (steps >= low) & (steps <= high)]
                key = ("luma" if number == 0 else "chroma", name)
                total[key] += chosen.size
                exact[key] += int(np.count_nonzero(chosen))
    shares = [
        {"component": component, "steps": name, "count": count, "exact": round(exact[component, name] / count, 6)}
        for (component, name), count in total.items()
        if count
    ]
    print(title, shares, flush=True)
    return {"input": title, "pictures": len(files), "shares": shares}


if __name__ == "__main__":
    main()
