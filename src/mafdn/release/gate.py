"""The release gate: the averaged weights of a run ship only if they score higher than the shipped ones.

A run on degraded patches trains the variant `photo`, and is compared with its shipped weights, on clean and on degraded
LR pictures; any other run trains the variant `classic`, and is measured on clean ones. Neither may make specks of other
colors where saturated colors meet (`mafdn.evaluation.colors`), which such scores do not show.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mafdn.degradation.chain import parse_degradations
from mafdn.errors import ConfigError
from mafdn.evaluation.benchset import Protocol, SetScore, bicubic, measure
from mafdn.evaluation.colors import ColorScore, color_score
from mafdn.evaluation.layouts import check_benches
from mafdn.evaluation.methods import open_method
from mafdn.export.onnx import export_onnx
from mafdn.networks import MAFDN, load_mafdn, save_network
from mafdn.training.data.bank import Bank, open_bank
from mafdn.training.record.averaged import averaged_network, run_card
from mafdn.training.record.log import read_log
from mafdn.training.record.run_folder import SavedRun
from mafdn.training.validation import held_out_psnr_sum, split_bank
from mafdn.weights.header import read_header
from mafdn.weights.shipped import Variant, shipped_stem

MEASURED_WITH: dict[Variant, tuple[str, ...]] = {
    "classic": (),
    "photo": ("none", "jpeg:90", "jpeg:75", "jpeg:50", "noise:3+jpeg:80"),
}
"""How the LR pictures of the datasets are degraded, by variant."""
MOST_OFF_COLOR = 0.005
"""Share of pixels of other colors (`mafdn.evaluation.colors`) up to which weights may replace others with fewer."""
MOST_LOST = 0.05
"""PSNR in dB that weights within `MOST_OFF_COLOR` may lose, on average, if they replace others beyond it."""
Scores = dict[str, dict[str, float]]
"""Means by benchmark dataset and degradation: `{"Set5": {"psnr": dB, "ssim": ...}, "Set5 jpeg:90": ..., ...}`."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the gate measured and decided."""

    target: Path
    """The weights file that ships."""
    released: bool
    reason: str
    scores: Scores
    """Scores of the run."""
    before: Scores
    """Scores of the weights that shipped before; empty if there were none."""
    validation: float | None
    """PSNR in dB of the run on its held-out pictures, degraded as in training; `None` if its bank is missing."""
    validation_before: float | None
    """The same of the weights that shipped before."""
    colors: ColorScore
    """How well the run keeps saturated colors."""
    colors_before: ColorScore | None
    """The same of the weights that shipped before."""
    measured: tuple[SetScore, ...]
    """For every set the scores of bicubic, then those of the run, picture by picture."""


def release(run: Path, weights: Path, *, benches: Sequence[Path] = (), scale: int | None = None) -> Outcome:
    """Fold, export and measure a run's averaged weights; replace the shipped ones if they are better.

    Better means a higher PSNR averaged over the benchmark datasets and their degradations, above bicubic on every
    picture, and no more pixels of other colors where saturated ones meet than before (or at most `MOST_OFF_COLOR`).
    Weights within that limit also replace ones beyond it if they score at most `MOST_LOST` lower. The card of the new
    weights records their origin. Files are named `mafdn-xS.*`, those of the variant `photo` `mafdn-photo-xS.*`.

    Args:
        run: The folder of the run.
        weights: The folder of the weights that ship.
        benches: Folders of benchmark datasets; default those that the run excluded from its bank.
        scale: The scale that the run must have; any if `None`.

    Raises:
        ConfigError: The run has no checkpoint, another scale or a network other than MAFDN; or a set on which the
            shipped weights were measured is missing.
        UsageError: A benchmark dataset is missing, or two have the same name.
    """
    network, saved, checkpoint = averaged_network(run)
    benches = list(benches) or saved.bench_sets
    if not benches:
        raise ConfigError(
            f"{run} has no benchmark datasets in data.exclude; pass at least one folder", setting="benches"
        )
    check_benches(benches)
    if not isinstance(network, MAFDN):
        raise ConfigError(f"{run} does not train MAFDN; only MAFDN ships ('mafdn export' writes any run's weights)")
    if scale not in (None, network.settings.scale):
        raise ConfigError(f"{run} trains x{network.settings.scale}, not x{scale}")
    scale = network.settings.scale
    variant: Variant = "photo" if saved.settings.degrade.share else "classic"
    target = weights / f"{shipped_stem(scale, variant)}.safetensors"
    shipping = target.with_suffix(".onnx")
    read_log(run)  # an unreadable log would fail later, in the documents
    before = _means(measured(shipping, benches, scale=scale, variant=variant)) if shipping.is_file() else {}
    colors_before = _colors(shipping, scale) if shipping.is_file() else None
    shipped = load_mafdn(target) if target.is_file() else None
    missing = sorted(read_header(target)[1].get("scores", {}).keys() - before.keys()) if shipped else []
    if missing:
        raise ConfigError(
            f"the shipped weights were also measured on {', '.join(missing)}; add the folders of these sets",
            setting="benches",
        )
    bank, held_out = _held_out(saved)
    validation = _validation(saved, bank, held_out, network.fold())
    validation_before = _validation(saved, bank, held_out, shipped) if shipped else None
    weights.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".release-", dir=weights) as folder:
        candidate = Path(folder) / shipping.name
        export_onnx(network, candidate)
        found = measured(candidate, benches, scale=scale, variant=variant)
        scores = _means(found)
        colors = _colors(candidate, scale)
        cured = colors_before is not None and colors.share <= MOST_OFF_COLOR < colors_before.share
        lost = MOST_LOST if cured else 0.0
        reason = _reason_to_keep(found, before, lost) or _off_color(colors, colors_before)
        if not reason:
            card = run_card(run, network, saved, checkpoint)
            card |= {"scores": scores, "validation_psnr": validation, "validation_pictures": len(held_out)}
            card["off_color"] = colors.share
            tensors = candidate.with_suffix(".safetensors")
            save_network(network.fold(), tensors, card=card)
            for made, final in ((tensors, target), (candidate, shipping)):
                made.replace(final)
    return Outcome(
        target=target,
        released=not reason,
        reason=reason or _reason_to_ship(scores, before),
        scores=scores,
        before=before,
        validation=validation,
        validation_before=validation_before,
        colors=colors,
        colors_before=colors_before,
        measured=tuple(found),
    )


