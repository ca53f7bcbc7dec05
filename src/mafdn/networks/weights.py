"""Weights files: safetensors whose header says all that is needed to rebuild the network.

Public names: :func:`save_network`, :func:`load_network`, :func:`load_mafdn`, :func:`transfer`.

The header has two entries, both JSON: ``mafdn`` holds the format's version, the architecture and its
settings; ``card`` holds what is known about the weights (data, steps, scores, code revision).
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch.nn.utils import parametrize

from mafdn.cards import Card, read_header
from mafdn.errors import WeightsError
from mafdn.files import replacing
from mafdn.networks.architectures import ARCHITECTURES, TITLES, Network, architecture, build
from mafdn.networks.mafdn import MAFDN

VERSION = 1
LARGEST = {"width": 512, "blocks": 64}


def save_network(network: Network, path: Path, *, card: Card) -> None:
    """Write ``network`` (training or folded form) with its ``card``; the file appears whole or not at all."""
    header = {"version": VERSION, "architecture": architecture(network.settings), "settings": asdict(network.settings)}
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(save(tensors, {"mafdn": json.dumps(header), "card": json.dumps(card)}))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot write {path}: {error}") from None


def load_network(path: Path) -> Network:
    """Rebuild a network from its file alone, in the form it was saved in, ready for inference.

    Raises :class:`WeightsError` when the file is missing, damaged, of another kind, or its tensors do not
    fit the network that its header describes.
    """
    header, _ = read_header(path)
    name, settings = str(header.get("architecture")), header.get("settings")
    if header.get("version") != VERSION or name not in ARCHITECTURES or not isinstance(settings, dict):
        kinds = ", ".join(ARCHITECTURES)
        raise WeightsError(f"{path} is not a weights file of this version ({kinds}; format {VERSION}); export it again")
    kind = ARCHITECTURES[name][1]
    try:
        chosen = kind(**cast(dict[str, Any], settings))
        for key, value in asdict(chosen).items():
            if type(value) is not type(getattr(kind, key)) or value > LARGEST.get(key, value):
                raise ValueError(f"{key} = {value!r}")
        with torch.device("meta"):  # shapes without memory: the header alone must not cost any
            shapes = {name: list(tensor.shape) for name, tensor in build(chosen).state_dict().items()}
        with safe_open(path, "pt") as file:
            names: list[str] = file.keys()
            if shapes != {name: file.get_slice(name).get_shape() for name in names}:
                raise ValueError("tensors of other names or shapes")
            tensors = {name: file.get_tensor(name) for name in names}
        network = build(chosen)
        network.load_state_dict(tensors)
    except (SafetensorError, OSError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{path} does not hold the network its header describes: {reason}") from None
    return network.requires_grad_(False).eval()


def load_mafdn(path: Path) -> MAFDN:
    """As :func:`load_network`; raises :class:`WeightsError` also when the file holds another kind of network."""
    network = load_network(path)
    if not isinstance(network, MAFDN):
        raise WeightsError(f"{path} holds {TITLES[architecture(network.settings)]}, where only MAFDN will do")
    return network


def transfer(source: MAFDN, target: MAFDN) -> None:
    """Copy the folded kernels of ``source`` into ``target`` in place, wherever names and shapes agree.

    A DO-Conv of ``target`` takes the plain kernel as its ``W`` and starts from ``D = 0``, so a target of
    the same settings computes what the source did. Only the tail depends on the scale: between scales
    it alone keeps its own initialization. Raises :class:`WeightsError` when the bodies differ.
    """
    folded = source.fold().state_dict()
    fresh = {name: tensor for name, tensor in folded.items() if not name.startswith("tail.")}
    if source.settings.scale == target.settings.scale:
        fresh = folded
    expected = target.fold().state_dict()
    tail = {name for name in expected if name.startswith("tail.")}
    wrong = sorted((fresh.keys() - tail) ^ (expected.keys() - tail))
    wrong += [name for name in fresh if name in expected and fresh[name].shape != expected[name].shape]
    if wrong:
        raise WeightsError(f"the weights do not fit the network: {wrong[0]} differs; settings must agree")
    modules = dict(target.named_modules())
    with torch.no_grad():
        for name, tensor in fresh.items():
            owner, _, kind = name.rpartition(".")
            if parametrize.is_parametrized(modules[owner], kind):
                modules[owner].get_parameter(f"parametrizations.{kind}.0.D").zero_()
                setattr(modules[owner], kind, tensor)  # goes through DOConvKernel.right_inverse
            else:
                modules[owner].get_parameter(kind).copy_(tensor)
