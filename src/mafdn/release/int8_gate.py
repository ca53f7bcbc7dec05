"""The gate of int8: a quantized network is kept only if it loses little against the one it was made from.

Public names: :func:`quantize`, :class:`Quantized`, :func:`judge`, :func:`measure_loss`, :class:`Loss`,
:data:`MEAN_LIMIT`, :data:`PICTURE_LIMIT`.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mafdn._support.progress import counted, each
from mafdn.errors import UsageError
from mafdn.evaluation.benchset import Protocol, SetScore, bench_files, measure
from mafdn.evaluation.methods import open_method
from mafdn.release.quantize import calibration_crops, quantize_onnx, read_source_header
from mafdn.training.data.bank import open_bank

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


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What :func:`quantize` measured; the file is there when ``loss`` gives no reason against it."""

    scores: tuple[SetScore, ...]
    """Of every set those of the network in float and then those of int8."""
    loss: Loss


def quantize(
    network: Path,
    target: Path,
    *,
    calibration: Path,
    benches: Sequence[Path],
    on_candidate: Callable[[Path, Quantized], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Quantized:
    """Quantize an exported MAFDN to int8 and measure it; ``target`` becomes the result if it loses little enough.

    ``calibration`` is the folder of a training bank. ``on_candidate`` is given the measured file before it gets its
    name or is removed; ``on_progress(done, total)`` counts pictures measured. Raises :class:`MafdnError`: for a
    missing bench set before any work.
    """
    for folder in benches:
        bench_files(folder)
    scale = int(read_source_header(network)["settings"]["scale"])
    crops = calibration_crops(open_bank(calibration), scale=scale)
    with tempfile.TemporaryDirectory(prefix=".quantize-", dir=target.resolve().parent) as folder:
        candidate = Path(folder) / target.name
        quantize_onnx(network, candidate, crops)
        scores = measure_loss(network, candidate, benches, scale=scale, on_progress=on_progress)
        quantized = Quantized(scores=tuple(scores), loss=judge(scores))
        if on_candidate:
            on_candidate(candidate, quantized)
        if not quantized.loss.reason:
            candidate.replace(target)
    return quantized


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
    return [score for folder in benches for score in measure(methods, folder, protocol, on_progress=each(tick))]
