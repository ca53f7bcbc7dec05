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
from mafdn._support.machine import Machine, machine
from mafdn._support.progress import ignore
from mafdn.bench.timing import Latency, measure_latency
from mafdn.compare.published import Published, read_published
from mafdn.degradation.chain import Degradation
from mafdn.errors import UsageError
from mafdn.evaluation.benchset import LrPictures, Protocol, SetScore, finite
from mafdn.evaluation.candidates import Candidate, find_candidate
from mafdn.evaluation.costs.counting import total_costs
from mafdn.evaluation.layouts import LrChoice
from mafdn.evaluation.paired import Difference, differences
from mafdn.evaluation.scoring import evaluate, label_networks
from mafdn.evaluation.summary.rows import NetworkRow, Summary, hr_pictures, lr_pictures, measured_with, versions
from mafdn.export.onnx import export_onnx
from mafdn.inference import EngineOptions
from mafdn.inference.options import EXACT
from mafdn.networks import OwnSettings, build, title
from mafdn.networks.architectures import TITLES, training_form
from mafdn.weights.counts import Count
from mafdn.weights.sizes import input_size

OnStage = Callable[[str, int, int], None]
"""Called with a description of the stage, the number of steps done and their total."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Mean PSNR in dB (`None` if infinite) and SSIM over a benchmark dataset."""

    psnr: float | None
    ssim: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network at one scale.

    Baselines, and networks that cannot be counted, have no `count`; networks with random weights no `scores`.
    """

    name: str
    title: str
    architecture: str
    scale: int
    ours: bool
    """Whether it ships with this project."""
    highlighted: bool
    """Whether tables and plots emphasize it."""
    trained: bool
    file: str
    """Name of the file that was measured; empty for baselines and random weights."""
    sha256: str
    count: Count | None
    scores: dict[str, Score]
    """Scores by benchmark dataset."""
    latency: Latency | None
    engine: str = ""
    """Name and version of the engine with which the scores were measured; empty for baselines and random weights."""
    device: str = ""
    precision: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The results of `compare`, and the conditions of the measurement."""

    rows: list[Row]
    differences: dict[int, list[Difference]]
    """By scale, network - baseline for every network with scores: positive is better."""
    baseline: dict[int, str]
    """By scale, the network that the others are compared with."""
    lr: dict[int, dict[str, LrPictures]]
    """The LR pictures by scale and benchmark dataset."""
    hr_sha256: dict[int, dict[str, str]]
    """The hash of the HR pictures by scale and benchmark dataset."""
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
    baseline: str | None = None,
    highlight: Sequence[str] = (),
    lr: LrChoice = None,
    degrade: Sequence[Degradation | None] = (None,),
    rounds: int = 9,
    options: EngineOptions | None = None,
    published: Path | None = None,
    with_published: bool = True,
    on_progress: OnStage | None = None,
) -> Comparison:
    """Compare networks on every benchmark dataset, scale by scale.

    Scores are those of `mafdn.evaluation.scoring.evaluate`, cached ones included.

    Args:
        candidates: From `mafdn.evaluation.candidates.find_candidates`.
        benches: Folders of benchmark datasets.
        baseline: The network that the others are compared with, as it was listed or as it is named in tables; default
            the first with scores.
        highlight: Networks to emphasize, likewise.
        lr: The LR pictures, as for `evaluate`.
        degrade: How to degrade them, as for `evaluate`.
        rounds: Timed runs of each network for a 1280x720 output; 0 for no timing.
        options: The engine in which every network is timed, as ONNX; default `EXACT`.
        published: A table of published figures to use instead of the one that ships (`mafdn.compare.published`).
        with_published: Whether to include published figures.
        on_progress: See `OnStage`.

    Raises:
        UsageError: The baseline is not among the networks or has no weights, or a highlighted network is not listed.
        MafdnError: A set, a network or the table cannot be read, or a network cannot be run.
    """
    options = options or EXACT
    on_stage = on_progress or ignore
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    figures = (read_published(published) if published else read_published()) if with_published else []
    _check_names(candidates, baseline, highlight)
    found = _Comparison(rows=[], differences={}, baseline={}, lr={}, hr_sha256={}, notes=[])
    for scale in dict.fromkeys(c.scale for c in candidates):
        mine = [c for c in candidates if c.scale == scale]
        scores = _scores(mine, benches, scale, lr, degrade, found.notes, on_stage)
        found.lr[scale] = lr_pictures(scores)
        found.hr_sha256[scale] = hr_pictures(scores)
        against = baseline_of(mine, baseline)
        found.differences[scale] = []
        if against and scores:
            found.baseline[scale] = against.name
            others = [c.name for c in mine if c.measurable and c is not against]
            found.differences[scale] = differences(scores, reference=against.name, networks=others)
        elif baseline and not against:
            found.notes.append(f"the baseline {baseline} has no x{scale}, so there are no differences at x{scale}")
        times = _latency(mine, scale, rounds, options, on_stage) if rounds else {}
        found.rows.extend(_row(c, scores, times.get(c.name), highlight) for c in mine)
    return Comparison(
        rows=found.rows,
        differences=found.differences,
        baseline=found.baseline,
        lr=found.lr,
        hr_sha256=found.hr_sha256,
        published=[figure for figure in figures if figure.scale in found.differences],
        sizes={scale: (input_size(scale)[1], input_size(scale)[0]) for scale in found.differences},
        threads=options.threads,
        load=load,
        machine=machine(),
        versions=versions(),
        notes=list(dict.fromkeys(found.notes)),
    )


