"""The averaged weights of a run, which are evaluated and exported, and their card."""

from pathlib import Path
from typing import Any

from mafdn._version import __version__
from mafdn.errors import ConfigError, WeightsError
from mafdn.networks import TITLES, Network, architecture, build, save_network, stored_form, title
from mafdn.training.record.checkpoint import Checkpoint, read_checkpoint
from mafdn.training.record.run_folder import RunFolder, SavedRun, to_json
from mafdn.training.record.starts import distinct
from mafdn.weights.header import Card, read_header
from mafdn.weights.history import complete_chain, shipped_cards

DESCRIPTIONS = TITLES | {"mafdn": "MAFDN, reconstructed from the abstract of doi 10.1155/2024/3255233"}
"""Description of the network in a card, by architecture."""

PRIVATE = {
    "data": ("folders", "bank", "description", "teacher_description", "exclude", "zoomed"),
    "run": ("folder", "init"),
}
"""Settings that a card leaves out, by table."""


def averaged_network(run: Path) -> tuple[Network, SavedRun, Checkpoint]:
    """Load the averaged weights of a run.

    Args:
        run: The folder of a run.

    Returns:
        The network, the run's settings, and the checkpoint that the weights come from.

    Raises:
        ConfigError: The folder has no readable checkpoint.
        WeightsError: The settings do not match the checkpoint.
    """
    folder = RunFolder(run)
    checkpoint = folder.newest()
    if checkpoint is None:
        raise ConfigError(f"{run} has no checkpoint; choose the folder of a run")
    try:
        saved = folder.saved()
        network = build(saved.settings.network)
        network.load_state_dict(checkpoint.ema)
    except (ConfigError, RuntimeError) as error:
        raise WeightsError(f"the settings of {run} do not match its checkpoints: {error}") from None
    return network, saved, checkpoint


def export_run(run: Path, target: Path) -> Network:
    """Write a run's averaged weights, in the form of `stored_form`, to a weights file with a card.

    Args:
        run: The folder of a run.
        target: The `.safetensors` file to write.

    Returns:
        The network, not folded.

    Raises:
        ConfigError: The folder has no readable checkpoint.
        WeightsError: The settings do not match the checkpoint, or `target` cannot be written.
    """
    network, saved, checkpoint = averaged_network(run)
    save_network(stored_form(network), target, card=run_card(run, network, saved, checkpoint))
    return network


def run_card(run: Path, network: Network, saved: SavedRun, checkpoint: Checkpoint) -> Card:
    """Describe a run's weights; descriptions replace the paths of the training machine.

    Returns:
        The card. `chain` holds the cards of the runs before it, oldest first, as far as the weights that it started
        from or the shipped weights record them; `patches` counts those of all runs.

    Raises:
        ConfigError: The card of the run's parent cannot be read.
    """
    settings = _public(to_json(saved.settings))
    parent = RunFolder(run).parent or {}
    chain: list[Card] = [*parent.get("chain", [])]
    if parent:
        stage = {key: value for key, value in parent.items() if key not in ("chain", "patches")}
        chain.append(stage | {"settings": _public(stage.get("settings", {}))})
    data = saved.settings.data
    card: dict[str, Any] = {
        "network": DESCRIPTIONS.get(architecture(network.settings), title(network.settings)),
        "data": data.description,
        "steps": checkpoint.step,
        "samples": checkpoint.samples,
        "hours": round(checkpoint.seconds / 3600, 2),
        "precision": "bf16 autocast" if checkpoint.bf16 else "fp32",
        "compiled": checkpoint.compiled,
        "started_from": checkpoint.started_from,
        "settings": settings,
        "made_by": f"mafdn {__version__}",
    }
    if saved.starts:
        card["starts"] = distinct(saved.starts)
    if data.teacher:
        card["teacher"] = data.teacher_description or data.teacher
    if data.zoomed:
        card["zoomed_pairs"] = data.zoomed_share
    return complete_chain(card | {"chain": chain}, shipped_cards())


def weights_card(path: Path) -> Card:
    """The card of a weights file, or of the averaged weights in a checkpoint of a run.

    Raises:
        WeightsError: The file cannot be read, or is not one of this program.
        ConfigError: As `run_card`.
    """
    header, card = read_header(path)
    if "folder" not in header:
        return card
    network, saved, _ = averaged_network(path.parent)
    return run_card(path.parent, network, saved, read_checkpoint(path))


def _public(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run as JSON, without the entries that are, or may hold, paths of the training machine."""
    return {
        part: {key: value for key, value in table.items() if key not in PRIVATE.get(part, ())}
        for part, table in settings.items()
    }
