"""Networks in torch: MAFDN, its peers, counting, weights files."""

from mafdn.networks.afan import AFAN, AFANSettings
from mafdn.networks.architectures import (
    ARCHITECTURES,
    TITLES,
    Network,
    architecture,
    build,
    find_architecture,
    short_name,
    stored_form,
    title,
)
from mafdn.networks.counting import count, count_parameters
from mafdn.networks.ddistill import DDistillSettings, DDistillSR
from mafdn.networks.doconv import DOConvKernel, folded_state, over_parameterize
from mafdn.networks.imdn import IMDN, IMDNSettings
from mafdn.networks.mafdn import MAFDN, MAFDNSettings
from mafdn.networks.own import OwnNetwork, OwnSettings
from mafdn.networks.smfanet import SMFANet, SMFANetSettings
from mafdn.networks.weights import load_mafdn, load_network, save_network, transfer, weights_digest

__all__ = [
    "AFAN",
    "ARCHITECTURES",
    "IMDN",
    "MAFDN",
    "TITLES",
    "AFANSettings",
    "DDistillSR",
    "DDistillSettings",
    "DOConvKernel",
    "IMDNSettings",
    "MAFDNSettings",
    "Network",
    "OwnNetwork",
    "OwnSettings",
    "SMFANet",
    "SMFANetSettings",
    "architecture",
    "build",
    "count",
    "count_parameters",
    "find_architecture",
    "folded_state",
    "load_mafdn",
    "load_network",
    "over_parameterize",
    "save_network",
    "short_name",
    "stored_form",
    "title",
    "transfer",
    "weights_digest",
]
