"""Load weights that have no header of this package: the network is recognized by its tensors.

The names and shapes of a file's tensors are compared with those of every known network; all must match.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mafdn._version import __version__
from mafdn.errors import ConfigError, WeightsError
from mafdn.networks.afan import AFANSettings
from mafdn.networks.architectures import TITLES, Network, Settings, build, title, training_form
from mafdn.networks.checkpoints.names import their_name
from mafdn.networks.checkpoints.state_dict import StateDict, read_state_dict
from mafdn.networks.checkpoints.unsupported import unsupported_network
from mafdn.networks.ddistill import DDistillSettings
from mafdn.networks.imdn import IMDNSettings
from mafdn.networks.mafdn import MAFDNSettings
from mafdn.networks.smfanet import SMFANetSettings
from mafdn.networks.weights import load_network, save_network
from mafdn.weights.header import SCALES
from mafdn.weights.resolve import PICKLES, TORCH_FILES
from mafdn.weights.run_files import CHECKPOINT_ENTRY

KINDS = (IMDNSettings, DDistillSettings, MAFDNSettings, AFANSettings, SMFANetSettings)
CANDIDATES: list[Settings] = [
    *(kind(scale=scale) for kind in KINDS for scale in SCALES),
    *(replace(MAFDNSettings(scale=scale), over_parameterized=False) for scale in SCALES),
    *(replace(AFANSettings(scale=scale), asymmetric=False) for scale in SCALES),
]
"""The networks that are recognized, each in its published size."""


def load_pth(path: Path, *, like: Settings | None = None) -> Network:
    """Load the network in a file without a header, ready for inference.

    Supports IMDN, DDistill-SR (inference form) and SMFANet+ with their authors' tensor names, and MAFDN and AFAN, in
    both forms, with the names used here; each at x2, x3 and x4 in its published size.

    Args:
        path: A .pth, .pt, .ckpt or .safetensors file.
        like: Settings of another network that it may contain, at any scale.

    Raises:
        WeightsError: The file cannot be read safely, or a tensor is missing, unknown, of another shape or not finite.
    """
    return _network(path, read_state_dict(path), like)


def open_network(path: Path, *, like: Settings | None = None) -> Network:
    """Load the network in any weights file, ready for inference.

    Args:
        path: A file with a header (`load_network`) or without one (`load_pth`).
        like: As for `load_pth`.

    Raises:
        WeightsError: As `load_network` and `load_pth`.
    """
    return load_network(path) if has_header(path) else load_pth(path, like=like)


def has_header(path: Path) -> bool:
    """Whether a file says which network it contains; also true for files that cannot be read."""
    if path.suffix in PICKLES:
        return False
    try:
        with safe_open(path, "np") as file:
            return not {"mafdn", CHECKPOINT_ENTRY}.isdisjoint(file.metadata() or {})
    except (OSError, SafetensorError):
        return True  # `load_network` says what is wrong


def checkpoint_note(path: Path) -> str:
    """Which of several sets of weights in a file is used; empty if there is no choice.

    Raises:
        WeightsError: As `load_pth`.
    """
    note = "" if has_header(path) else read_state_dict(path).note
    return f"{path.name} {note}" if note else ""


def convert(path: Path, target: Path) -> tuple[Network, str]:
    """Convert a file without a header to a weights file whose card names the source.

    Returns:
        The network, and which of several sets of weights in the file was used, or an empty text.

    Raises:
        WeightsError: As `load_pth`, the file has a header already, or `target` cannot be written.
    """
    if path.suffix not in TORCH_FILES:
        raise WeightsError(f"{path} is not a weights file ({', '.join(TORCH_FILES)})")
    if path.suffix not in PICKLES and has_header(path):
        raise WeightsError(f"{path} needs no conversion: it has the header of a weights file, or cannot be read")
    state = read_state_dict(path)
    network = _network(path, state)
    card = {
        "network": title(network.settings),
        "origin": "converted from weights trained by others, whose license applies",
        "source": path.name,
        "source_sha256": state.sha256,
        "made_by": f"mafdn {__version__}",
    }
    save_network(network, target, card=card | ({"source_entry": state.entry} if state.entry else {}))
    return network, state.note


def _network(path: Path, state: StateDict, like: Settings | None = None) -> Network:
    tensors = state.tensors
    settings = _recognized(path, tensors, like)
    what = f"{title(settings)} x{settings.scale}"
    expected = _expected(settings)
    for theirs, shape in expected.items():
        if theirs not in tensors:
            raise WeightsError(f"{path} looks like {what} but lacks the tensor {theirs}")
        found = tuple(tensors[theirs].shape)
        if found != shape:
            raise WeightsError(f"{path} looks like {what} but its tensor {theirs} is {found}, not {shape}")
    for theirs in tensors:
        if theirs not in expected:
            raise WeightsError(f"{path} looks like {what} but has an unexpected tensor: {theirs}")
    network = build(settings)
    names = {their_name(ours, settings): ours for ours in network.state_dict()}
    network.load_state_dict({ours: _plain(path, theirs, tensors[theirs]) for theirs, ours in names.items()})
    return network.requires_grad_(False).eval()


def _plain(path: Path, name: str, tensor: Tensor) -> Tensor:
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized or tensor.is_complex():
        raise WeightsError(f"{path}: the tensor {name} is not a plain array of numbers")
    if not tensor.isfinite().all():
        raise WeightsError(f"{path}: the tensor {name} has values that are not finite")
    return tensor.contiguous()


def _recognized(path: Path, tensors: dict[str, Tensor], like: Settings | None) -> Settings:
    """The settings of the network that most tensors match by name and shape."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    candidates = [*CANDIDATES, *_variants(like)]
    fits = {settings: len(shapes.items() & _expected(settings).items()) for settings in candidates}
    best = max(fits, key=lambda settings: fits[settings])
    if fits[best] < len(_expected(best)) / 2:
        supported = ", ".join(TITLES.values())
        other = unsupported_network(shapes)
        if other:
            raise WeightsError(f"{path} is a checkpoint of {other}, which is not supported; supported: {supported}")
        raise WeightsError(f"{path} does not contain a known network ({supported})")
    return best


def _variants(settings: Settings | None) -> list[Settings]:
    """A network at every scale that its class can be built for, in training and in folded form."""
    if settings is None:
        return []
    forms = [settings, training_form(settings)]
    if isinstance(settings, MAFDNSettings):
        forms.append(replace(settings, over_parameterized=False))
    if isinstance(settings, AFANSettings):
        forms.append(replace(settings, asymmetric=False))
    variants = [replace(form, scale=scale) for form in dict.fromkeys(forms) for scale in SCALES]
    return [variant for variant in variants if _can_be_built(variant)]


def _can_be_built(settings: Settings) -> bool:
    try:
        _expected(settings)
    except ConfigError:  # a class from outside may know some scales only
        return False
    return True


@cache
def _expected(settings: Settings) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, by its name in a file without a header."""
    if settings in CANDIDATES:
        with torch.device("meta"):
            state = build(settings).state_dict()
    else:  # a class from outside may not work on the meta device
        state = build(settings).state_dict()
    return {their_name(name, settings): tuple(tensor.shape) for name, tensor in state.items()}
