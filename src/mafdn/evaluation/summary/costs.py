"""Parameters and Multi-Adds of the networks that are measured, in their inference form.

A weights file is counted in torch, and so is an ONNX file whose header describes its network; other ONNX files are
counted from their graph. Counts are cached, so that a measurement that is cached too needs no torch.
"""

import contextlib
import json
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mafdn._support.cache import cache_folder, keep, load_kept
from mafdn._version import __version__
from mafdn.errors import MissingPackageError, WeightsError
from mafdn.evaluation.summary.onnx_costs import onnx_costs
from mafdn.inference.engines.model_files import network_digest
from mafdn.weights.sizes import input_size

if TYPE_CHECKING:
    from mafdn.networks import Network

DESCRIBING = ("torch", "onnx")
"""Packages that read the header of an ONNX file and build its network."""
OPTIONAL = ("torch", "openvino")
"""Packages without which costs are unknown."""
COUNTING = 1
"""Version of the count; increase it, invalidating all entries, when the same files give other counts."""
CACHE_BYTES = 2**20
"""Maximum total size of the cached counts."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Parameters, and multiply-adds for a 1280x720 output, in the two conventions of `mafdn.networks.counting`."""

    parameters: int
    conv_macs: int
    thop_macs: int


def network_costs(path: Path, scale: int) -> Costs | None:
    """The costs of the network in a file: ONNX, weights, or a checkpoint of a run.

    Returns:
        The costs; `None` if they cannot be counted here, because a package is missing, the input size is fixed, or the
        network is from outside and does not run without pixels.
    """
    graph_only = path.suffix == ".onnx" and not all(map(find_spec, DESCRIBING))
    kind = f"{COUNTING}{'-graph' if graph_only else ''}"
    key = f"{__version__}-{kind}-{network_digest(path)[:40]}-x{scale}"
    entry = cache_folder("costs") / f"{key}.json"
    with contextlib.suppress(ValueError, TypeError):
        kept = load_kept(entry)
        if kept:
            return Costs(**json.loads(kept))
    try:
        described = described_network(path) if path.suffix == ".onnx" else _opened(path)
        costs = _count(described) if described else count_onnx(path, scale)
    except (WeightsError, MissingPackageError):
        return None
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in OPTIONAL:
            raise
        return None
    keep(entry, json.dumps(asdict(costs)).encode(), limit=CACHE_BYTES)
    return costs


def described_network(path: Path) -> "Network | None":
    """The network that the header of an ONNX file describes; `None` without one, or without torch."""
    try:
        from mafdn.evaluation.candidates import from_onnx_header
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in DESCRIBING:
            raise
        return None
    return from_onnx_header(path)


def count_onnx(path: Path, scale: int) -> Costs:
    """The costs of an ONNX file, from its graph.

    Raises:
        WeightsError: The file cannot be read, or has a fixed input size.
        ImportError: OpenVINO is not installed.
    """
    found = onnx_costs(path, input_size(scale))
    return Costs(**asdict(found))


def _opened(path: Path) -> "Network":
    from mafdn.networks.checkpoints import open_network

    return open_network(path)


def _count(network: "Network") -> Costs:
    from mafdn.networks import count

    total: Any = count(network)[-1]
    return Costs(parameters=total.parameters, conv_macs=total.conv_macs, thop_macs=total.thop_macs)
