"""Weights files: safetensors whose header says all that is needed to rebuild the network.

Public names: :func:`save_network`, :func:`load_network`, :func:`load_mafdn`, :func:`checked_settings`,
:func:`transfer`.

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

from mafdn._support.atomic import replacing
from mafdn.errors import WeightsError
from mafdn.networks.afan import Asymmetric
from mafdn.networks.architectures import ARCHITECTURES, TITLES, Network, Settings, architecture, build
from mafdn.networks.mafdn import MAFDN
from mafdn.weights.header import Card, read_header

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
    try:
        chosen = checked_settings(name, cast(dict[str, Any], settings))
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


def checked_settings(name: str, table: dict[str, Any]) -> Settings:
    """The settings of the network ``name`` that a file's header gives.

    Raises ``KeyError`` for an unknown network, ``TypeError`` for unknown or missing settings, and ``ValueError`` for
    values of another type or beyond all reason.
    """
    kind = ARCHITECTURES[name][1]
    settings = kind(**table)
    for key, value in asdict(settings).items():
        if type(value) is not type(getattr(kind, key)) or value > LARGEST.get(key, value):
            raise ValueError(f"{key} = {value!r}")
    return settings


def load_mafdn(path: Path) -> MAFDN:
    """As :func:`load_network`; raises :class:`WeightsError` also when the file holds another kind of network."""
    network = load_network(path)
    if not isinstance(network, MAFDN):
        raise WeightsError(f"{path} holds {TITLES[architecture(network.settings)]}, where only MAFDN will do")
    return network


def transfer(source: Network, target: Network) -> None:
    """Copy the folded kernels of ``source`` into ``target`` in place; only their scales may differ.

    A DO-Conv of ``target`` takes the plain kernel as its ``W`` and starts from ``D = 0``, an asymmetric convolution
    takes it as its square part and starts from 0 in the others, so a target of the same scale computes what the source
    did. Between scales, what has another shape keeps its own initialization: the last layers. Raises
    :class:`WeightsError` when the networks differ in anything else.
    """
    folded, expected = source.fold(), target.fold()
    ours, theirs = ({"network": TITLES[architecture(n.settings)]} | asdict(n.settings) for n in (expected, folded))
    for key in ours:
        if key != "scale" and theirs.get(key) != ours[key]:
            raise WeightsError(f"the weights do not fit: their {key} is {theirs.get(key)}, the network's {ours[key]}")
    state, modules = folded.state_dict(), dict(target.named_modules())
    with torch.no_grad():
        for name, shaped in expected.state_dict().items():
            if name not in state or state[name].shape != shaped.shape:
                continue
            owner, _, kind = name.rpartition(".")
            module = modules[owner]
            if isinstance(module, Asymmetric):
                for side in (module.row, module.column):
                    side.get_parameter(kind).zero_()
                module = module.square
            if parametrize.is_parametrized(module, kind):
                module.get_parameter(f"parametrizations.{kind}.0.D").zero_()
                setattr(module, kind, state[name])  # goes through DOConvKernel.right_inverse
            else:
                module.state_dict()[kind].copy_(state[name])
