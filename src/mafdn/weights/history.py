"""The training history of weights: every run since the random ones, from the card of a weights file."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mafdn._support.atomic import sha256
from mafdn.errors import WeightsError
from mafdn.weights.header import Card, read_header
from mafdn.weights.resolve import resolve
from mafdn.weights.shipped import VARIANTS, shipped, shipped_scales

SHA256 = "SHA-256 "
"""What precedes the digest in the entry `started_from` of a card."""
SAME = ("started_from", "steps", "samples", "hours", "pruned")
"""Entries by which the card of a run and that of its released weights are those of one run."""
MEASURED = ("scores", "validation_psnr", "validation_pictures", "off_color")
"""Entries about the weights themselves: known when they are released, not in the folder of their run."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training run in the history of a network.

    Attributes:
        name: Architecture, scale and number of the run at that scale, such as `mafdn-x4-2`, or `mafdn-photo-x4-1` for
            a run on degraded patches; also the name of its configuration in `configs/shipped` if the network ships.
        started_from: File name and SHA-256 of the weights that it started from; empty for random ones.
        sha256: SHA-256 of the file that the next run started from; for the last run, that of the file itself.
        steps: Number of steps.
        patches: Number of training patches.
        hours: Training time in hours.
        precision: Precision of forward and backward passes.
        data: The training pictures and their licenses.
        teacher: The teacher network; empty without one.
        settings: The settings by table and key, without names of files and folders.
        scores: PSNR in dB and SSIM by benchmark dataset, measured when the weights were released.
        validation_psnr: PSNR in dB on the held-out pictures; `None` if it was not recorded.
        starts: What the run was computed with at each start: versions, machine, device, processes, and digests of the
            training pictures and of the teacher; empty if it was not recorded.
        validation_pictures: Number of the held-out pictures; `None` if it was not recorded.
        pruned_width: Number of channels to which the weights were pruned before the next run; `None` if they were not.
    """

    name: str
    started_from: str
    sha256: str
    steps: int
    patches: int
    hours: float
    precision: str
    data: str
    teacher: str
    settings: dict[str, dict[str, Any]]
    scores: dict[str, dict[str, float]]
    validation_psnr: float | None
    starts: tuple[dict[str, Any], ...] = ()
    validation_pictures: int | None = None
    pruned_width: int | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingHistory:
    """The training runs that led to a network.

    Attributes:
        stages: The runs, oldest first.
    """

    stages: tuple[Stage, ...]

    @property
    def complete(self) -> bool:
        """Whether the first run started from random weights."""
        return not self.stages[0].started_from

    @property
    def patches(self) -> int:
        """Patches of all runs."""
        return sum(stage.patches for stage in self.stages)


def training_history(network: str | os.PathLike[str]) -> TrainingHistory:
    """Read the training history of a network.

    Args:
        network: A shipped network such as `x4` or `photo-x4`, or a `.safetensors` file of this program.

    Raises:
        UsageError: The name is unknown, or does not determine a file.
        WeightsError: The file cannot be read or has no card.
    """
    path = resolve(network).file(".safetensors")
    if path.suffix != ".safetensors":
        raise WeightsError(f"{path} has no card; only .safetensors files of this program state how they were trained")
    card = read_header(path)[1]
    if "settings" not in card:
        raise WeightsError(f"{path} does not state how it was trained; 'mafdn export' and 'mafdn release' write that")
    return TrainingHistory(stages=_stages(card, sha256(path)))


def complete_chain(card: Card, known: Iterable[Card]) -> Card:
    """Add what `known` cards have: the runs before the first one of a card, and what was measured of earlier runs.

    Returns:
        The card with `chain`, the cards of the earlier runs (oldest first), and `patches`, those of all runs.
    """
    own = _runs(card)
    start = _digest(own[0])
    others = [_runs(other) for other in known]
    for other in others:
        for number, following in enumerate(other[1:], 1):
            if start and _digest(following) == start and not _digest(other[0]):
                own = [*other[:number], *own]
                start = ""
    released = [run for other in others for run in other if "scores" in run]
    return _joined([*(_measured(run, released) for run in own[:-1]), own[-1]])


def shipped_cards() -> list[Card]:
    """The cards of the shipped weights, of all variants."""
    return [
        read_header(shipped(scale, ".safetensors", variant))[1]
        for variant in VARIANTS
        for scale in shipped_scales(variant)
    ]


def _runs(card: Card) -> list[Card]:
    """The cards of all runs, the last one included, each without a chain."""
    return [*card.get("chain", []), {key: value for key, value in card.items() if key not in ("chain", "patches")}]


def _measured(run: Card, released: Iterable[Card]) -> Card:
    """A card with what was measured when the run's weights were released, if one of the `released` cards is theirs."""
    for other in () if "scores" in run else released:
        if all(run.get(key) == other.get(key) for key in SAME):
            return run | {key: other[key] for key in MEASURED if key in other}
    return run


def _joined(runs: list[Card]) -> Card:
    *earlier, last = runs
    card = last | {"patches": sum(int(run.get("samples", 0)) for run in runs)}
    return card | ({"chain": earlier} if earlier else {})


def _digest(card: Card) -> str:
    """The SHA-256 of the file that a run started from; empty for random weights."""
    return str(card.get("started_from", "")).rpartition(SHA256)[2]


def _stages(card: Card, own_sha256: str) -> tuple[Stage, ...]:
    runs = _runs(card)
    digests = [*map(_digest, runs[1:]), own_sha256]
    stages: list[Stage] = []
    counts: dict[str, int] = {}
    for run, digest in zip(runs, digests, strict=True):
        settings = run.get("settings", {})
        network = settings.get("network", {})
        variant = "photo-" if settings.get("degrade", {}).get("share") else ""
        kind = f"{network.get('architecture', 'mafdn')}-{variant}x{network.get('scale')}"
        counts[kind] = counts.get(kind, 0) + 1
        stages.append(
            Stage(
                name=f"{kind}-{counts[kind]}",
                started_from=str(run.get("started_from", "")),
                sha256=digest,
                steps=int(run.get("steps", 0)),
                patches=int(run.get("samples", 0)),
                hours=float(run.get("hours", 0.0)),
                precision=str(run.get("precision", "")),
                data=str(run.get("data", "")),
                teacher=str(run.get("teacher", "")),
                settings=settings,
                scores=run.get("scores", {}),
                validation_psnr=run.get("validation_psnr"),
                starts=tuple(run.get("starts", ())),
                validation_pictures=run.get("validation_pictures"),
                pruned_width=run.get("pruned", {}).get("width"),
            )
        )
    return tuple(stages)
