"""Weights files: safetensors with a header from which the network can be rebuilt.

The metadata has two entries, both JSON: `mafdn` holds the version of the format, the architecture and its settings;
`card` describes the weights (data, steps, scores, code revision).
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
from mafdn._support.memory import is_out_of_memory
from mafdn._support.text import first_line
from mafdn.errors import ConfigError, WeightsError
from mafdn.networks.afan import Asymmetric
from mafdn.networks.architectures import (
    ARCHITECTURES,
    LARGEST,
    Network,
    Settings,
    architecture,
    build,
    find_architecture,
    stored_form,
    title,
)
from mafdn.networks.mafdn import MAFDN
from mafdn.networks.own import OwnSettings
from mafdn.networks.storing import storable
from mafdn.weights.header import VERSION, Card, read_header, tensors_digest
from mafdn.weights.own_architectures import ALLOWED, is_own_architecture, may_import


def save_network(network: Network, path: Path, *, card: Card) -> None:
    """Write `network`, in training or folded form, and its `card` atomically.

    Raises:
        WeightsError: The file cannot be written.
    """
    header = {"version": VERSION, "architecture": architecture(network.settings), "settings": asdict(network.settings)}
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(
                save(storable(network.state_dict()), {"mafdn": json.dumps(header), "card": json.dumps(card)})
            )
    except (OSError, SafetensorError) as error:
        raise WeightsError.from_os_error(f"cannot write {path}", error) from None


def weights_digest(network: Network) -> str:
    """The `tensors_digest` of the file that holds `network`, in training or folded form, once it is released."""
    return tensors_digest(save(storable(stored_form(network).state_dict())))


def load_network(path: Path) -> Network:
    """Rebuild a network from its file, in the form it was saved in, ready for inference.

    Args:
        path: A weights file, or a checkpoint of a training run, whose averaged weights are loaded.

    Raises:
        WeightsError: The file is missing, damaged or of another kind, or its tensors do not match its header.
    """
    header, _ = read_header(path)
    prefix = str(header.get("prefix", ""))
    name, settings = str(header.get("architecture")), header.get("settings")
    known = name in ARCHITECTURES or is_own_architecture(name)
    if header.get("version") != VERSION or not known or not isinstance(settings, dict):
        kinds = ", ".join(ARCHITECTURES)
        raise WeightsError(f"{path} is not a weights file of this version ({kinds}; format {VERSION}); export it again")
    try:
        folder = Path(str(header["folder"])) if "folder" in header else None
        chosen = checked_settings(name, cast(dict[str, Any], settings), folder=folder, trusted=folder is not None)
        with safe_open(path, "pt") as file:
            keys: list[str] = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118 - not a mapping
            if not isinstance(chosen, OwnSettings):  # a class from outside may not work on the meta device
                with torch.device("meta"):  # shapes without memory: a header alone must not cost any
                    shapes = {name: list(tensor.shape) for name, tensor in build(chosen).state_dict().items()}
                if shapes != {key.removeprefix(prefix): file.get_slice(key).get_shape() for key in keys}:
                    raise ValueError("tensors of other names or shapes")
            tensors = {key.removeprefix(prefix): file.get_tensor(key) for key in keys}
        network = build(chosen)
        network.load_state_dict(tensors)
    except ConfigError as error:
        raise WeightsError(f"{path}: {error}") from error
    except (SafetensorError, OSError, TypeError, ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        reason = first_line(error)
        raise WeightsError(f"{path} does not contain the network its header describes: {reason}") from None
    return network.requires_grad_(False).eval()


def checked_settings(
    name: str, table: dict[str, Any], *, folder: Path | None = None, trusted: bool = False
) -> Settings:
    """The settings of the architecture `name` in a file's header, after validation.

    Args:
        name: The architecture.
        table: Its settings.
        folder: A folder in which the module of an architecture from outside is searched.
        trusted: Whether that module may be imported without permission (`mafdn.weights.own_architectures`).

    Raises:
        KeyError: The architecture is unknown.
        ConfigError: It is from outside, and may not or cannot be imported.
        TypeError: A setting is unknown or missing.
        ValueError: A value has another type or is too large.
    """
    if name not in ARCHITECTURES:
        if not is_own_architecture(name):
            raise KeyError(name)
        if not trusted and not may_import(name):
            raise ConfigError(
                f"its network is {name}, and a weights file may not import code; if you trust it, set {ALLOWED}={name}"
            )
    kind = find_architecture(name, folder=folder).settings
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    settings = kind(**values)
    limits = LARGEST if name in ARCHITECTURES else {}
    for key, value in asdict(settings).items():
        if type(value) is not type(getattr(kind, key)) or (key in limits and value > limits[key]):
            raise ValueError(f"{key} = {value!r}")
    return settings


def load_mafdn(path: Path) -> MAFDN:
    """As `load_network`; also raises `WeightsError` if the file contains any architecture but MAFDN."""
    network = load_network(path)
    if not isinstance(network, MAFDN):
        raise WeightsError(f"{path} contains {title(network.settings)}, but a MAFDN is needed")
    return network


def transfer(source: Network, target: Network) -> None:
    """Copy the folded kernels of `source` into `target` in place; the two may differ in scale only.

    A DO-Conv of `target` takes the plain kernel as `W` and starts from `D = 0`; an asymmetric convolution takes it as
    its square part and starts from 0 in the others. A target of the same scale then computes the same as the source.
    Between scales, tensors of another shape (the last layers) keep their initialization.

    Raises:
        WeightsError: The networks differ in another setting.
    """
    if isinstance(target.settings, OwnSettings):  # what its folded form is made of is not known
        folded, expected = source, target
    else:
        folded, expected = source.fold(), target.fold()
    ours, theirs = ({"network": title(n.settings)} | asdict(n.settings) for n in (expected, folded))
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
