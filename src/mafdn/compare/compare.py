"""Compare networks: parameters, Multi-Adds, quality, time and memory in one measurement."""

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mafdn._support.atomic import sha256
from mafdn._support.machine import Machine, installed_version, machine
from mafdn._support.progress import ignore
from mafdn._version import __version__
from mafdn.bench.timing import Latency, measure_latency
from mafdn.compare.published import Published, read_published
from mafdn.evaluation.benchset import Protocol, SetScore, finite
from mafdn.evaluation.candidates import Candidate
from mafdn.evaluation.paired import Difference, differences
from mafdn.evaluation.scoring import evaluate, label_networks
from mafdn.export.onnx import export_onnx
from mafdn.inference import EngineOptions
from mafdn.networks import Count, build, count, title
from mafdn.networks.architectures import training_form
from mafdn.networks.counting import input_size

VERSIONED = ("openvino", "onnxruntime", "torch", "numpy")
"""Packages whose versions belong to a measurement."""
OnStage = Callable[[str, int, int], None]
"""Called with a description of the stage, the number of steps done and their total."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Mean PSNR in dB (`None` if infinite) and SSIM over a benchmark dataset."""

    psnr: float | None
    ssim: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network at one scale. Baselines have no `count`, networks with random weights no `scores`."""

    name: str
    title: str
    architecture: str
    scale: int
    ours: bool
    """Whether it ships with this project."""
    trained: bool
    file: str
    """Name of the file that was measured; empty for baselines and random weights."""
    sha256: str
    count: Count | None
    scores: dict[str, Score]
    """Scores by benchmark dataset."""
    latency: Latency | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The results of `compare`, and the conditions of the measurement."""

    rows: list[Row]
    differences: dict[int, list[Difference]]
    """By scale, our network minus every other network with scores."""
    published: list[Published]
    """Figures from papers for the same scales, separate from `rows`."""
    sizes: dict[int, tuple[int, int]]
    """Width and height of the input that was timed, by scale."""
    threads: int | None
    """Cores to use; `None` for all."""
    load: float | None
    """Load average over the minute before; `None` if the system does not report it."""
    machine: Machine
    versions: dict[str, str]
    notes: list[str]


def compare(
    candidates: Sequence[Candidate],
    benches: Sequence[Path],
    *,
    rounds: int = 9,
    options: EngineOptions | None = None,
    published: Path | None = None,
    on_progress: OnStage | None = None,
) -> Comparison:
    """Compare networks on every benchmark dataset, scale by scale.

    Scores are those of `mafdn.evaluation.scoring.evaluate`, cached ones included.

    Args:
        candidates: From `mafdn.evaluation.candidates.find_candidates`.
        benches: Folders of benchmark datasets.
        rounds: Timed runs of each network for a 1280x720 output; 0 for no timing.
        options: The engine in which every network is timed, as ONNX; default `EngineOptions()`.
        published: A table of published figures to use instead of the one that ships (`mafdn.compare.published`).
        on_progress: See `OnStage`.

    Raises:
        MafdnError: A set, a network or the table cannot be read, or a network cannot be run.
    """
    options = options or EngineOptions()
    on_stage = on_progress or ignore
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    figures = read_published(published) if published else read_published()
    rows: list[Row] = []
    compared: dict[int, list[Difference]] = {}
    notes: list[str] = []
    for scale in dict.fromkeys(c.scale for c in candidates):
        mine = [c for c in candidates if c.scale == scale]
        scores = _scores(mine, benches, scale, notes, on_stage)
        compared[scale] = _differences(mine, scores)
        times = _latency(mine, scale, rounds, options, on_stage) if rounds else {}
        rows += [_row(c, scores, times.get(c.name)) for c in mine]
    return Comparison(
        rows=rows,
        differences=compared,
        published=[figure for figure in figures if figure.scale in compared],
        sizes={scale: (input_size(scale)[1], input_size(scale)[0]) for scale in compared},
        threads=options.threads,
        load=load,
        machine=machine(),
        versions={"mafdn": __version__} | {name: v for name in VERSIONED if (v := installed_version(name))},
        notes=list(dict.fromkeys(notes)),
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison as if read from a JSON file, in which keys are strings."""
    return json.loads(json.dumps(asdict(comparison), allow_nan=False))


def _scores(
    candidates: Sequence[Candidate],
    benches: Sequence[Path],
    scale: int,
    notes: list[str],
    on_stage: OnStage,
) -> list[SetScore]:
    """Scores under the names of the candidates, set by set."""
    names = {c.source: c.name for c in candidates if c.measurable}
    if not names:
        return []
    protocol = Protocol(scale=scale)
    on_progress = partial(on_stage, f"quality x{scale}")
    scores = evaluate(list(names), benches, protocol, on_progress=on_progress, on_note=notes.append)
    labels = {label: names[source] for label, source in label_networks(list(names), protocol).items()}
    return [replace(score, network=labels[score.network]) for score in scores]


def _differences(candidates: Sequence[Candidate], scores: Sequence[SetScore]) -> list[Difference]:
    """Our network minus each of the others."""
    ours = next((c.name for c in candidates if c.ours), None)
    if ours is None:
        return []
    others = [c.name for c in candidates if c.measurable and c.name != ours]
    return [d for other in others for d in differences(scores, reference=other, networks=[ours])]


def _latency(
    candidates: Sequence[Candidate],
    scale: int,
    rounds: int,
    options: EngineOptions,
    on_stage: OnStage,
) -> dict[str, Latency]:
    """Time and memory by the names of the candidates; networks that are not ONNX files are exported first."""
    networks = [c for c in candidates if not c.baseline]
    with tempfile.TemporaryDirectory(prefix="mafdn-compare-") as folder:
        files: dict[str, Path] = {}
        for number, candidate in enumerate(networks, 1):
            files[candidate.name] = _onnx(candidate, Path(folder, f"{number}.onnx"))
            on_stage(f"exporting x{scale}", number, len(networks))
        on_progress = partial(on_stage, f"timing x{scale}")
        return measure_latency(files, size=input_size(scale), options=options, rounds=rounds, on_progress=on_progress)


def _onnx(candidate: Candidate, target: Path) -> Path:
    if candidate.file and candidate.file.suffix == ".onnx":
        return candidate.file
    assert candidate.network is not None  # only ONNX files may have none
    export_onnx(candidate.network, target)
    return target


def _row(candidate: Candidate, scores: Sequence[SetScore], latency: Latency | None) -> Row:
    mine = [score for score in scores if score.network == candidate.name]
    return Row(
        name=candidate.name,
        title=title(candidate.network.settings) if candidate.network else candidate.name,
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
