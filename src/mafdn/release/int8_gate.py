"""The int8 gate: a quantized network is kept only if it loses little PSNR compared with its fp32 source."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mafdn.errors import UsageError
from mafdn.evaluation.benchset import Protocol, SetScore, measure
from mafdn.evaluation.layouts import check_benches
from mafdn.evaluation.methods import open_method
from mafdn.release.quantize import calibration_crops, quantize_onnx, read_source_header
from mafdn.training.data.bank import open_bank

MEAN_LIMIT = 0.05
"""Largest loss of PSNR in dB, averaged over the pictures of each set and then over all sets."""
PICTURE_LIMIT = 0.2
"""Largest loss of PSNR in dB of a single picture."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The loss of PSNR by int8, in dB."""

    sets: dict[str, float]
    """Mean of each set."""
    mean: float
    """Mean of all sets."""
    worst: str
    """The picture that loses most: `Set5/bird`."""
    worst_loss: float
    reason: str
    """Why the int8 network must not ship; empty if it may."""


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What `quantize` measured; the file was written if `loss.reason` is empty."""

    scores: tuple[SetScore, ...]
    """For every set the scores of the fp32 network, then those of int8."""
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
    """Quantize an exported MAFDN to int8, measure it, and write it if it passes the gate.

    Args:
        network: An ONNX file from `mafdn export`.
        target: The int8 file.
        calibration: The folder of a training bank.
        benches: Folders of benchmark datasets with different names; they are checked before any work.
        on_candidate: Called with the measured file and its scores, before the file is renamed to `target` or removed.
        on_progress: Called with the number of results scored and their total.

    Raises:
        UsageError: Two benchmark datasets have the same name.
        MafdnError: A benchmark dataset, the bank or the network is missing or unusable, or nncf is not installed.
    """
    check_benches(benches)
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
    """The loss, from the scores of the fp32 network and those of int8 for every set, in this order."""
    sets: dict[str, float] = {}
    pictures: dict[str, float] = {}
    for float32, int8 in zip(scores[::2], scores[1::2], strict=True):
        sets[float32.bench] = float32.psnr - int8.psnr
        for before, after in zip(float32.pictures, int8.pictures, strict=True):
            pictures[f"{float32.bench}/{before.name}"] = before.psnr - after.psnr
    mean, worst = float(np.mean(list(sets.values()))), max(pictures, key=pictures.__getitem__)
    reasons: list[str] = []
    if not mean <= MEAN_LIMIT:
        reasons.append(f"{mean:.3f} dB on average (limit {MEAN_LIMIT})")
    if not pictures[worst] <= PICTURE_LIMIT:
        reasons.append(f"{pictures[worst]:.3f} dB on {worst} (limit {PICTURE_LIMIT})")
    return Loss(sets=sets, mean=mean, worst=worst, worst_loss=pictures[worst], reason=" and ".join(reasons))


def measure_loss(
    network: Path,
    int8: Path,
    benches: Sequence[Path],
    *,
    scale: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[SetScore]:
    """The scores for `judge`: for every set those of `network`, then those of `int8`.

    Raises:
        UsageError: There is no set, one is missing, or a network has another scale.
    """
    if not benches:
        raise UsageError("no benchmark dataset to measure int8 on; pass at least one folder", setting="benches")
    label, float32 = open_method(str(network), scale=scale)
    methods = {label: float32, f"{label}, int8": open_method(str(int8), scale=scale)[1]}
    return measure(methods, benches, Protocol(scale=scale), on_progress=on_progress)
