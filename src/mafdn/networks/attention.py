"""The three attentions of MAFDN: pixel, spatial and contrast-aware channel attention.

Public names: :class:`PixelAttention`, :class:`SpatialAttention`, :class:`ContrastChannelAttention`.
Each maps (B, n, H, W) to (B, n, H, W) and multiplies its input by gates in (0, 1).

The statistics that the last two rest on have their gradients written out. Autograd expands the gradient of a mean
to the full shape in an order of memory that is not the input's, and adding gradients of two orders is slow.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

CONTRAST_EPSILON = 1e-6
"""Added to the variance under the root: a flat patch would otherwise have an infinite gradient."""


class _MeanAndMaximum(torch.autograd.Function):
    """(B, n, H, W) to (B, 2, H, W): mean and maximum over channels."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        maximum = x.amax(1, keepdim=True)
        ctx.save_for_backward(x, maximum)
        return torch.cat([x.mean(1, keepdim=True), maximum], dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, maximum = ctx.saved_tensors
        mean_share = gradient[:, :1] / x.shape[1]
        winners = x == maximum  # several in a tie, which share
        maximum_share = gradient[:, 1:] / winners.sum(1, keepdim=True, dtype=x.dtype)
        return torch.where(winners, maximum_share + mean_share, mean_share)


class _Contrast(torch.autograd.Function):
    """(B, n, H, W) to (B, n, 1, 1): mean plus standard deviation over the whole input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        variance = (x - mean).square().mean((2, 3), keepdim=True)
        deviation = torch.sqrt(variance + CONTRAST_EPSILON)
        ctx.save_for_backward(x, mean, deviation)
        return mean + deviation

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, mean, deviation = ctx.saved_tensors
        pixels = x.shape[2] * x.shape[3]
        slope = gradient / (deviation * pixels)
        return torch.addcmul(gradient / pixels - slope * mean, x, slope)


class PixelAttention(nn.Module):
    """A gate per channel and pixel from a 1x1 convolution (PAN: Zhao et al., ECCVW 2020, Sec. 3.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.conv(x))


class SpatialAttention(nn.Module):
    """A gate per pixel from the mean and maximum over channels (CBAM: Woo et al., ECCV 2018, Eq. 3)."""

    def __init__(self, kernel_size: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.conv(_MeanAndMaximum.apply(x)))


class ContrastChannelAttention(nn.Module):
    """A gate per channel from its mean plus standard deviation (IMDN: Hui et al., ACM MM 2019, Eq. 5).

    The only part of MAFDN that looks beyond a neighborhood: both statistics are over the whole input.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        contrast = _Contrast.apply(x)  # (B, n, 1, 1)
        return x * torch.sigmoid(self.expand(torch.relu(self.squeeze(contrast))))
