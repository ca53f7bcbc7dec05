"""Prune a trained MAFDN to fewer channels.

Processors compute channels in groups of 8 or 16, so a network of 48 channels is much faster than one of 50. Which
channels are removed is decided by measurement: one after another, always the channel without which the results change
least. Pruned networks lose PSNR until they are trained further.
"""

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from mafdn._support.atomic import sha256
from mafdn._support.progress import ignore
from mafdn.errors import UsageError
from mafdn.networks import load_mafdn, save_network
from mafdn.networks.mafdn import MAFDN, MAFDNSettings
from mafdn.pixels import psnr
from mafdn.training.data.bank import open_bank
from mafdn.training.data.batches import to_tensor
from mafdn.training.data.patches import PatchSampler
from mafdn.training.record.averaged import weights_card
from mafdn.weights.history import MEASURED

Axis = tuple[str, ...]
"""The groups of channels along an axis of a tensor, one after another; empty for an axis that is never shortened."""
Axes = tuple[Axis, Axis]
"""The groups along the output and the input channels of a tensor."""
STREAM: Axis = ("stream",)
"""The channels that all blocks add to, from the first convolution to the last one."""
FUSED: Axis = ("fused",)
"""The channels between `fuse` and `smooth`."""
BRANCHES = 4
"""Distillation branches of a block."""
PATCHES, SIDE = 8, 32
"""Number and side of the LR patches that `prune_file` measures on."""


def prune_file(
    source: Path, target: Path, *, width: int, bank: Path, on_progress: Callable[[int, int], None] = ignore
) -> float:
    """Prune the network in a weights file, by measurements on pictures of a training bank.

    The card of the new file is that of the source, with the entry `pruned` and without scores.

    Args:
        source: A weights file or checkpoint of MAFDN.
        target: The `.safetensors` file to write.
        width: Number of channels that remain.
        bank: The folder of the bank.
        on_progress: Called with the number of measurements and their total.

    Returns:
        PSNR in dB between the results of both networks, on patches other than those used for choosing.

    Raises:
        UsageError: As `prune`.
        ConfigError: The bank cannot be read, or has no picture that is large enough.
        WeightsError: The source cannot be read or the target cannot be written.
    """
    network = load_mafdn(source)
    scale = network.settings.scale
    pictures = open_bank(bank)
    sampler = PatchSampler(pictures, range(len(pictures.pictures)), scale=scale, patch=SIDE, seed=0)
    chosen, others = (to_tensor(sampler.batch(step, range(PATCHES)).lr, torch.device("cpu")) for step in range(2))
    pruned = prune(network, width, chosen, on_progress=on_progress)
    with torch.inference_mode():
        agreement = psnr(pruned(others).numpy(), network(others).numpy(), peak=1.0)
    card = {key: value for key, value in weights_card(source).items() if key not in MEASURED}
    card["pruned"] = {
        "from": f"{source.name}, SHA-256 {sha256(source)}",
        "width": width,
        "bank": pictures.digest,
        "psnr_to_source": agreement,
    }
    save_network(pruned, target, card=card)
    return agreement


