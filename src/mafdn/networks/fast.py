"""Faster CPU implementations of MAFDN's operations.

Each equals a plain formula up to the order of summation. `mafdn.networks.reference` has the formulas, and tests compare
the two. All work on every device and in autocast. An export records the plain operations, because inference engines
have optimizations of their own.

Written for torch 2.13.0 on x86 with AVX-512, where a training step on one thread takes 0.73 of the plain network's time
in fp32 and 0.71 in bf16 (`docs/training.md`, "Speed"). When torch is upgraded, replace one function at a time by its
formula and run `mafdn train --profile`: a function that no longer lowers the ratio can go.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812

CONTRAST_EPSILON = 1e-6
"""Added to the variance under the root; without it a flat patch has an infinite gradient."""


class Pointwise(nn.Conv2d):
    """A 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (nn.Conv2d's name)
        # On one thread torch runs a small float32 batch at half the speed if the kernel is 1x1, unless it is
        # dilated. With one tap the dilation changes nothing else.
        slow = input.device.type == "cpu" and torch.get_num_threads() == 1 and not torch.compiler.is_exporting()
        return F.conv2d(input, self.weight, self.bias, dilation=2 if slow else 1)


def activated(parts: list[Tensor], slope: float) -> Tensor:
    """LeakyReLU of tensors (B, m, H, W), concatenated along the channels.

    One LeakyReLU after the concatenation instead of one per part before it: its gradient then runs through one tensor
    in memory order, not through slices of one.
    """
    if torch.compiler.is_exporting():  # engines fuse each activation into its convolution
        return torch.cat([F.leaky_relu(part, slope) for part in parts], dim=1)
    return F.leaky_relu_(torch.cat(parts, dim=1), slope)


def mean_and_maximum(x: Tensor) -> Tensor:
    """Mean and maximum of `x` (B, n, H, W) over its channels, (B, 2, H, W)."""
    return _MeanAndMaximum.apply(x)


def contrast(x: Tensor, *, dims: tuple[int, ...] = (2, 3)) -> Tensor:
    """Mean plus standard deviation of `x` (B, n, H, W) over `dims`, which keep length 1: (B, n, 1, 1) by default."""
    return _Contrast.apply(x, dims)


# The gradients of both statistics are written out. Autograd expands the gradient of a mean to the full shape in another
# memory order than that of the input, and adding gradients of two orders is slow.


class _MeanAndMaximum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        wide = x.float() if x.dtype.itemsize < 4 else x  # a maximum in bfloat16 takes five times as long
        maximum = wide.amax(1, keepdim=True)
        statistics = torch.cat([wide.mean(1, keepdim=True), maximum], dim=1).to(x.dtype)
        # Two single-channel maps have no memory order of their own; the convolution that follows expects this one.
        statistics = statistics.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(x, statistics)
        return statistics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, statistics = ctx.saved_tensors
        channels = x.shape[1]
        # The gradient of the maximum goes to the channels that reach it, in equal shares if several do. A comparison
        # would give booleans, which are slow in arithmetic; the sign of the distance is 0 there and -1 elsewhere.
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
