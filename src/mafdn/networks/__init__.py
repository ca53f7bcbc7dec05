"""The networks, in torch: MAFDN and its parts, counting, and the files weights are kept in."""

from mafdn.networks.counting import Count, count
from mafdn.networks.doconv import DOConvKernel, folded_state, over_parameterize
from mafdn.networks.mafdn import MAFDN, MAFDNSettings
from mafdn.networks.weights import load_network, save_network, transfer

__all__ = [
    "MAFDN",
    "Count",
    "DOConvKernel",
    "MAFDNSettings",
    "count",
    "folded_state",
    "load_network",
    "over_parameterize",
    "save_network",
    "transfer",
]