def measured(path: Path, benches: Sequence[Path], *, scale: int, variant: Variant) -> list[SetScore]:
    """For every set and degradation the scores of bicubic, then those of the network in the ONNX file `path`."""
    label, method = open_method(str(path), scale=scale)
    methods = {"bicubic": bicubic(scale), label: method}
    return measure(methods, benches, Protocol(scale=scale), degrade=parse_degradations(MEASURED_WITH[variant]))


def _means(scores: Sequence[SetScore]) -> Scores:
    """The means of the network by set and degradation."""
    return {score.bench: {"psnr": score.psnr, "ssim": score.ssim} for score in scores[1::2]}


def _reason_to_ship(scores: Scores, before: Scores) -> str:
    if not before:
        return "the first at this scale"
    if _mean(scores) > _mean(before):
        return "better than the previous weights"
    return (
        f"{_mean(before) - _mean(scores):.3f} dB lower, but saturated colors are kept, unlike by the previous weights"
    )


def _reason_to_keep(scores: Sequence[SetScore], before: Scores, lost: float) -> str:
    """Why the shipped weights stay, by their scores; empty if they may be replaced by ones that score `lost` lower."""
    behind = [
        f"{ours.bench}/{picture.name}"
        for bicubic_score, ours in zip(scores[::2], scores[1::2], strict=True)
        for baseline, picture in zip(bicubic_score.pictures, ours.pictures, strict=True)
        if not picture.psnr > baseline.psnr
    ]
    if behind:
        return f"no better than bicubic on {', '.join(behind)}"
    if before and not _mean(_means(scores)) > _mean(before) - lost:
        return "the shipped weights score at least as high" if not lost else f"more than {lost} dB lower"
    return ""


def _colors(path: Path, scale: int) -> ColorScore:
    return color_score(open_method(str(path), scale=scale)[1])


def _off_color(colors: ColorScore, before: ColorScore | None) -> str:
    """Why the shipped weights stay, by the colors of the results; empty if they may be replaced."""
    if before is None or colors.share <= max(MOST_OFF_COLOR, before.share):
        return ""
    return (
        f"{colors.share:.1%} of the pixels where saturated colors meet have another color, {before.share:.1%} with the "
        "shipped weights"
    )


def _held_out(saved: SavedRun) -> tuple[Bank | None, list[int]]:
    """The run's bank and the indices of its held-out pictures; `None` and none if the bank is missing."""
    if not saved.bank.is_dir():
        return None, []
    bank = open_bank(saved.bank)
    return bank, split_bank(bank, saved.settings.data.held_out)[0]


def _validation(saved: SavedRun, bank: Bank | None, held_out: list[int], network: MAFDN) -> float | None:
    """PSNR in dB on the run's held-out pictures, degraded as in training; `None` if there are none."""
    if bank is None or not held_out:
        return None
    scale, degrade = network.settings.scale, saved.settings.degrade
    return held_out_psnr_sum(network, bank, held_out, scale=scale, degrade=degrade) / len(held_out)


def _mean(scores: Scores) -> float:
    return sum(score["psnr"] for score in scores.values()) / len(scores)