@dataclass(frozen=True, kw_only=True)
class _Comparison:
    """What has been measured so far."""

    rows: list[Row]
    differences: dict[int, list[Difference]]
    baseline: dict[int, str]
    lr: dict[int, dict[str, LrPictures]]
    hr_sha256: dict[int, dict[str, str]]
    notes: list[str]


def baseline_of(candidates: Sequence[Candidate], baseline: str | None) -> Candidate | None:
    """The network of one scale that the others are compared with: the one listed as `baseline`, or the first."""
    measured = [candidate for candidate in candidates if candidate.measurable]
    return find_candidate(measured, baseline) if baseline else next(iter(measured), None)


def summary_of(comparison: Comparison) -> Summary:
    """A comparison as one table for a paper, with published figures in marked rows."""
    measured = [
        NetworkRow(
            network=row.name if row.trained else f"{row.name} (random weights)",
            scale=row.scale,
            file=row.file,
            sha256=row.sha256,
            engine=row.engine,
            device=row.device,
            precision=row.precision,
            parameters=row.count.parameters if row.count else None,
            conv_macs=row.count.conv_macs if row.count else None,
            multi_adds=row.count.thop_macs if row.count else None,
            scores={bench: (score.psnr, score.ssim) for bench, score in row.scores.items()},
        )
        for row in comparison.rows
    ]
    published = [
        NetworkRow(
            network=figure.name,
            scale=figure.scale,
            parameters=round(figure.parameters) if figure.parameters else None,
            multi_adds=round(figure.multi_adds) if figure.multi_adds else None,
            scores=dict(figure.scores),
            source=figure.source + (f"; inferred: {figure.inferred}" if figure.inferred else ""),
        )
        for figure in comparison.published
    ]
    return Summary(
        rows=[*measured, *published],
        baseline=comparison.baseline,
        differences=comparison.differences,
        lr=comparison.lr,
        hr_sha256=comparison.hr_sha256,
        notes=comparison.notes,
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison as if read from a JSON file, in which keys are strings."""
    return json.loads(json.dumps(asdict(comparison), allow_nan=False))


def _check_names(candidates: Sequence[Candidate], baseline: str | None, highlight: Sequence[str]) -> None:
    for option, name in [("baseline", baseline), *(("highlight", name) for name in highlight)]:
        if name is None:
            continue
        found = [candidate for candidate in candidates if name in (*candidate.given, candidate.name)]
        if not found:
            raise UsageError(f"{option} {name} is not one of the networks; list it there too", setting="networks")
        if option == "baseline" and not any(candidate.measurable for candidate in found):
            raise UsageError(f"{option} {name} has random weights, so nothing can be compared with it")


def _scores(
    candidates: Sequence[Candidate],
    benches: Sequence[Path],
    scale: int,
    lr: LrChoice,
    degrade: Sequence[Degradation | None],
    notes: list[str],
    on_stage: OnStage,
) -> list[SetScore]:
    """Scores under the names of the candidates, set by set."""
    names = {c.source: c.name for c in candidates if c.measurable}
    if not names:
        return []
    protocol = Protocol(scale=scale)
    on_progress = partial(on_stage, f"quality x{scale}")
    scores = evaluate(
        list(names), benches, protocol, lr=lr, degrade=degrade, on_progress=on_progress, on_note=notes.append
    )
    labels = {label: names[source] for label, source in label_networks(list(names), protocol).items()}
    return [replace(score, network=labels[score.network]) for score in scores]


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


def _row(candidate: Candidate, scores: Sequence[SetScore], latency: Latency | None, highlight: Sequence[str]) -> Row:
    mine = [score for score in scores if score.network == candidate.name]
    return Row(
        name=candidate.name,
        title=_title(candidate),
        architecture=candidate.architecture,
        scale=candidate.scale,
        ours=candidate.shipped,
        highlighted=any(name in highlight for name in (*candidate.given, candidate.name)),
        trained=candidate.measurable,
        file=candidate.file.name if candidate.file else "",
        sha256=sha256(candidate.file) if candidate.file else "",
        count=_count(candidate),
        scores={s.bench: Score(psnr=finite(s.psnr), ssim=s.ssim) for s in mine},
        latency=latency,
        **(measured_with(candidate.file) if candidate.file and mine else {}),
    )


def _title(candidate: Candidate) -> str:
    """What the network is: the full name of a published one, or that its settings differ."""
    if candidate.network is None or candidate.architecture not in TITLES:
        return candidate.name
    settings = candidate.network.settings
    own = isinstance(settings, OwnSettings)  # there is no published network to compare with
    if own or training_form(settings) == training_form(type(settings)(scale=settings.scale)):
        return title(settings)
    return f"architecture {candidate.architecture}, with other settings than those of the published network"


def _count(candidate: Candidate) -> Count | None:
    """Parameters and Multi-Adds, if they can be counted; of a network, beside those of its training form."""
    if candidate.network:
        return total_costs(build(training_form(candidate.network.settings)), candidate.scale)
    return total_costs(candidate.file, candidate.scale) if candidate.file else None
