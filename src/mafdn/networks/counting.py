"""Count the parameters and Multi-Adds of a network, part by part.

Multi-Adds are for a 1280x720 output, in two conventions. *Conv MACs* counts one multiply-add per weight and output
pixel of every convolution, without biases. *thop-style* adds what the thop counter (version 0.1.1,
github.com/Lyken17/pytorch-OpCounter, `thop/vision`) adds, and with it most published figures: for modules of pooling,
norms, linear layers, PReLU, Softmax and Upsample (`THOP`), and n + 1 for every mean of n values that attention pools.
Like thop, it counts nothing for calls of functions.
"""

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from mafdn._support.memory import is_out_of_memory
from mafdn._support.text import first_line
from mafdn.errors import WeightsError
from mafdn.networks.architectures import Network, architecture
from mafdn.networks.layers import ContrastChannelAttention, Mean
from mafdn.networks.own import DEBUG, OwnSettings
from mafdn.weights.counts import Count
from mafdn.weights.sizes import input_size


def count(network: Network) -> list[Count]:
    """Count `network`, in its training form, part by part; the last row, `total`, is the whole.

    The network runs on the meta device, which computes shapes only.

    Raises:
        WeightsError: It is from outside and cannot run there.
    """
    try:
        return _count(network)
    except Exception as error:  # a class from outside may raise anything
        if not isinstance(network.settings, OwnSettings) or is_out_of_memory(error):
            raise
        reason = first_line(error)
        raise WeightsError(
            f"the network {architecture(network.settings)} cannot be counted: {reason} {DEBUG}"
        ) from error


def _count(network: Network) -> list[Count]:
    scale = network.settings.scale
    folded = network.fold()
    conv, extra = _macs(folded, scale)
    training_conv, training_extra = _macs(network, scale)

    def row(label: str, name: str) -> Count:
        return Count(
            part=label,
            parameters=count_parameters(folded.get_submodule(name)),
            training_parameters=count_parameters(network.get_submodule(name)),
            conv_macs=conv[name],
            training_conv_macs=training_conv[name],
            thop_macs=conv[name] + extra[name],
            training_thop_macs=training_conv[name] + training_extra[name],
        )

    return [*(row(name, name) for name in _parts(folded)), row("total", "")]


def _parts(network: nn.Module) -> list[str]:
    """Names of the children with parameters, in order; the members of a list count as children."""
    parts: list[str] = []
    for name, child in network.named_children():
        if isinstance(child, nn.ModuleList):
            parts += [f"{name}.{i}" for i in range(len(child))]
        elif count_parameters(child):
            parts.append(name)
    return parts


def count_parameters(module: nn.Module) -> int:
    """The number of values in the parameters of a module."""
    return sum(p.numel() for p in module.parameters())


def _macs(network: nn.Module, scale: int) -> tuple[dict[str, int], dict[str, int]]:
    """Conv MACs, and what thop adds, by name of part; the whole network is the empty name."""
    shapes = copy.deepcopy(network).to("meta").eval()
    names = ["", *_parts(shapes)]
    extra = dict.fromkeys(names, 0)
    handles: list[RemovableHandle] = []

    def add(name: str, cost: Cost, module: nn.Module, inputs: tuple[Tensor], output: Any) -> None:
        for owner in names:
            if name == owner or not owner or name.startswith(owner + "."):
                extra[owner] += cost(module, inputs[0], output)

    for name, module in shapes.named_modules():
        cost = THOP.get(type(module))
        if cost:
            handles.append(module.register_forward_hook(partial(add, name, cost)))
    height, width = input_size(scale)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shapes(torch.empty(1, 3, height, width, device="meta"))
    for handle in handles:
        handle.remove()
    root = type(shapes).__name__
    flops = {
        name: sum(flops for operation, flops in table.items() if "convolution" in str(operation))
        for name, table in counter.get_flop_counts().items()
    }
    conv = {name: flops.get(f"{root}.{name}" if name else root, 0) // 2 for name in names}
    return conv, extra


Cost = Callable[[Any, Tensor, Any], int]
"""What thop adds for a module, from the module, its input and its output."""
PER_PIXEL = {"nearest": 1, "linear": 5, "bilinear": 11, "bicubic": 259}
"""Operations for each value that Upsample interpolates in a mode; others are not counted."""


def _mean(module: Mean, x: Tensor, _: Tensor) -> int:
    pooled = math.prod(x.shape[d] for d in module.dims)
    return x.numel() // pooled * (pooled + 1)


def _contrast(_module: ContrastChannelAttention, x: Tensor, _: Tensor) -> int:
    return x.shape[1] * (x.shape[2] * x.shape[3] + 1)


def _norm(module: nn.Module, x: Tensor, _: Tensor) -> int:
    learned = getattr(module, "affine", False) or getattr(module, "elementwise_affine", False)
    return (4 if learned else 2) * x.numel()


def _linear(module: nn.Linear, _: Tensor, y: Tensor) -> int:
    return module.in_features * y.numel()


def _average(_module: nn.Module, _: Tensor, y: Tensor) -> int:
    return y.numel()


def _adaptive_average(_module: nn.Module, x: Tensor, y: Tensor) -> int:
    pooled = math.prod(x.shape[2:]) / math.prod(y.shape[2:])  # thop, too, computes with fractions of pixels
    return int((pooled + 1) * y.numel())


def _prelu(_module: nn.Module, x: Tensor, _: Tensor) -> int:
    return x.numel()


def _softmax(module: nn.Softmax, x: Tensor, _: Tensor) -> int:
    values = x.shape[module.dim if module.dim is not None else 1]
    return x.numel() // values * (3 * values - 1)


def _upsample(module: nn.Upsample, _: Tensor, y: Tensor) -> int:
    return PER_PIXEL.get(module.mode, 0) * y.numel()


THOP: dict[type[nn.Module], Cost] = {
    Mean: _mean,
    ContrastChannelAttention: _contrast,
    nn.Linear: _linear,
    nn.PReLU: _prelu,
    nn.Softmax: _softmax,
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm), _norm),
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), _norm),
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), _average),
    **dict.fromkeys((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), _adaptive_average),
    **dict.fromkeys((nn.Upsample, nn.UpsamplingBilinear2d, nn.UpsamplingNearest2d), _upsample),
}
"""Like thop, exactly these classes, not those derived from them."""
