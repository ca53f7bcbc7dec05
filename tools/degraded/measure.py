"""PSNR of bicubic, Lanczos, the classic and the photo weights on degraded LR pictures."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mafdn._support.atomic import sha256
from mafdn.degradation.chain import encoder_versions, parse_degradation
from mafdn.evaluation.benchset import Protocol, SetScore, finite
from mafdn.evaluation.layouts import find_bench
from mafdn.evaluation.methods import engine_label, find_network
from mafdn.evaluation.scoring import evaluate
from mafdn.evaluation.summary.rows import versions

CASES = {
    "clean": "none",
    "q95": "jpeg:95",
    "q90": "jpeg:90",
    "q75": "jpeg:75",
    "q50": "jpeg:50",
    "q30": "jpeg:30",
    "q80, then q70": "jpeg:80+jpeg:70",
    "WebP 75": "webp:75",
    "noise 5": "noise:5",
    "noise 10": "noise:10",
    "camera": "camera",
    "messenger": "messenger",
}
"""The degradations by the titles of their columns."""
SCALES = (2, 4)
BENCHES: Mapping[str, int | None] = {"B100": 20, "Set5": None, "Set14": None}
"""Benchmark datasets, and how many of their pictures are measured, the first by name; `None` for all."""
NETWORKS = ("bicubic", "lanczos", "classic", "photo")
DIGITS = 4
"""Decimals of a stored PSNR."""


def measure(
    folder: Path,
    *,
    photo: str = "photo",
    peers: Sequence[str] = (),
    cases: Mapping[str, str] = CASES,
    scales: Sequence[int] = SCALES,
    benches: Mapping[str, int | None] = BENCHES,
    fresh: bool = False,
) -> dict[str, Any]:
    """Measure every network with every degradation.

    Args:
        folder: The folder of the benchmark datasets.
        photo: The photo weights: a name, or a file with `{scale}` in its name.
        peers: Files of other networks with `{scale}` in their names, measured on the first dataset alone.
        cases: Degradations by title.
        scales: The scales.
        benches: See `BENCHES`.
        fresh: Ignore cached scores.

    Returns:
        The report in the form in which it is stored.

    Raises:
        MafdnError: A dataset or a network cannot be read.
    """
    steps = [parse_degradation(text) for text in cases.values()]
    networks: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    pictures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="mafdn-degraded-") as scratch:
        for scale in scales:
            ours = dict(zip(NETWORKS, (*NETWORKS[:-1], photo), strict=True))
            others = {_peer_name(name): name for name in peers}
            networks += [about(title, name, scale) for title, name in {**ours, **others}.items()]
            for bench, count in benches.items():
                place = first_pictures(folder / bench, count, scale, Path(scratch, f"x{scale}", bench))
                named = ours if pictures and bench != next(iter(benches)) else {**ours, **others}
                scores = evaluate(
                    list(named.values()),
                    [place],
                    Protocol(scale=scale),
                    degrade=steps,
                    fresh=fresh,
                    on_progress=_progress(f"{bench} x{scale}"),
                )
                pictures[bench] = {"pictures": [p.name for p in scores[0].pictures], "hr_sha256": scores[0].hr_sha256}
                rows += rows_of(bench, cases, list(named), scores)
    return {
        "versions": versions() | encoder_versions(),
        "cases": {title: step.spec if step else "none" for title, step in zip(cases, steps, strict=True)},
        "networks": networks,
        "benches": pictures,
        "rows": rows,
    }


def first_pictures(bench: Path, count: int | None, scale: int, scratch: Path) -> Path:
    """A dataset of the first pictures of another by name, whose files are copied; all for `None`."""
    if count is None:
        return bench
    files = find_bench(bench, scale)
    for high, low in list(files.pairs.values())[:count]:
        targets = [(high, scratch / "HR")] + ([(low, scratch / f"LRbicx{scale}")] if low else [])
        for source, target in targets:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / source.name)
    return scratch


def rows_of(
    bench: str, cases: Mapping[str, str], titles: Sequence[str], scores: Sequence[SetScore]
) -> list[dict[str, Any]]:
    """A row for each degradation: the PSNR of every picture by network."""
    rows: list[dict[str, Any]] = []
    for number, case in enumerate(cases):
        mine = scores[number * len(titles) : (number + 1) * len(titles)]
        psnr = {
            title: [None if finite(p.psnr) is None else round(p.psnr, DIGITS) for p in score.pictures]
            for title, score in zip(titles, mine, strict=True)
        }
        lr = mine[0].lr.sha256 if mine[0].lr else ""
        rows.append({"scale": mine[0].scale, "bench": bench, "case": case, "lr_sha256": lr, "psnr": psnr})
    return rows


def psnr_of(report: dict[str, Any]) -> dict[str, Any]:
    """The PSNR of every picture by scale, dataset, case and network; without peers, which need other files."""
    return {
        f"x{row['scale']} {row['bench']} {row['case']}": {
            network: [
                {"name": name, "psnr": psnr}
                for name, psnr in zip(report["benches"][row["bench"]]["pictures"], row["psnr"][network], strict=True)
            ]
            for network in NETWORKS
        }
        for row in report["rows"]
    }


def about(title: str, network: str, scale: int) -> dict[str, Any]:
    """What was measured under a title."""
    path = find_network(network, scale=scale)
    found = {"file": path.name, "sha256": sha256(path), "engine": engine_label(path)} if path else {}
    return {"network": title, "scale": scale, **found}


def _peer_name(pattern: str) -> str:
    """`IMDN` for `IMDN_x{scale}.pth`."""
    return Path(pattern).stem.replace("{scale}", "").rstrip("_x") or pattern


def _progress(stage: str) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        print(f"\r{stage}: {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show
