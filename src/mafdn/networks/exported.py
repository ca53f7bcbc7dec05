"""The form in which a network is exported: its folded form with fewer operations.

Two linear operations of a MAFDN can be merged with their neighbors:

- `h + conv(h)` in an OPCRB is one convolution, whose kernel has the identity added to it;
- a spatial gate is one factor for all channels of a pixel, so it can follow the 1x1 convolution that merges the
  branches, where there are half the channels: `x + b + s * (W g)` instead of `x + b + W (s * g)`.

This form is for engines only: weights files hold the folded network, and costs are counted on it.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mafdn.networks.architectures import Network
from mafdn.networks.layers import SpatialAttention
from mafdn.networks.mafdn import MAFDB, MAFDN, OPCRB, distilled


def exported_form(network: Network) -> Network:
    """A new network for export that computes the same as `network`; of other networks than MAFDN, the folded form."""
    folded = network.fold()
    if isinstance(folded, MAFDN):
        folded.blocks = nn.ModuleList(_Block(cast(MAFDB, block)) for block in folded.blocks)
    return folded


class _Refine(nn.Module):
    """An OPCRB as one convolution: `LeakyReLU(conv(x))`."""

    def __init__(self, block: OPCRB) -> None:
        super().__init__()
        self.conv, self.activation = block.conv, block.activation
        with torch.no_grad():
            nn.init.dirac_(identity := torch.empty_like(self.conv.weight))
            self.conv.weight += identity

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.conv(x))


class _Block(nn.Module):
    """A MAFDB with its spatial gate after the merging convolution."""

    def __init__(self, block: MAFDB) -> None:
        super().__init__()
        self.distills, self.merge = block.distills, block.merge
        self.channel, self.spatial = block.channel, block.spatial
        self.refines = nn.ModuleList(_Refine(cast(OPCRB, refine)) for refine in block.refines)

    def forward(self, x: Tensor) -> Tensor:
        gated = self.channel(distilled(x, self.refines, self.distills))  # (B, 2n, H, W)
        if not isinstance(self.spatial, SpatialAttention):
            return x + self.merge(gated)
        merged = F.conv2d(gated, self.merge.weight) * self.spatial.gate(gated)  # (B, n, H, W)
        assert self.merge.bias is not None
        return x + self.merge.bias.view(-1, 1, 1) + merged
