"""Read weights released by others as .pth files.

A .pth file is a pickle: it is read with torch's `weights_only`, which builds tensors and nothing else. Network and
scale are recognized by comparing the names and shapes of its tensors with those of every known network; all must
match.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from mafdn._version import __version__
from mafdn.errors import WeightsError
from mafdn.networks.afan import AFANSettings
from mafdn.networks.architectures import TITLES, Network, Settings, architecture, build
from mafdn.networks.ddistill import DDistillSettings
from mafdn.networks.imdn import IMDNSettings
from mafdn.networks.mafdn import MAFDNSettings
from mafdn.networks.smfanet import SMFANetSettings
from mafdn.networks.weights import load_network, save_network
from mafdn.weights.header import LARGEST_FILE, SCALES, reject_unreadable

IMDN_NAMES = {
    "head": "fea_conv",
    "blocks.#.refines.#": "IMDB{}.c{}",
    "blocks.#.merge": "IMDB{}.c5",
    "blocks.#.channel.squeeze": "IMDB{}.cca.conv_du.0",
    "blocks.#.channel.expand": "IMDB{}.cca.conv_du.2",
    "fuse": "c.0",
    "smooth": "LR_conv",
    "tail": "upsampler.0",
}
"""Names of modules and parameters here, and in the authors' files; `#` stands for a number."""
UNIT_NAMES = {
    "conv": "dbb_reparam",
    "residual.squeeze": "dy_branch.fc.0",
    "residual.gate": "dy_branch.fc.1.fc.0",
    "residual.mix": "dy_branch.fc_phi",
    "residual.scale": "dy_branch.fc_scale",
    "residual.enter": "dy_branch.q",
    "residual.norm1": "dy_branch.bn1",
    "residual.norm2": "dy_branch.bn2",
    "residual.leave": "dy_branch.p",
}
DDISTILL_NAMES = {
    "head": "fea_conv",
    "blocks.#.keeps.#": "B{}.c{}_d",
    **{f"blocks.#.units.#.{ours}": f"B{{}}.c{{}}_r.unit.{theirs}" for ours, theirs in UNIT_NAMES.items()},
    "blocks.#.last": "B{}.c4",
    "blocks.#.merge": "B{}.c5",
    "blocks.#.gather": "B{}.conv1x1",
    "blocks.#.gate": "B{}.PAconv",
    "blocks.#.attention.reduce": "B{}.esa.conv1",
    "blocks.#.attention.shrink": "B{}.esa.conv2",
    "blocks.#.attention.coarse.0": "B{}.esa.conv_max",
    "blocks.#.attention.coarse.1": "B{}.esa.conv3",
    "blocks.#.attention.coarse.2": "B{}.esa.conv3_",
    "blocks.#.attention.direct": "B{}.esa.conv_f",
    "blocks.#.attention.expand": "B{}.esa.conv4",
    "fuse": "c.0",
    "fuse_residuals": "cres.0",
    "gate": "PAconv",
    **{f"smooth.{ours}": f"LR_conv.unit.{theirs}" for ours, theirs in UNIT_NAMES.items()},
    "tail": "upsamplerx{scale}.0",
    "finish": "upsamplerx{scale}.2",
}
SMFANET_NAMES = {
    "head": "to_feat",
    "blocks.#.modulate.split": "feats.{}.smfa.linear_0",
    "blocks.#.modulate.coarse": "feats.{}.smfa.dw_conv",
    "blocks.#.modulate.coarse_factor": "feats.{}.smfa.alpha",
    "blocks.#.modulate.variance_factor": "feats.{}.smfa.belt",
    "blocks.#.modulate.gate": "feats.{}.smfa.linear_1",
    "blocks.#.modulate.detail.depthwise": "feats.{}.smfa.lde.conv_0.0",
    "blocks.#.modulate.detail.expand": "feats.{}.smfa.lde.conv_0.1",
    "blocks.#.modulate.detail.reduce": "feats.{}.smfa.lde.conv_1",
    "blocks.#.modulate.merge": "feats.{}.smfa.linear_2",
    "blocks.#.feed.expand": "feats.{}.pcfn.conv_0",
    "blocks.#.feed.partial": "feats.{}.pcfn.conv_1",
    "blocks.#.feed.reduce": "feats.{}.pcfn.conv_2",
    "tail": "to_img.0",
}
FOREIGN_NAMES = {"imdn": (IMDN_NAMES, 1), "ddistill": (DDISTILL_NAMES, 1), "smfanet": (SMFANET_NAMES, 0)}
"""Names by architecture, and the number from which the authors count blocks and layers (here 0)."""
WRAPPERS = ("params_ema", "params")
"""Keys under which BasicSR's trainers store the tensors; the averaged ones come first."""
PREFIX = "module."
"""Prefix that torch's DataParallel adds to every name."""


def load_pth(path: Path) -> Network:
    """Load the network in a .pth file, ready for inference.

    Supports IMDN, DDistill-SR (inference form) and SMFANet+ with their authors' tensor names, and MAFDN and AFAN, in
    both forms, with the names used here; each at x2, x3 and x4 in its published size.

    Raises:
        WeightsError: The file cannot be read safely, or a tensor is missing, unknown, of another shape or not finite.
    """
    return _load(path)[0]


