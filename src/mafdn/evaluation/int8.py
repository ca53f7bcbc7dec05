"""The gate of int8: what a quantized network loses against the one it was made from, picture by picture.

Public names: :func:`judge`, :func:`measure_loss`, :func:`store_loss`, :class:`Loss`, :data:`MEAN_LIMIT`,
:data:`PICTURE_LIMIT`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mafdn.errors import UsageError
from mafdn.evaluation.bench import Protocol, SetScore, bench_files, measure
from mafdn.evaluation.documents import RESULTS, score_entry
from mafdn.evaluation.networks import engine_label, open_method
from mafdn.files import replacing, sha256
from mafdn.progress import counted
from mafdn.quantize import read_onnx_header

MEAN_LIMIT = 0.05
"""The most that may be lost in the mean over all sets, each the mean of its pictures; PSNR in dB."""
PICTURE_LIMIT = 0.2
"""The most that a single picture may lose."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """PSNR in dB that int8 loses: ``sets`` by set, ``mean`` over these, and of the ``worst`` picture (``Set5/bird``).

    ``reason`` says why it must not ship; empty when it may.
    """

    sets: dict[str, float]
    mean: float
    worst: str
    worst_loss: float
    reason: str


def judge(scores: Sequence[SetScore]) -> Loss:
    """The loss from ``scores``, of every set those of the network in float and then those of int8."""
    sets: dict[str, float] = {}
    pictures: dict[str, float] = {}
    for float32, int8 in zip(scores[::2], scores[1::2], strict=True):
        sets[float32.bench] = float32.psnr - int8.psnr
        for before, after in zip(float32.pictures, int8.pictures, strict=True):
            pictures[f"{float32.bench}/{before.name}"] = before.psnr - after.psnr
    mean, worst = float(np.mean(list(sets.values()))), max(pictures, key=pictures.__getitem__)
    reasons: list[str] = []
    if not mean <= MEAN_LIMIT:
        reasons.append(f"{mean:.3f} dB in the mean, {MEAN_LIMIT} may be lost")
    if not pictures[worst] <= PICTURE_LIMIT:
        reasons.append(f"{pictures[worst]:.3f} dB on {worst}, {PICTURE_LIMIT} may be lost")
    return Loss(sets=sets, mean=mean, worst=worst, worst_loss=pictures[worst], reason=" and ".join(reasons))


def measure_loss(
    network: Path,
    int8: Path,
    benches: Sequence[Path],
    *,
    scale: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[SetScore]:
    """The scores for :func:`judge` on every set, both networks run as ``mafdn upscale`` runs what ships.

    Raises :class:`UsageError` for no set, a missing one, and networks of another scale.
    """
    if not benches:
        raise UsageError("no bench set to measure int8 on; give one with --bench")
    name, float32 = open_method(str(network), scale=scale)
    methods = {name: float32, f"{name}, int8": open_method(str(int8), scale=scale)[1]}
    tick = counted(on_progress, sum(len(bench_files(folder)) for folder in benches) * len(methods))
    protocol = Protocol(scale=scale)
    return [score for folder in benches for score in measure(methods, folder, protocol, on_progress=lambda *_: tick(1))]


def store_loss(project: Path, int8: Path, scores: Sequence[SetScore]) -> None:
    """Write ``docs/results/int8-x{scale}.json``: what was measured, of which file, and by which limits."""
    loss = judge(scores)
    header = read_onnx_header(int8)
    entry: dict[str, Any] = {
        "file": int8.name,
        "sha256": sha256(int8),
        "source_sha256": header["source_sha256"],
        "quantized": header["quantized"],
        "engine": engine_label(int8),
        "ships": not loss.reason,
        "limits": {"mean": MEAN_LIMIT, "picture": PICTURE_LIMIT},
        "loss": {"sets": loss.sets, "mean": loss.mean, "worst": loss.worst, "worst_loss": loss.worst_loss},
        "scores": [score_entry(score) for score in scores],
    }
    with replacing(project / RESULTS / f"int8-x{scores[0].scale}.json") as temporary:
        temporary.write_text(json.dumps(entry, indent=2) + "\n", "utf-8")
