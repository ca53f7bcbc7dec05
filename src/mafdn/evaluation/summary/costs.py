"""Parameters and Multi-Adds of the networks that are measured, in their inference form.

An ONNX file is counted from its graph, without torch. A weights file is counted in torch; the result is cached, so that
a measurement that is cached too needs no torch.
"""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mafdn._support.cache import cache_folder, keep, load_kept
from mafdn._version import __version__
from mafdn.errors import WeightsError
from mafdn.evaluation.summary.onnx_costs import onnx_costs
from mafdn.inference.engines.model_files import network_digest
from mafdn.weights.sizes import input_size

OPTIONAL = ("torch", "openvino")
"""Packages without which costs are unknown."""
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
    key = f"{__version__}-{network_digest(path)[:40]}-x{scale}"
    entry = cache_folder("costs") / f"{key}.json"
    with contextlib.suppress(ValueError, TypeError):
        kept = load_kept(entry)
        if kept:
            return Costs(**json.loads(kept))
    try:
        costs = count_onnx(path, scale) if path.suffix == ".onnx" else _count_weights(path)
    except WeightsError:
        return None
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in OPTIONAL:
            raise
        return None
    keep(entry, json.dumps(asdict(costs)).encode(), limit=CACHE_BYTES)
    return costs


def count_onnx(path: Path, scale: int) -> Costs:
    """The costs of an ONNX file.

    Raises:
        WeightsError: The file cannot be read, or has a fixed input size.
        ImportError: OpenVINO is not installed.
    """
    found = onnx_costs(path, input_size(scale))
    return Costs(**asdict(found))


def _count_weights(path: Path) -> Costs:
    from mafdn.networks import count
    from mafdn.networks.checkpoints import open_network

    total: Any = count(open_network(path))[-1]
    return Costs(parameters=total.parameters, conv_macs=total.conv_macs, thop_macs=total.thop_macs)
