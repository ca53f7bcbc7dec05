"""Measure what the self-ensemble of eight orientations gains, and what it costs.

    python -m tools.ensemble ../shared/data/bench

The shipped networks are measured with and without it on the cases in `CASES`. The cost is the processor time of a
picture of `samples`, once without and once with. The figures are written to docs/results/ensemble.json, and from there
into docs/upscaling.md. It takes about two minutes on two idle cores.
"""

import argparse
import json
import statistics
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mafdn
from mafdn._support.atomic import replacing
from mafdn._support.machine import machine
from mafdn.pictures.reading import read_rgb8
from tools.documents.update import PROJECT, refresh
from tools.documents.weights import RESULTS

CASES = (
    ("classic", 2, ("Set5",), "none"),
    ("classic", 3, ("Set5",), "none"),
    ("classic", 4, ("Set5", "Set14"), "none"),
    ("photo", 4, ("Set5",), "jpeg:75"),
)
"""Weights, scale, benchmark datasets, and how their LR pictures are degraded."""
TIMED = ("x4", "samples/test/leaves.png")
"""The network and the picture whose time is measured."""
SIDE, ROUNDS = 80, 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path, help="folder of Set5 and Set14")
    parser.add_argument("-o", "--output", type=Path, default=PROJECT / RESULTS / "ensemble.json")
    arguments = parser.parse_args()
    report = measure(arguments.bench)
    with replacing(arguments.output) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n")
    for path in refresh(PROJECT):
        print(path)


def measure(bench: Path) -> dict[str, Any]:
    """Return the scores of all shipped networks, and the ratio of the times."""
    scores = [entry for case in CASES for entry in gains(bench, *case)]
    return {"machine": asdict(machine()), "scores": scores, "time": cost(*TIMED)}


def gains(bench: Path, network: str, scale: int, sets: tuple[str, ...], degradation: str) -> list[dict[str, Any]]:
    """Return the mean scores of a network on each set, without and with the ensemble."""
    folders = [bench / name for name in sets]
    plain, averaged = (
        mafdn.evaluate(network, folders, scale=scale, degrade=degradation, self_ensemble=chosen).scores
        for chosen in (False, True)
    )
    return [
        {
            "network": network,
            "scale": scale,
            "set": one.bench,
            "plain": {"psnr": one.psnr, "ssim": one.ssim},
            "ensemble": {"psnr": eight.psnr, "ssim": eight.ssim},
            "improved": sum(b.psnr > a.psnr for a, b in zip(one.pictures, eight.pictures, strict=True)),
            "pictures": len(one.pictures),
        }
        for one, eight in zip(plain, averaged, strict=True)
    ]


def cost(network: str, picture: str) -> dict[str, Any]:
    """Return the seconds of processor time without and with the ensemble, and the median of their ratios."""
    pixels, upscaler = (
        read_rgb8(PROJECT / picture)[:SIDE, :SIDE],
        mafdn.load(network, engine=mafdn.EngineOptions(engine="openvino", threads=1)),
    )
    seconds: dict[int, list[float]] = {1: [], 8: []}
    for count in seconds:
        upscaler.upscale(pixels, ensemble=count)  # graphs are compiled
    for _ in range(ROUNDS):
        for count, times in seconds.items():
            began = time.process_time()
            upscaler.upscale(pixels, ensemble=count)
            times.append(time.process_time() - began)
    ratio = statistics.median(eight / one for one, eight in zip(*seconds.values(), strict=True))
    size = [pixels.shape[1], pixels.shape[0]]
    return {"network": network, "size": size, "seconds": {str(n): t for n, t in seconds.items()}, "ratio": ratio}


if __name__ == "__main__":
    main()
