"""The averaged weights of a run, which are what is measured and kept, and their card.

Public names: :func:`averaged_network`, :func:`run_card`, :func:`export_run`.
"""

from pathlib import Path
from typing import Any

from mafdn._version import __version__
from mafdn.errors import ConfigError, WeightsError
from mafdn.networks import TITLES, Network, architecture, build, save_network
from mafdn.training.checkpoint import Checkpoint
from mafdn.training.run_folder import RunFolder, SavedRun, described
from mafdn.weights.header import Card

ORIGINS = TITLES | {"mafdn": "MAFDN, reconstructed from the abstract of doi 10.1155/2024/3255233"}


def averaged_network(run: Path) -> tuple[Network, SavedRun, Checkpoint]:
    """A run's network with its averaged weights, the run's settings, and the checkpoint they are from.

    Raises :class:`ConfigError` when ``run`` holds no checkpoint, :class:`WeightsError` when it is damaged.
    """
    folder = RunFolder(run)
    checkpoint = folder.newest()
    if checkpoint is None:
        raise ConfigError(f"{run} holds no checkpoint; give the folder of a run")
    try:
        saved = folder.saved()
        network = build(saved.settings.network)
        network.load_state_dict(checkpoint.ema)
    except (ConfigError, RuntimeError) as error:
        raise WeightsError(f"the settings of {run} do not fit its checkpoints: {error}") from None
    return network, saved, checkpoint


def export_run(run: Path, target: Path) -> Network:
    """Write a run's averaged weights, folded, as a weights file with their card; returns the network.

    Raises as :func:`averaged_network`, and :class:`WeightsError` when ``target`` cannot be written.
    """
    network, saved, checkpoint = averaged_network(run)
    save_network(network.fold(), target, card=run_card(run, network, saved, checkpoint))
    return network


def run_card(run: Path, network: Network, saved: SavedRun, checkpoint: Checkpoint) -> Card:
    """What is known of a run's weights, without names on the training machine: the descriptions stand for those.

    ``chain`` holds the cards of the weights that the run started from, the first ones first; ``patches`` counts those
    of the whole chain.
    """
    local = ("folders", "bank", "description", "teacher_description", "exclude", "zoomed")
    settings = described(saved.settings)
    settings["data"] = {key: value for key, value in settings["data"].items() if key not in local}
    settings["run"] = {key: value for key, value in settings["run"].items() if key not in ("folder", "init")}
    parent = RunFolder(run).parent or {}
    chain: list[Card] = [*parent.get("chain", [])]
    if parent:
        chain.append({key: value for key, value in parent.items() if key != "chain"})
    data = saved.settings.data
    card: dict[str, Any] = {
        "network": ORIGINS[architecture(network.settings)],
        "data": data.description,
        "steps": checkpoint.step,
        "samples": checkpoint.samples,
        "patches": checkpoint.samples + sum(int(stage.get("samples", 0)) for stage in chain),
        "hours": round(checkpoint.seconds / 3600, 2),
        "precision": "bf16 autocast" if checkpoint.bf16 else "fp32",
        "compiled": checkpoint.compiled,
        "started_from": checkpoint.started_from,
        "settings": settings,
        "made_by": f"mafdn {__version__}",
    }
    if data.teacher:
        card["teacher"] = data.teacher_description or data.teacher
    if data.zoomed:
        card["zoomed_pairs"] = data.zoomed_share
    return card | ({"chain": chain} if chain else {})
