"""Parameters and Multi-Adds of a network, part by part, as the field prints them.

Public names: :class:`Count`, :func:`count`, :func:`input_size`.

Multi-Adds are for a 1280x720 output. Two conventions: *conv MACs* counts one multiply-add per weight and
output pixel of every convolution, without biases; *thop-style* adds what the thop counter adds, and with it
most published figures: C*(H*W+1) for the pooled mean of every channel attention.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from mafdn.networks.attention import ContrastChannelAttention
from mafdn.networks.mafdn import MAFDN

OUTPUT = (720, 1280)
"""Height and width of the output that Multi-Adds are counted for."""


@dataclass(frozen=True, kw_only=True)
class Count:
    """One row of a count: learnable numbers, and multiply-adds for one 1280x720 output."""

    part: str
    parameters: int
    training_parameters: int
    """Parameters of the training form, DO-Conv included."""
    conv_macs: int
    thop_macs: int


def input_size(scale: int) -> tuple[int, int]:
    """Height and width of the input counted for: 1280x720 divided by the scale, rounded down."""
    return OUTPUT[0] // scale, OUTPUT[1] // scale


def count(network: MAFDN) -> list[Count]:
    """Count ``network`` (training form) part by part; the last row, ``total``, is the whole.

    Nothing is computed: the network runs on shapes alone.
    """
    folded = network.fold()
    conv, extra = _macs(folded)
    rows = [
        Count(
            part=name,
            parameters=_parameters(part),
            training_parameters=_parameters(network.get_submodule(name)),
            conv_macs=conv[name],
            thop_macs=conv[name] + extra[name],
        )
        for name, part in _parts(folded)
    ]
    totals = {
        "parameters": _parameters(folded),
        "training_parameters": _parameters(network),
        "conv_macs": conv[""],
        "thop_macs": conv[""] + extra[""],
    }
    return [*rows, Count(part="total", **totals)]


def _parts(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The network's direct children in order, members of a list one by one, those without parameters left out."""
    parts: list[tuple[str, nn.Module]] = []
    for name, child in network.named_children():
        if isinstance(child, nn.ModuleList):
            parts += [(f"{name}.{i}", member) for i, member in enumerate(child)]
        elif _parameters(child):
            parts.append((name, child))
    return parts


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _macs(network: MAFDN) -> tuple[dict[str, int], dict[str, int]]:
    """Conv MACs and what thop adds, by name of part; the whole under the empty name."""
    network = network.to("meta")
    names = ["", *(name for name, _ in _parts(network))]
    extra = dict.fromkeys(names, 0)
    handles: list[RemovableHandle] = []

    def count_pool(name: str, _module: nn.Module, inputs: tuple[Tensor]) -> None:
        _, channels, height, width = inputs[0].shape
        for owner in names:
            if name == owner or not owner or name.startswith(owner + "."):
                extra[owner] += channels * (height * width + 1)

    for name, module in network.named_modules():
        if isinstance(module, ContrastChannelAttention):
            handles.append(module.register_forward_pre_hook(partial(count_pool, name)))
    height, width = input_size(network.settings.scale)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, height, width, device="meta"))
    for handle in handles:
        handle.remove()
    root = type(network).__name__
    flops = {name: sum(table.values()) for name, table in counter.get_flop_counts().items()}
    conv = {name: flops.get(f"{root}.{name}" if name else root, 0) // 2 for name in names}
    return conv, extra