def prune(network: MAFDN, width: int, patches: Tensor, *, on_progress: Callable[[int, int], None] = ignore) -> MAFDN:
    """Remove channels until a network has `width` of them.

    Groups of channels are pruned in turn: those of the residual stream, which all blocks share, those of the fusion,
    of every distillation branch, and of the squeezed layer of every channel attention.

    Args:
        network: The network; it is not changed.
        width: Number of channels that remain.
        patches: LR patches to measure on, (B, 3, H, W) in [0, 1].
        on_progress: Called with the number of measurements and their total.

    Returns:
        A new network in inference form.

    Raises:
        UsageError: `width` is odd, below 2, or not below that of the network.
    """
    wide = network.fold()
    if width < 2 or width % 2 or width >= wide.settings.width:
        raise UsageError(f"the width must be even and below {wide.settings.width}, that of the network; it is {width}")
    narrow = MAFDN(replace(wide.settings, width=width))
    tensors = wide.state_dict()
    axes = {name: _axes(name, wide.settings) for name in tensors}
    sizes, aims = _group_sizes(wide, axes), _group_sizes(narrow, axes)
    total = sum(sum(range(aims[group] + 1, size + 1)) for group, size in sizes.items())
    kept = {group: list(range(size)) for group, size in sizes.items()}
    done = 0
    with torch.inference_mode():
        expected = wide(patches)
        for group, channels in kept.items():
            parts = [
                tensors[name].narrow(0, _starts(outputs, sizes)[outputs.index(group)], sizes[group])
                for name, (outputs, _) in axes.items()
                if group in outputs
            ]
            while len(channels) > aims[group]:
                changes: dict[int, float] = {}
                for channel in channels:
                    with _zeroed(parts, channel):
                        changes[channel] = F.mse_loss(wide(patches), expected).item()
                    done += 1
                    on_progress(done, total)
                least = min(channels, key=changes.__getitem__)
                channels.remove(least)
                for part in parts:
                    part[least] = 0
        remaining = {name: _selected(tensors[name], axes[name], kept, sizes) for name in tensors}
        for index in range(wide.settings.blocks if wide.settings.spatial_attention else 0):
            # The mean over fewer channels is larger, as the removed ones were zero.
            remaining[f"blocks.{index}.spatial.conv.weight"][:, 0] *= width / wide.settings.width
    narrow = narrow.fold()
    narrow.load_state_dict(remaining)
    return narrow


def _axes(name: str, settings: MAFDNSettings) -> Axes:
    """The groups of channels along the first two axes of a tensor of the network."""
    found = re.fullmatch(r"blocks\.(\d+)\.(.*)", name)
    block, inner = found.groups() if found else ("", name)
    squeezed: Axis = (f"squeezed {block}",)
    branches = tuple(f"branch {block}.{index}" for index in range(BRANCHES))
    branch = re.match(r"distills\.(\d+)\.conv\.", inner)
    if branch:
        return (branches[int(branch[1])],), STREAM
    rules: dict[str, Axes] = {
        "head": (STREAM, ()),
        "distills": (STREAM, STREAM),
        "refines": (STREAM, STREAM),
        "channel.squeeze": (squeezed, branches),
        "channel.expand": (branches, squeezed),
        "spatial": ((), ()),
        "merge": (STREAM, branches),
        "fuse": (FUSED, STREAM * settings.blocks),
        "smooth": (STREAM, FUSED),
        "tail": ((), STREAM),
    }
    return next(axes for prefix, axes in rules.items() if inner.startswith(f"{prefix}."))


def _group_sizes(network: MAFDN, axes: dict[str, Axes]) -> dict[str, int]:
    """The number of channels of every group."""
    sizes: dict[str, int] = {}
    for name, tensor in network.fold().state_dict().items():
        for length, groups in zip(tensor.shape, axes[name], strict=False):
            sizes |= {group: length // len(groups) for group in groups}
    return sizes


def _starts(groups: Axis, sizes: dict[str, int]) -> list[int]:
    """The first channel of every group along an axis."""
    return list(accumulate((sizes[group] for group in groups[:-1]), initial=0))


@contextmanager
def _zeroed(parts: list[Tensor], channel: int) -> Generator[None]:
    """Set a channel of weights and biases to zero within the context."""
    before = [part[channel].clone() for part in parts]
    for part in parts:
        part[channel] = 0
    try:
        yield
    finally:
        for part, values in zip(parts, before, strict=True):
            part[channel] = values


def _selected(tensor: Tensor, axes: Axes, kept: dict[str, list[int]], sizes: dict[str, int]) -> Tensor:
    """A copy of a tensor with the channels that are kept."""
    for axis, groups in enumerate(axes[: tensor.dim()]):
        if groups:
            starts = zip(_starts(groups, sizes), groups, strict=True)
            index = [start + channel for start, group in starts for channel in kept[group]]
            tensor = tensor.index_select(axis, torch.tensor(index))
    return tensor.clone()
