"""All networks by the names used in weights files and commands."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mafdn.networks.afan import AFAN, AFANSettings
from mafdn.networks.ddistill import DDistillSettings, DDistillSR
from mafdn.networks.imdn import IMDN, IMDNSettings
from mafdn.networks.mafdn import MAFDN, MAFDNSettings
from mafdn.networks.smfanet import SMFANet, SMFANetSettings

Network = MAFDN | IMDN | DDistillSR | AFAN | SMFANet
Settings = MAFDNSettings | IMDNSettings | DDistillSettings | AFANSettings | SMFANetSettings

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
"""Full names, which say what is reconstructed."""
SHORT_NAMES = {
    "mafdn": "MAFDN (reconstruction)",
    "imdn": "IMDN",
    "ddistill": "DDistill-SR",
    "afan": "AFAN-style (reconstruction)",
    "smfanet": "SMFANet+",
}
"""Names in tables and plots."""


def build(settings: Settings) -> Network:
    """Build the network that `settings` describe, with random parameters."""
    return ARCHITECTURES[architecture(settings)][0](settings)


def architecture(settings: Settings) -> str:
    """The key in `ARCHITECTURES` of the network that `settings` describe."""
    return next(name for name, (_, kind) in ARCHITECTURES.items() if kind is type(settings))


def training_form(settings: Settings) -> Settings:
    """The settings of the same network before folding."""
    if isinstance(settings, MAFDNSettings):
        return replace(settings, over_parameterized=True)
    if isinstance(settings, AFANSettings):
        return replace(settings, asymmetric=True)
    return settings
