"""The release gate: a run's averaged weights ship only when they measure better than those that ship now.

Public names: :func:`release`, :class:`Measured`, :class:`Outcome`, :func:`bench_sets`,
:func:`calibration_bank`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mafdn.cards import read_header
from mafdn.data.bank import open_bank
from mafdn.errors import ConfigError
from mafdn.export import export_onnx
from mafdn.networks import MAFDN, load_mafdn, save_network
from mafdn.training.averaged import averaged_network, run_card
from mafdn.training.journal import read_log
from mafdn.training.run_folder import RunFolder, SavedRun
from mafdn.training.validation import held_out_psnr_sum, split_bank

Scores = dict[str, dict[str, float]]
"""``{"Set5": {"psnr": dB, "ssim": ...}, ...}``."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a file reached on the bench sets, and the pictures on which it is no better than bicubic."""

    scores: Scores
    behind_bicubic: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the gate measured and decided; what shipped ``before`` is empty when nothing did.

    ``validation`` and ``validation_before`` are PSNR in dB on the run's held-out pictures, where its bank is at hand.
    """

    target: Path
    released: bool
    reason: str
    scores: Scores
    before: Scores
    validation: float | None
    validation_before: float | None


def release(run: Path, weights: Path, *, scale: int | None = None, score: Callable[[Path, int], Measured]) -> Outcome:
    """Fold, export and score a run's average; replace ``weights/mafdn-xS.*`` when it is better.

    ``score(onnx_path, scale)`` measures a file on the bench sets. Better means a higher PSNR averaged over
    sets, and above bicubic on every picture. The card of the new weights tells where they come from. Raises
    :class:`ConfigError` when ``run`` holds no checkpoint or one of another ``scale``, or when fewer sets are
    measured than for what ships.
    """
    network, saved, checkpoint = averaged_network(run)
    if not isinstance(network, MAFDN):
        raise ConfigError(f"{run} trains another network; only MAFDN ships ('mafdn export' writes any run's weights)")
    if scale not in (None, network.settings.scale):
        raise ConfigError(f"{run} trains x{network.settings.scale}, not x{scale}")
    scale = network.settings.scale
    target = weights / f"mafdn-x{scale}.safetensors"
    shipping = target.with_suffix(".onnx")
    read_log(run)  # which the documents will show
    before = score(shipping, scale).scores if shipping.is_file() else {}
    shipped = load_mafdn(target) if target.is_file() else None
    lost = sorted(read_header(target)[1].get("scores", {}).keys() - before.keys()) if shipped else []
    if lost:
        raise ConfigError(f"what ships was measured on {', '.join(lost)} too; give these sets with --bench as well")
    validation = _validation(saved, network.fold())
    validation_before = _validation(saved, shipped) if shipped else None
    weights.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".release-", dir=weights) as folder:
        candidate = Path(folder) / shipping.name
        export_onnx(network, candidate)
        measured = score(candidate, scale)
        reason = _reason_to_keep(measured, before)
        if not reason:
            card = run_card(run, network, saved, checkpoint)
            card |= {"scores": measured.scores, "validation_psnr": validation}
            tensors = candidate.with_suffix(".safetensors")
            save_network(network.fold(), tensors, card=card)
            for made, final in ((tensors, target), (candidate, shipping)):
                made.replace(final)
    return Outcome(
        target=target,
        released=not reason,
        reason=reason or ("better than what shipped" if before else "the first at this scale"),
        scores=measured.scores,
        before=before,
        validation=validation,
        validation_before=validation_before,
    )


def _reason_to_keep(measured: Measured, before: Scores) -> str:
    """Why the weights that ship stay; empty when they do not."""
    if measured.behind_bicubic:
        return f"no better than bicubic on {', '.join(measured.behind_bicubic)}"
    if before and not _mean(measured.scores) > _mean(before):
        return "what ships measures at least as well"
    return ""


def _validation(saved: SavedRun, network: MAFDN) -> float | None:
    """PSNR in dB on the pictures that the run held out; ``None`` when its bank is not at hand."""
    if not saved.bank.is_dir():
        return None
    bank, scale = open_bank(saved.bank), network.settings.scale
    held_out, _ = split_bank(bank, saved.settings.data.held_out)
    return held_out_psnr_sum(network, bank, held_out, scale=scale) / len(held_out) if held_out else None


def calibration_bank(run: Path) -> Path:
    """The folder of the run's training bank; raises :class:`ConfigError` when its settings cannot be read."""
    return RunFolder(run).saved().bank


def bench_sets(run: Path) -> list[Path]:
    """The folders that the run kept out of its bank (``data.exclude``); raises :class:`ConfigError` for none."""
    folders = RunFolder(run).saved().bench_sets
    if not folders:
        raise ConfigError(f"{run} names no bench sets in data.exclude; give them with --bench")
    return folders


def _mean(scores: Scores) -> float:
    return sum(score["psnr"] for score in scores.values()) / len(scores)
