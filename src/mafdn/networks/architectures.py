"""Every network by the name that weights files and commands call it.

Public names: :data:`ARCHITECTURES`, :data:`TITLES`, :data:`Network`, :data:`Settings`, :func:`build`,
:func:`architecture`, :func:`training_form`.
"""

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
"""What each is called where a person reads it."""


def build(settings: Settings) -> Network:
    """The network that ``settings`` describe, with random parameters."""
    return ARCHITECTURES[architecture(settings)][0](settings)


def architecture(settings: Settings) -> str:
    """The name of the kind of network that ``settings`` describe, as in :data:`ARCHITECTURES`."""
    return next(name for name, (_, kind) in ARCHITECTURES.items() if kind is type(settings))


def training_form(settings: Settings) -> Settings:
    """The settings of the same network as it is trained: of a folded one, what it was folded from."""
    if isinstance(settings, MAFDNSettings):
        return replace(settings, over_parameterized=True)
    if isinstance(settings, AFANSettings):
        return replace(settings, asymmetric=True)
    return settings
