"""The averaged weights of a run, which are what is measured and kept, and their card.

Public names: :func:`averaged_network`, :func:`run_card`, :func:`export_run`.
"""

import json
from pathlib import Path
from typing import Any, cast

from mafdn._version import __version__
from mafdn.cards import Card
from mafdn.errors import ConfigError, WeightsError
from mafdn.networks import ARCHITECTURES, TITLES, Network, architecture, build, save_network
from mafdn.training.checkpoint import Checkpoint, newest_checkpoint
from mafdn.training.loop import SETTINGS

ORIGINS = TITLES | {"mafdn": "MAFDN, reconstructed from the abstract of doi 10.1155/2024/3255233"}


def averaged_network(run: Path) -> tuple[Network, dict[str, Any], Checkpoint]:
    """A run's network with its averaged weights, the run's settings, and the checkpoint they are from.

    Raises :class:`ConfigError` when ``run`` holds no checkpoint, :class:`WeightsError` when it is damaged.
    """
    checkpoint = newest_checkpoint(run)
    if checkpoint is None:
        raise ConfigError(f"{run} holds no checkpoint; give the folder of a run")
    try:
        settings = cast(dict[str, Any], json.loads((run / SETTINGS).read_text("utf-8")))
        table = dict(settings["network"])
        # A run begun before there were several networks does not name its own.
        network = build(ARCHITECTURES[table.pop("architecture", "mafdn")][1](**table))
        network.load_state_dict(checkpoint.ema)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{run / SETTINGS} does not describe its checkpoints: {error}") from None
    return network, settings, checkpoint


def export_run(run: Path, target: Path) -> Network:
    """Write a run's averaged weights, folded, as a weights file with their card; returns the network.

    Raises as :func:`averaged_network`, and :class:`WeightsError` when ``target`` cannot be written.
    """
    network, settings, checkpoint = averaged_network(run)
    save_network(network.fold(), target, card=run_card(network, settings, checkpoint))
    return network


def run_card(network: Network, settings: dict[str, Any], checkpoint: Checkpoint) -> Card:
    """What is known of a run's weights, without names on the training machine: the description stands for those."""
    local = ("folders", "bank", "description", "exclude")
    parts = {key: value for key, value in settings.items() if key != "base"}
    kept = parts | {"data": {key: value for key, value in settings["data"].items() if key not in local}}
    return {
        "network": ORIGINS[architecture(network.settings)],
        "data": settings["data"]["description"],
        "steps": checkpoint.step,
        "samples": checkpoint.samples,
        "hours": round(checkpoint.seconds / 3600, 2),
        "precision": "bf16 autocast" if checkpoint.bf16 else "fp32",
        "compiled": checkpoint.compiled,
        "started_from": checkpoint.started_from or settings["run"]["init"],
        "settings": kept,
        "made_by": f"mafdn {__version__}",
    }
