"""All networks by the names used in weights files and commands."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from mafdn.errors import ConfigError
from mafdn.networks.afan import AFAN, AFANSettings
from mafdn.networks.ddistill import DDistillSettings, DDistillSR
from mafdn.networks.imdn import IMDN, IMDNSettings
from mafdn.networks.mafdn import MAFDN, MAFDNSettings
from mafdn.networks.own import OwnArchitecture, OwnNetwork, OwnSettings, check_output, find_own
from mafdn.networks.smfanet import SMFANet, SMFANetSettings
from mafdn.weights.own_architectures import is_own_architecture, own_names

Network = MAFDN | IMDN | DDistillSR | AFAN | SMFANet | OwnNetwork
Settings = MAFDNSettings | IMDNSettings | DDistillSettings | AFANSettings | SMFANetSettings | OwnSettings

ARCHITECTURES: dict[str, tuple[Callable[[Any], Network], type[Settings]]] = {
    "mafdn": (MAFDN, MAFDNSettings),
    "imdn": (IMDN, IMDNSettings),
    "ddistill": (DDistillSR, DDistillSettings),
    "afan": (AFAN, AFANSettings),
    "smfanet": (SMFANet, SMFANetSettings),
}
TITLES = {
    "mafdn": "MAFDN (reconstruction)",
    "imdn": "IMDN",
    "ddistill": "DDistill-SR (inference form)",
    "afan": "AFAN-style reconstruction (fits 692K / 50.90G); not the published network",
    "smfanet": "SMFANet+",
}
"""Full names, which say what is reconstructed. AFAN fits by its conv MACs, 50.90G; counted like thop it has 50.95G."""
SHORT_NAMES = {
    "mafdn": "MAFDN (reconstruction)",
    "imdn": "IMDN",
    "ddistill": "DDistill-SR",
    "afan": "AFAN-style (reconstruction)",
    "smfanet": "SMFANet+",
}
"""Names in tables and plots."""
LARGEST = {"width": 512, "blocks": 64}
"""Upper bounds of the settings of these networks, so that the header of a file alone cannot exhaust memory."""


_OWN: dict[type[Settings], OwnArchitecture] = {}
"""The architectures from outside that were used in this process, by the class of their settings."""


@dataclass(frozen=True)
class Architecture:
    """An architecture by name: how it is built, and the class of its settings."""

    name: str
    build: Callable[[Any], Network]
    settings: type[Settings]


def find_architecture(name: str, *, folder: Path | None = None) -> Architecture:
    """Find an architecture.

    Args:
        name: A key of `ARCHITECTURES`, an entry point of the group `mafdn.architectures`, or `module:Class`
            (`mafdn.networks.own`), whose module is imported.
        folder: A folder in which that module is searched too.

    Raises:
        ConfigError: The name is unknown, or the class cannot be imported or used.
    """
    if name in ARCHITECTURES:
        return Architecture(name, *ARCHITECTURES[name])
    if not is_own_architecture(name):
        names = ", ".join((*ARCHITECTURES, *own_names()))
        raise ConfigError(f"architecture must be one of {names} or the module:Class of your own, not {name!r}")
    own = find_own(name, folder.resolve() if folder else None)
    _OWN[own.settings] = own
    return Architecture(name, cast(Callable[[Any], Network], own.build), own.settings)


def build(settings: Settings) -> Network:
    """Build the network that `settings` describe, with random parameters."""
    if isinstance(settings, OwnSettings):
        return _OWN[type(settings)].build(settings)
    return ARCHITECTURES[architecture(settings)][0](settings)


def architecture(settings: Settings) -> str:
    """The name of the architecture that `settings` describe, for `find_architecture`."""
    if isinstance(settings, OwnSettings):
        return _OWN[type(settings)].name
    return next(name for name, (_, kind) in ARCHITECTURES.items() if kind is type(settings))


def title(settings: Settings) -> str:
    """The full name of the architecture that `settings` describe, which says what is reconstructed."""
    name = architecture(settings)
    return TITLES.get(name, name.rpartition(":")[2])


def short_name(settings: Settings) -> str:
    """The name in tables and plots of the architecture that `settings` describe."""
    name = architecture(settings)
    return SHORT_NAMES.get(name, name.rpartition(":")[2])


def check_own(network: Network, *, side: int) -> None:
    """Check what a network from outside maps an input of `side` pixels to; the networks here need no check.

    Raises:
        ConfigError: As `mafdn.networks.own.check_output`.
    """
    if isinstance(network.settings, OwnSettings):
        check_output(cast(OwnNetwork, network), architecture(network.settings), side=side)


def training_form(settings: Settings) -> Settings:
    """The settings of the same network before folding."""
    if isinstance(settings, MAFDNSettings):
        return replace(settings, over_parameterized=True)
    if isinstance(settings, AFANSettings):
        return replace(settings, asymmetric=True)
    return settings


def stored_form(network: Network) -> Network:
    """The form in which trained weights are stored: folded, but unchanged if the class is from outside.

    The settings of such a class describe its training form only.
    """
    return network if isinstance(network.settings, OwnSettings) else network.fold()
