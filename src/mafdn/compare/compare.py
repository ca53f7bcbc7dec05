"""Networks side by side: what they cost and what they give, in one measurement.

Public names: :func:`compare`, :class:`Row`, :class:`Comparison`, :func:`as_table`.
"""

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mafdn._support.atomic import sha256
from mafdn._support.machine import Machine, installed_version, machine
from mafdn._support.progress import ignore
from mafdn._version import __version__
from mafdn.bench.timing import Latency, measure_latency
from mafdn.compare.published import Published, read_published
from mafdn.evaluation.benchset import Protocol, SetScore, finite
from mafdn.evaluation.paired import Difference, differences
from mafdn.evaluation.resolve import Candidate
from mafdn.evaluation.scoring import evaluate, named
from mafdn.export.onnx import export_onnx
from mafdn.networks import TITLES, Count, build, count
from mafdn.networks.architectures import training_form
from mafdn.networks.counting import input_size

VERSIONED = ("openvino", "onnxruntime", "torch", "numpy")
"""The packages whose versions belong to a measurement."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Mean PSNR in dB, ``None`` when it is infinite, and SSIM over a bench set."""

    psnr: float | None
    ssim: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network at one scale. What does not apply is missing: zero lines have no counts, random weights no scores."""

    name: str
    title: str
    architecture: str
    scale: int
    ours: bool
    """Whether it is what this project ships."""
    trained: bool
    file: str
    """The name of the file that was measured; empty for zero lines and random weights."""
    sha256: str
    count: Count | None
    scores: dict[str, Score]
    """By bench set."""
    latency: Latency | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that :func:`compare` measured, and on what."""

    rows: list[Row]
    differences: dict[int, list[Difference]]
    """By scale, our network less every other one with scores."""
    published: list[Published]
    """Of the same scales; never mixed with ``rows``."""
    sizes: dict[int, tuple[int, int]]
    """Width and height of the input that was timed, by scale."""
    threads: int | None
    """Asked for; ``None`` for all cores."""
    load: float | None
    """Processes that wanted to run in the minute before; ``None`` where the system does not tell."""
    machine: Machine
    versions: dict[str, str]
    notes: list[str]


def compare(
    candidates: Sequence[Candidate],
    benches: Sequence[Path],
    *,
    rounds: int = 9,
    engine: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    published: Path | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Comparison:
    """Measure ``candidates`` on every bench set, scale by scale.

    Scores are :func:`evaluate`'s, and come from its cache when they were measured before. Time and memory are
    :func:`measure_latency`'s for a 1280x720 output, every network as ONNX in the same engine, ``rounds`` times; none
    for 0. ``on_progress(what, done, total)`` tells of each stage. Raises what these functions raise.
    """
    tell = on_progress or ignore
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    figures = read_published(published) if published else read_published()
    rows: list[Row] = []
    compared: dict[int, list[Difference]] = {}
    notes: list[str] = []
    for scale in dict.fromkeys(c.scale for c in candidates):
        mine = [c for c in candidates if c.scale == scale]
        scores = _scores(mine, benches, scale, notes, lambda d, t, s=scale: tell(f"quality x{s}", d, t))
        compared[scale] = _differences(mine, scores)
        times = {} if not rounds else _latency(mine, scale, rounds, engine, device, threads, tell)
        rows += [_row(c, scores, times.get(c.name)) for c in mine]
    return Comparison(
        rows=rows,
        differences=compared,
        published=[figure for figure in figures if figure.scale in compared],
        sizes={scale: (input_size(scale)[1], input_size(scale)[0]) for scale in compared},
        threads=threads,
        load=load,
        machine=machine(),
        versions={"mafdn": __version__} | {name: v for name in VERSIONED if (v := installed_version(name))},
        notes=list(dict.fromkeys(notes)),
    )


def as_table(comparison: Comparison) -> dict[str, Any]:
    """A comparison as a JSON file holds it and gives it back: a scale that is a key is a string there."""
    return json.loads(json.dumps(asdict(comparison), allow_nan=False))


def _scores(
    candidates: Sequence[Candidate],
    benches: Sequence[Path],
    scale: int,
    notes: list[str],
    on_progress: Callable[[int, int], None],
) -> list[SetScore]:
    """Scores under the candidates' names, set by set."""
    given = {c.given: c.name for c in candidates if c.measurable}
    if not given:
        return []
    protocol = Protocol(scale=scale)
    scores = evaluate(list(given), benches, protocol, on_progress=on_progress, on_note=notes.append)
    names = {name: given[asked] for name, asked in named(list(given), protocol).items()}
    return [replace(score, network=names[score.network]) for score in scores]


def _differences(candidates: Sequence[Candidate], scores: Sequence[SetScore]) -> list[Difference]:
    """Our network less each of the others."""
    ours = next((c.name for c in candidates if c.ours), None)
    if ours is None:
        return []
    others = [c.name for c in candidates if c.measurable and c.name != ours]
    return [d for other in others for d in differences(scores, reference=other, networks=[ours])]


def _latency(
    candidates: Sequence[Candidate],
    scale: int,
    rounds: int,
    engine: str,
    device: str,
    threads: int | None,
    tell: Callable[[str, int, int], None],
) -> dict[str, Latency]:
    """Time and memory by the candidates' names; what is no ONNX file is exported first."""
    networks = [c for c in candidates if not c.zero_line]
    with tempfile.TemporaryDirectory(prefix="mafdn-compare-") as folder:
        files: dict[str, Path] = {}
        for number, candidate in enumerate(networks, 1):
            files[candidate.name] = _onnx(candidate, Path(folder, f"{number}.onnx"))
            tell(f"exporting x{scale}", number, len(networks))
        return measure_latency(
            files,
            size=input_size(scale),
            rounds=rounds,
            engine=engine,
            device=device,
            threads=threads,
            on_progress=lambda done, total: tell(f"timing x{scale}", done, total),
        )


def _onnx(candidate: Candidate, target: Path) -> Path:
    if candidate.file and candidate.file.suffix == ".onnx":
        return candidate.file
    assert candidate.network is not None  # of a name or a weights file
    export_onnx(candidate.network, target)
    return target


def _row(candidate: Candidate, scores: Sequence[SetScore], latency: Latency | None) -> Row:
    mine = [score for score in scores if score.network == candidate.name]
    return Row(
        name=candidate.name,
        title=TITLES.get(candidate.architecture, candidate.name),
        architecture=candidate.architecture,
        scale=candidate.scale,
        ours=candidate.ours,
        trained=candidate.measurable,
        file=candidate.file.name if candidate.file else "",
        sha256=sha256(candidate.file) if candidate.file else "",
        count=count(build(training_form(candidate.network.settings)))[-1] if candidate.network else None,
        scores={s.bench: Score(psnr=finite(s.psnr), ssim=s.ssim) for s in mine},
        latency=latency,
    )
