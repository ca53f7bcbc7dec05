"""The operations of MAFDN that torch does slowly on a CPU when asked plainly, asked another way.

Public names: :class:`Pointwise`, :func:`activated`, :func:`mean_and_maximum`, :func:`contrast`.

Each equals a plain formula up to the order of summation; :mod:`mafdn.networks.reference` has the formulas, and tests
hold the two together. They work on every device and in autocast. When a network is exported, the plain operations are
recorded: engines for inference have shortcuts of their own.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812

CONTRAST_EPSILON = 1e-6
"""Added to the variance under the root: a flat patch would otherwise have an infinite gradient."""


class Pointwise(nn.Conv2d):
    """A 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (nn.Conv2d's name)
        # On one thread torch computes a small batch in float32 with kernels of half the speed if the kernel is 1x1,
        # unless it is dilated. One tap has nothing to spread, so the dilation changes nothing else.
        slow = input.device.type == "cpu" and torch.get_num_threads() == 1 and not torch.compiler.is_exporting()
        return F.conv2d(input, self.weight, self.bias, dilation=2 if slow else 1)


def activated(parts: list[Tensor], slope: float) -> Tensor:
    """LeakyReLU of tensors laid side by side along the channels.

    One LeakyReLU after the concatenation, not one for each part before it: on the way back it works through one
    tensor in its order in memory instead of four slices of one.
    """
    if torch.compiler.is_exporting():  # engines make the activation a part of each convolution
        return torch.cat([F.leaky_relu(part, slope) for part in parts], dim=1)
    return F.leaky_relu_(torch.cat(parts, dim=1), slope)


def mean_and_maximum(x: Tensor) -> Tensor:
    """(B, n, H, W) to (B, 2, H, W): mean and maximum over channels."""
    return _MeanAndMaximum.apply(x)


def contrast(x: Tensor, *, dims: tuple[int, ...] = (2, 3)) -> Tensor:
    """(B, n, H, W) to (B, n, 1, 1): mean plus standard deviation over ``dims``, which keep length 1."""
    return _Contrast.apply(x, dims)


# The gradients of the statistics are written out. Autograd expands the gradient of a mean to the full shape in an
# order of memory that is not the input's, and adding gradients of two orders is slow.


class _MeanAndMaximum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        wide = x.float() if x.dtype.itemsize < 4 else x  # a maximum of bfloat16 takes five times as long
        maximum = wide.amax(1, keepdim=True)
        statistics = torch.cat([wide.mean(1, keepdim=True), maximum], dim=1).to(x.dtype)
        # Two maps of one channel each have no order of their own; the convolution that follows works on this one.
        statistics = statistics.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(x, statistics)
        return statistics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, statistics = ctx.saved_tensors
        channels = x.shape[1]
        # The maximum's gradient goes to the channels that reach it; several in a tie share. A comparison would give
        # booleans, which are slow to calculate with; the sign of the distance is 0 there and -1 elsewhere.
        reached = (x - statistics[:, 1:]).sign_().add_(1)
        share = gradient[:, 1:] / reached.sum(1, keepdim=True)
        return reached.mul_(share).add_(gradient[:, :1] / channels)


class _Contrast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: tuple[int, ...]) -> Tensor:
        mean = x.mean(dims, keepdim=True)
        centered = x - mean
        deviation = torch.sqrt(centered.square().mean(dims, keepdim=True) + CONTRAST_EPSILON)
        ctx.save_for_backward(centered, deviation)
        return mean + deviation

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        centered, deviation = ctx.saved_tensors
        share = gradient / (centered.numel() // deviation.numel())
        return torch.addcmul(share, centered, share / deviation), None
