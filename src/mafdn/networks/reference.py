"""The formulas of `mafdn.networks.mafdn` without optimizations: the oracle of its tests.

Computes from the same parameters what MAFDN computes, with plain operations and the gradients of autograd. Tests
compare the two, and the time of a training step is measured against it.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mafdn.networks.fast import CONTRAST_EPSILON
from mafdn.networks.layers import ContrastChannelAttention, PixelAttention, SpatialAttention
from mafdn.networks.mafdn import MAFDB, MAFDN, OPCRB, SLOPE, Distill


class PlainMAFDN(nn.Module):
    """The plain form of `network`, whose parameters it shares."""

    def __init__(self, network: MAFDN) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        network = self.network
        shallow = _conv(network.head, x)
        h, outputs = shallow, []
        for block in network.blocks:
            h = _block(cast(MAFDB, block), h)
            outputs.append(h)
        fused = F.leaky_relu(_conv(network.fuse, torch.cat(outputs, dim=1)), SLOPE)
        deep = _conv(network.smooth, fused) + shallow
        return F.pixel_shuffle(_conv(network.tail, deep), network.settings.scale)


def plain_pixel(attention: PixelAttention, x: Tensor) -> Tensor:
    """Pixel attention on `x` (B, n, H, W)."""
    return x * torch.sigmoid(_conv(attention.conv, x))


def plain_spatial(attention: SpatialAttention, x: Tensor) -> Tensor:
    """Spatial attention on `x` (B, n, H, W)."""
    statistics = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
    return x * torch.sigmoid(_conv(attention.conv, statistics))


def plain_channel(attention: ContrastChannelAttention, x: Tensor) -> Tensor:
    """Contrast-aware channel attention on `x` (B, n, H, W)."""
    mean = x.mean((2, 3), keepdim=True)
    contrast = mean + torch.sqrt((x - mean).square().mean((2, 3), keepdim=True) + CONTRAST_EPSILON)
    return x * torch.sigmoid(_conv(attention.expand, torch.relu(_conv(attention.squeeze, contrast))))


def _block(block: MAFDB, x: Tensor) -> Tensor:
    h = x
    kept: list[Tensor] = []
    for i, distill in enumerate(block.distills):
        if i:
            conv = cast(OPCRB, block.refines[i - 1]).conv
            h = F.leaky_relu(h + _conv(conv, h), SLOPE)
        kept.append(_distill(cast(Distill, distill), h))
    merged = torch.cat(kept, dim=1)
    if isinstance(block.channel, ContrastChannelAttention):
        merged = plain_channel(block.channel, merged)
    if isinstance(block.spatial, SpatialAttention):
        merged = plain_spatial(block.spatial, merged)
    return x + _conv(block.merge, merged)


def _distill(distill: Distill, x: Tensor) -> Tensor:
    gated = plain_pixel(distill.attention, x) if isinstance(distill.attention, PixelAttention) else x
    return F.leaky_relu(_conv(distill.conv, gated), SLOPE)


def _conv(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return F.conv2d(x, conv.weight, conv.bias, padding=cast(tuple[int, int], conv.padding))
