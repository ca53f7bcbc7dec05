"""The results of a measurement as one table for a paper: a row for each network, over all benchmark datasets."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mafdn._support.atomic import sha256
from mafdn._support.machine import installed_version
from mafdn._version import __version__
from mafdn.evaluation.benchset import LrPictures, Protocol, SetScore, finite
from mafdn.evaluation.costs.counting import total_costs
from mafdn.evaluation.methods import engine_label, find_network, reproducible_options
from mafdn.evaluation.paired import Difference
from mafdn.inference import EngineOptions
from mafdn.inference.engines import resolve_model
from mafdn.inference.ensemble import ENSEMBLES
from mafdn.weights.sizes import OUTPUT

VERSIONED = ("openvino", "onnxruntime", "torch", "numpy")
"""Packages whose versions belong to a measurement."""


@dataclass(frozen=True, kw_only=True)
class NetworkRow:
    """One network at one scale, measured here or published elsewhere."""

    network: str
    scale: int
    file: str = ""
    """Name of the file that was measured; empty for baselines and published figures."""
    sha256: str = ""
    engine: str = ""
    """Name and version of the engine that ran it; empty for baselines, functions and published figures."""
    device: str = ""
    precision: str = ""
    self_ensemble: bool = False
    """Whether results were averaged over eight orientations, which takes eight times the Multi-Adds."""
    parameters: int | None = None
    conv_macs: int | None = None
    multi_adds: int | None = None
    """For a 1280x720 output, counted like thop, in all passes."""
    scores: Mapping[str, tuple[float | None, float]]
    """PSNR in dB (`None` if infinite) and SSIM by benchmark dataset."""
    source: str = ""
    """Where published figures are printed; empty for measurements."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All rows, and the conditions of the measurement."""

    rows: Sequence[NetworkRow]
    channels: str = "luma"
    baseline: Mapping[int, str] = field(default_factory=dict[int, str])
    """By scale, the network that `differences` compares with."""
    differences: Mapping[int, Sequence[Difference]] = field(default_factory=dict[int, list[Difference]])
    """By scale, network - baseline: positive is better."""
    lr: Mapping[int, Mapping[str, LrPictures]] = field(default_factory=dict[int, dict[str, LrPictures]])
    """LR pictures by scale and benchmark dataset."""
    hr_sha256: Mapping[int, Mapping[str, str]] = field(default_factory=dict[int, dict[str, str]])
    """SHA-256 of the pixels of the HR pictures by scale and benchmark dataset."""
    notes: Sequence[str] = ()

    @property
    def benches(self) -> list[str]:
        """The benchmark datasets that were measured; only those of published rows if nothing was."""
        measured = dict.fromkeys(bench for row in self.rows if not row.source for bench in row.scores)
        return list(measured or dict.fromkeys(bench for row in self.rows for bench in row.scores))


def versions() -> dict[str, str]:
    """The versions of this package and of those that run networks."""
    return {"mafdn": __version__} | {name: v for name in VERSIONED if (v := installed_version(name))}


def network_rows(
    labels: Mapping[str, str], scores: Sequence[SetScore], protocol: Protocol, options: EngineOptions | None = None
) -> list[NetworkRow]:
    """A row for each measured network.

    Args:
        labels: Networks by label, from `mafdn.evaluation.scoring.label_networks`.
        scores: What `mafdn.evaluation.scoring.evaluate` returned for them.
        protocol: What was measured.
        options: The engine, as passed to `evaluate`.
    """
    rows: list[NetworkRow] = []
    passes = ENSEMBLES[1] if protocol.self_ensemble else 1
    for label, network in labels.items():
        path = find_network(network, scale=protocol.scale)
        costs = total_costs(path, protocol.scale) if path else None
        rows.append(
            NetworkRow(
                network=label,
                scale=protocol.scale,
                file=path.name if path else "",
                sha256=sha256(path) if path else "",
                **(measured_with(path, options) if path else {}),
                self_ensemble=protocol.self_ensemble and path is not None,
                parameters=costs.parameters if costs else None,
                conv_macs=passes * costs.conv_macs if costs else None,
                multi_adds=passes * costs.thop_macs if costs else None,
                scores={score.bench: (finite(score.psnr), score.ssim) for score in scores if score.network == label},
            )
        )
    return rows


def measured_with(path: Path, options: EngineOptions | None = None) -> dict[str, str]:
    """The `engine`, `device` and `precision` with which the network in a file is measured."""
    used = reproducible_options(path, options)
    precision = resolve_model(path, used)[1]
    return {"engine": engine_label(path, options), "device": used.device, "precision": precision}


def hr_pictures(scores: Sequence[SetScore]) -> dict[str, str]:
    """The hash of the HR pictures of every benchmark dataset."""
    return {score.bench: score.hr_sha256 for score in scores}


def lr_pictures(scores: Sequence[SetScore]) -> dict[str, LrPictures]:
    """The LR pictures of every benchmark dataset."""
    return {score.bench: score.lr for score in scores if score.lr}


def as_json(summary: Summary) -> dict[str, Any]:
    """The form in which a summary is written as JSON."""
    return {
        "versions": versions(),
        "channels": summary.channels,
        "multi_adds_output": [OUTPUT[1], OUTPUT[0]],
        "rows": [
            asdict(row)
            | {"scores": {bench: {"psnr": psnr, "ssim": ssim} for bench, (psnr, ssim) in row.scores.items()}}
            | {"published": bool(row.source)}
            for row in summary.rows
        ],
        "baseline": {str(scale): name for scale, name in summary.baseline.items()},
        "differences": {
            str(scale): [asdict(difference) for difference in found] for scale, found in summary.differences.items()
        },
        "lr": {str(scale): {bench: asdict(lr) for bench, lr in found.items()} for scale, found in summary.lr.items()},
        "hr_sha256": {str(scale): dict(found) for scale, found in summary.hr_sha256.items()},
        "notes": list(summary.notes),
    }
