"""Pretrained weights to start a run from: anything that has weights to be trained further."""

from dataclasses import dataclass
from pathlib import Path

from mafdn._support.atomic import sha256
from mafdn.errors import ConfigError, MafdnError, WeightsError
from mafdn.networks import Network, title, transfer
from mafdn.networks.checkpoints import checkpoint_note, has_header, open_network
from mafdn.training.record.averaged import weights_card
from mafdn.weights.header import Card
from mafdn.weights.resolve import DESCRIPTIONS, NAMES_OF_SCALES, SCALE_NAMES, is_name, resolve


@dataclass(frozen=True)
class Pretrained:
    """Weights to start from."""

    network: Network
    file: Path
    card: Card
    """What is known about the weights."""
    note: str = ""
    """Which of several sets of weights in the file is used; empty if there was no choice."""

    @property
    def origin(self) -> str:
        """The file by name and digest."""
        return origin(self.file)

    def transfer_to(self, network: Network) -> None:
        """Copy the weights into `network`, which may be for another scale.

        Raises:
            WeightsError: The networks differ in another setting.
        """
        try:
            transfer(self.network, network)
        except WeightsError as error:
            raise WeightsError(f"run.init: {self.file}: {error}") from None


def locate(name: str, base: Path) -> str:
    """The value of `run.init` with a path made relative to the current folder instead of `base`."""
    return name if is_name(name) else str(base / name)


def pretrained_file(name: str, *, scale: int) -> Path:
    """The weights file that a run starts from.

    Args:
        name: `x2`, `photo-x2`, `mafdn` or another name of shipped weights, a weights file (`.safetensors`, `.pth`,
            `.pt`, `.ckpt`), or the folder of a run.
        scale: The scale of the run, for names without one, such as `mafdn`, and for `{scale}` in a file name.

    Raises:
        ConfigError: It has no weights, or they cannot be trained further.
        UsageError: The name is unknown.
        WeightsError: The file is missing.
    """
    try:
        shipped = name in NAMES_OF_SCALES  # weights of another scale can be trained further too
        source = resolve(name, scale=None if shipped else scale)
        if source.kind in ("baseline", "architecture"):
            raise ConfigError(f"{name} is {DESCRIPTIONS[source.kind]}; use a weights file, a run, {SCALE_NAMES}")
        path = source.file(".safetensors", scale=scale)
    except MafdnError as error:
        raise type(error)(f"run.init: {error}") from None
    if path.suffix == ".onnx":
        raise ConfigError(
            f"run.init: {path} cannot be trained further: an ONNX file holds a fixed graph; use the weights file "
            "or the run that it was exported from"
        )
    return path


def open_pretrained(name: str, network: Network) -> Pretrained:
    """Open the weights that a run starts from.

    Args:
        name: As for `pretrained_file`.
        network: The network to be trained; its weights may be in a file without a header.

    Raises:
        ConfigError: As `pretrained_file`.
        WeightsError: The file is damaged, or has an unknown network.
    """
    path = pretrained_file(name, scale=network.settings.scale)
    try:
        loaded = open_network(path, like=network.settings)
        return Pretrained(loaded, path, _card(path, loaded), checkpoint_note(path))
    except MafdnError as error:
        raise WeightsError(f"run.init: {error}") from error


def origin(weights: Path) -> str:
    """Identify the weights that a run starts from by file name and digest."""
    return f"{weights.name}, SHA-256 {sha256(weights)}"


def _card(path: Path, network: Network) -> Card:
    """The card of a weights file or of a run's checkpoint; otherwise what is known."""
    if has_header(path):
        return weights_card(path)
    return {
        "network": title(network.settings),
        "origin": "weights without a card",
        "source": path.name,
        "source_sha256": sha256(path),
    }
