"""Parameters and Multi-Adds of every network that is counted, compared or evaluated.

A weights file is counted in torch, and so is an ONNX file whose header describes its network; other ONNX files are
counted from their graph. Totals of files are cached, so that a measurement that is cached too needs no torch.
"""

import contextlib
import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mafdn._support.cache import cache_folder, keep, load_kept
from mafdn._version import __version__
from mafdn.errors import MissingPackageError, WeightsError
from mafdn.evaluation.costs.graphs import count_graph
from mafdn.inference.engines.model_files import network_digest
from mafdn.weights.counts import Count
from mafdn.weights.sizes import input_size

if TYPE_CHECKING:
    from mafdn.networks import Network

DESCRIBING = ("torch", "onnx")
"""Packages that read the header of an ONNX file and build its network."""
OPTIONAL = ("torch", "openvino")
"""Packages without which costs are unknown."""
COUNTING = 2
"""Version of the count; increase it, invalidating all entries, when the same files give other counts."""
CACHE_BYTES = 2**20
"""Maximum total size of the cached counts."""


def count_costs(network: "Network | Path", scale: int) -> list[Count]:
    """Count a network for a 1280x720 output; the last row, `total`, is the whole.

    Args:
        network: A network, which is counted part by part in torch, or an ONNX file, which is counted from its graph,
            as a whole. `described_network` is the network of an ONNX file that describes it.
        scale: The scale of the network.

    Raises:
        WeightsError: The file cannot be read or has a fixed input size, or the network is from outside and does not run
            without pixels.
        ImportError: OpenVINO, for a file, is not installed.
    """
    if isinstance(network, Path):
        return [count_graph(network, input_size(scale))]
    from mafdn.networks.counting import count

    return count(network)


def total_costs(network: "Network | Path", scale: int) -> Count | None:
    """The whole of a network, or of that in a file: ONNX, weights, or a checkpoint of a run.

    Returns:
        The count; `None` if it cannot be made here, because a package is missing, the input size is fixed, or the
        network is from outside and does not run without pixels.
    """
    try:
        return _file_costs(network, scale) if isinstance(network, Path) else count_costs(network, scale)[-1]
    except (WeightsError, MissingPackageError):
        return None
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in OPTIONAL:
            raise
        return None


def described_network(path: Path) -> "Network | None":
    """The network that the header of an ONNX file describes; `None` without one, or without torch."""
    try:
        from mafdn.evaluation.candidates import from_onnx_header
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in DESCRIBING:
            raise
        return None
    return from_onnx_header(path)


def _file_costs(path: Path, scale: int) -> Count:
    """The whole of the network in a file, from the cache if it was counted before."""
    graph_only = path.suffix == ".onnx" and not all(map(find_spec, DESCRIBING))
    kind = f"{COUNTING}{'-graph' if graph_only else ''}"
    entry = cache_folder("costs") / f"{__version__}-{kind}-{network_digest(path)[:40]}-x{scale}.json"
    with contextlib.suppress(ValueError, TypeError):
        kept = load_kept(entry)
        if kept:
            return Count(**json.loads(kept))
    opened = (described_network(path) or path) if path.suffix == ".onnx" else _opened(path)
    total = count_costs(opened, scale)[-1]
    keep(entry, json.dumps(asdict(total)).encode(), limit=CACHE_BYTES)
    return total


def _opened(path: Path) -> "Network":
    from mafdn.networks.checkpoints import open_network

    return open_network(path)
