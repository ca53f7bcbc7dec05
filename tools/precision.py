"""Measure how far int8 and bf16 are from fp32 with the shipped weights, which decides what `--precision auto` is.

    python -m tools.precision BENCH [--network x4 ...]

BENCH contains Set5, Set14 and B100, all of whose pictures are upscaled in fp32 and in every other precision that this
machine computes with instructions for it, by OpenVINO on the CPU. The result is stored in `weights/precision.json`
(`mafdn.inference.engines.precision`), where rows of other instructions stay as long as they are about the same network
file, and the documents are updated. On a processor with bf16, one run is enough for `auto` to become bf16 there, if
that is within the limits.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from statistics import mean

import numpy as np

from mafdn._support.atomic import replacing
from mafdn._support.machine import installed_version, machine
from mafdn.bench.timing import soft_picture
from mafdn.errors import MafdnError
from mafdn.evaluation.benchset import BenchPicture, read_bench
from mafdn.inference import Engine, EngineOptions, open_engine, upscale
from mafdn.inference.engines.model_files import network_digest
from mafdn.inference.engines.precision import (
    INSTRUCTIONS,
    STORED,
    Measured,
    fast_instructions,
    file_in,
    load_measured,
)
from mafdn.inference.options import FP32
from mafdn.pixels import psnr_y
from mafdn.weights.resolve import NAMES_OF_SCALES
from tools.documents.update import PROJECT, refresh
from tools.shipped.weights import shipped_weights

SETS = ("Set5", "Set14", "B100")
SIZE = (180, 320)
"""Height and width of the picture that is timed."""
ROUNDS = 7
"""Timed runs of each precision, in turns; the fastest one counts, which other load affects least."""


def main() -> None:
    """Measure, store and document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("--network", action="extend", nargs="+", choices=NAMES_OF_SCALES)
    arguments = parser.parse_args()
    files = shipped_weights(PROJECT, ".onnx")
    for name in arguments.network or files:
        for precision in INSTRUCTIONS:
            if row := measure(name, files[name], precision, arguments.bench):
                print(json.dumps(asdict(row)), flush=True)
                store(PROJECT / "weights", files, row)
    store(PROJECT / "weights", files)
    refresh(PROJECT)


def measure(name: str, path: Path, precision: str, bench: Path) -> Measured | None:
    """Measure a precision of a network; `None` if this machine or this network does not have it."""
    instructions = fast_instructions(precision, machine())
    exact = open_engine(path, EngineOptions(engine="openvino", device="cpu", precision=FP32))
    other = engine_in(path, precision)
    if instructions is None or other is None:
        return None
    largest = values = levels = pixels = beyond = 0
    losses: dict[str, list[float]] = {}
    worst = (-np.inf, "")
    for group, picture in bench_pictures(bench, exact.scale):
        before, after = upscale(exact, picture.lr), upscale(other, picture.lr)
        difference = np.abs(before.astype(np.int16) - after)
        largest = max(largest, int(difference.max()))
        levels, values = levels + int(difference.sum()), values + difference.size
        beyond, pixels = beyond + int((difference.max(2) > 1).sum()), pixels + difference[..., 0].size
        loss = psnr_y(before, picture.hr, border=exact.scale) - psnr_y(after, picture.hr, border=exact.scale)
        losses.setdefault(group, []).append(loss)
        worst = max(worst, (loss, f"{group}/{picture.name}"))
    return Measured(
        network=name,
        sha256=network_digest(file_in(path, precision)),
        precision=precision,
        instructions=instructions,
        largest=largest,
        mean=levels / values,
        beyond=beyond / pixels,
        loss=mean(mean(one) for one in losses.values()),
        worst_loss=worst[0],
        worst=worst[1],
        speedup=speedup(exact, other),
        pictures=sum(map(len, losses.values())),
        engine=f"openvino {installed_version('openvino')}",
        processor=machine().processor,
    )


def engine_in(path: Path, precision: str) -> Engine | None:
    """Open a network in a precision; `None` if that is not possible."""
    try:
        return open_engine(path, EngineOptions(engine="openvino", device="cpu", precision=precision))
    except MafdnError as error:
        print(f"{path.name}: not in {precision}: {error}", file=sys.stderr)
        return None


def bench_pictures(bench: Path, scale: int) -> Iterable[tuple[str, BenchPicture]]:
    """The pictures of all sets with the name of their set."""
    for group in SETS:
        for picture in read_bench(bench / group, scale):
            yield group, picture


def speedup(exact: Engine, other: Engine) -> float:
    """Time of one engine divided by that of another one, in turns."""
    picture = soft_picture(*SIZE)
    times: dict[int, list[float]] = {0: [], 1: []}
    for _ in range(ROUNDS + 1):
        for number, engine in enumerate((exact, other)):
            began = time.perf_counter()
            upscale(engine, picture)
            times[number].append(time.perf_counter() - began)
    return min(times[0][1:]) / min(times[1][1:])


def store(folder: Path, files: dict[str, Path], *new: Measured) -> None:
    """Add rows to the stored ones, in place of earlier ones, and leave out those about other network files."""
    rows = {key(row): row for row in (*load_measured(folder), *new)}
    if not rows:
        return
    kept = [asdict(r) for _, r in sorted(rows.items()) if is_current(r, files)]
    with replacing(folder / STORED) as temporary:
        temporary.write_text(json.dumps({"measured": kept}, indent=1) + "\n", "utf-8")


def key(row: Measured) -> tuple[str, str, str, str]:
    """What a stored row is the only one of."""
    return row.network, row.precision, row.instructions, row.processor


def is_current(row: Measured, files: dict[str, Path]) -> bool:
    """Whether a row is about a network file that ships."""
    file = file_in(files[row.network], row.precision) if row.network in files else None
    return file is not None and file.is_file() and network_digest(file) == row.sha256


if __name__ == "__main__":
    main()
