"""The release gate: a run's averaged weights ship only when they measure better than those that ship now.

Public names: :func:`release`, :class:`Outcome`, :func:`averaged_network`.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mafdn._version import __version__
from mafdn.cards import Card
from mafdn.errors import ConfigError, WeightsError
from mafdn.networks import MAFDN, MAFDNSettings, save_network
from mafdn.training.checkpoint import Checkpoint, newest_checkpoint
from mafdn.training.export import export_onnx

Scores = dict[str, dict[str, float]]
"""``{"Set5": {"psnr": dB, "ssim": ...}, ...}``."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the gate measured and decided; ``before`` is empty when nothing shipped."""

    target: Path
    released: bool
    scores: Scores
    before: Scores


def release(run: Path, weights: Path, *, score: Callable[[Path, int], Scores]) -> Outcome:
    """Fold, export and score a run's average; replace ``weights/mafdn-xS.*`` when it is better.

    ``score(onnx_path, scale)`` measures a file on the bench sets; better means a higher PSNR, averaged over
    sets. The card of the new weights tells where they come from. Raises :class:`ConfigError` when ``run``
    holds no checkpoint.
    """
    network, settings, checkpoint = averaged_network(run)
    scale = network.settings.scale
    target = weights / f"mafdn-x{scale}.safetensors"
    shipping = target.with_suffix(".onnx")
    before = score(shipping, scale) if shipping.is_file() else {}
    weights.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".release-", dir=weights) as folder:
        candidate = Path(folder) / shipping.name
        export_onnx(network, candidate)
        scores = score(candidate, scale)
        better = not before or _mean(scores) > _mean(before)
        if better:
            card = _card(settings, checkpoint, scores)
            tensors = candidate.with_suffix(".safetensors")
            save_network(network.fold(), tensors, card=card)
            for made, final in ((tensors, target), (candidate, shipping)):
                made.replace(final)
    return Outcome(target=target, released=better, scores=scores, before=before)


def averaged_network(run: Path) -> tuple[MAFDN, dict[str, Any], Checkpoint]:
    """A run's network with its averaged weights, the run's settings, and the checkpoint they are from."""
    checkpoint = newest_checkpoint(run)
    if checkpoint is None:
        raise ConfigError(f"{run} holds no checkpoint; give the folder of a run")
    try:
        settings = cast(dict[str, Any], json.loads((run / "settings.json").read_text("utf-8")))
        network = MAFDN(MAFDNSettings(**settings["network"]))
        network.load_state_dict(checkpoint.ema)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{run}/settings.json does not describe its checkpoints: {error}") from None
    return network, settings, checkpoint


def _card(settings: dict[str, Any], checkpoint: Checkpoint, scores: Scores) -> Card:
    local = ("folders", "bank", "description")  # names on the training machine; the description stands above
    kept = settings | {"data": {key: value for key, value in settings["data"].items() if key not in local}}
    return {
        "network": "MAFDN, reconstructed from the abstract of doi 10.1155/2024/3255233",
        "data": settings["data"]["description"],
        "steps": checkpoint.step,
        "samples": checkpoint.samples,
        "hours": round(checkpoint.seconds / 3600, 2),
        "precision": "bf16 autocast" if checkpoint.bf16 else "fp32",
        "started_from": settings["run"]["init"],
        "settings": kept,
        "scores": scores,
        "made_by": f"mafdn {__version__}",
    }


def _mean(scores: Scores) -> float:
    return sum(score["psnr"] for score in scores.values()) / len(scores)