def open_network(path: Path) -> Network:
    """Load the network in a .pth file (`load_pth`) or a safetensors file (`load_network`), ready for inference."""
    return load_pth(path) if path.suffix == ".pth" else load_network(path)


def convert(path: Path, target: Path) -> Network:
    """Convert a .pth file to a weights file whose card names the source; returns the network.

    Raises:
        WeightsError: As `load_pth`, or `target` cannot be written.
    """
    network, digest = _load(path)
    card = {
        "network": TITLES[architecture(network.settings)],
        "origin": "converted from weights trained by others, whose license applies",
        "source": path.name,
        "source_sha256": digest,
        "made_by": f"mafdn {__version__}",
    }
    save_network(network, target, card=card)
    return network


def _load(path: Path) -> tuple[Network, str]:
    reject_unreadable(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError.from_os_error(f"cannot read {path}", error) from None
    tensors = _tensors(path, content)
    settings = _recognized(path, tensors)
    title = f"{TITLES[architecture(settings)]} x{settings.scale}"
    expected = _expected(settings)
    for theirs, shape in expected.items():
        if theirs not in tensors:
            raise WeightsError(f"{path} looks like {title} but lacks the tensor {theirs}")
        found = tuple(tensors[theirs].shape)
        if found != shape:
            raise WeightsError(f"{path} looks like {title} but its tensor {theirs} is {found}, not {shape}")
    for theirs in tensors:
        if theirs not in expected:
            raise WeightsError(f"{path} looks like {title} but has an unexpected tensor: {theirs}")
    network = build(settings)
    names = {_theirs(ours, settings): ours for ours in network.state_dict()}
    state = {ours: _plain(path, theirs, tensors[theirs]) for theirs, ours in names.items()}
    network.load_state_dict(state)
    return network.requires_grad_(False).eval(), hashlib.sha256(content).hexdigest()


def _tensors(path: Path, content: bytes) -> dict[str, Tensor]:
    """The tensors of a pickled state dict by name, without the prefix of DataParallel."""
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):  # it may unpack to a thousand times its size
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(member.file_size for member in archive.infolist()) > LARGEST_FILE:
                    raise ValueError(f"it unpacks to more than {LARGEST_FILE >> 20} MiB")
        state: object = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsError(f"{path} is not a .pth file that can be read safely: {reason[0]}") from None
    if not isinstance(state, Mapping) or not state:
        raise WeightsError(f"{path} does not contain a state dict, a table of tensors")
    items = cast(Mapping[Any, Any], state)
    items = next((items[key] for key in WRAPPERS if isinstance(items.get(key), Mapping)), items)
    prefixed = all(isinstance(name, str) and name.startswith(PREFIX) for name in items)
    tensors: dict[str, Tensor] = {}
    for name, value in items.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise WeightsError(f"{path} does not contain a plain state dict: {name!r} is {type(value).__name__}")
        tensors[name.removeprefix(PREFIX) if prefixed else name] = value
    return tensors


def _plain(path: Path, name: str, tensor: Tensor) -> Tensor:
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized or tensor.is_complex():
        raise WeightsError(f"{path}: the tensor {name} is not a plain array of numbers")
    if not tensor.isfinite().all():
        raise WeightsError(f"{path}: the tensor {name} has values that are not finite")
    return tensor.contiguous()


def _recognized(path: Path, tensors: dict[str, Tensor]) -> Settings:
    """The settings of the network that most tensors match by name and shape."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    fits = {settings: len(shapes.items() & _expected(settings).items()) for settings in CANDIDATES}
    best = max(fits, key=lambda settings: fits[settings])
    if fits[best] < len(_expected(best)) / 2:
        raise WeightsError(f"{path} does not contain a known network ({', '.join(TITLES.values())})")
    return best


KINDS = (IMDNSettings, DDistillSettings, MAFDNSettings, AFANSettings, SMFANetSettings)
CANDIDATES: list[Settings] = [
    *(kind(scale=scale) for kind in KINDS for scale in SCALES),
    *(replace(MAFDNSettings(scale=scale), over_parameterized=False) for scale in SCALES),
    *(replace(AFANSettings(scale=scale), asymmetric=False) for scale in SCALES),
]


@cache
def _expected(settings: Settings) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, by its name in a .pth file."""
    with torch.device("meta"):
        state = build(settings).state_dict()
    return {_theirs(name, settings): tuple(tensor.shape) for name, tensor in state.items()}


def _theirs(ours: str, settings: Settings) -> str:
    """The name in a .pth file of the tensor that is called `ours` here."""
    if architecture(settings) not in FOREIGN_NAMES:
        return ours
    table, first = FOREIGN_NAMES[architecture(settings)]
    # Numbers of blocks and steps are replaced by #; numbers in ESA's list are part of a name.
    pattern = re.sub(r"(blocks|refines|keeps|units)\.\d+", r"\1.#", ours)
    numbers = [int(n) + first for n in re.findall(r"(?:blocks|refines|keeps|units)\.(\d+)", ours)]
    if pattern in table:
        return table[pattern].format(*numbers, scale=settings.scale)
    module, _, kind = pattern.rpartition(".")
    return f"{table[module].format(*numbers, scale=settings.scale)}.{kind}"
