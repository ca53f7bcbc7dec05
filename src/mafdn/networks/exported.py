"""The form in which a network is exported: what its folded form computes, in fewer operations.

Public names: :func:`exported_form`.

A MAFDN has two places where linear operations meet, and one of them can go:

- ``h + conv(h)`` in an OPCRB is one convolution, whose kernel has the identity added to it;
- a spatial gate is one factor for all channels of a pixel, so it may as well come after the 1x1 convolution that
  merges the branches, where there are half the channels: ``x + b + s * (W g)`` for ``x + b + W (s * g)``.

The form is for engines only: weights files hold the folded network, and that is what is counted.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mafdn.networks.architectures import Network
from mafdn.networks.attention import SpatialAttention
from mafdn.networks.mafdn import MAFDB, MAFDN, OPCRB, distilled


def exported_form(network: Network) -> Network:
    """A new network that computes what ``network`` does and is to be exported; of a peer, its folded form."""
    folded = network.fold()
    if isinstance(folded, MAFDN):
        folded.blocks = nn.ModuleList(_Block(cast(MAFDB, block)) for block in folded.blocks)
    return folded


class _Refine(nn.Module):
    """An OPCRB as one convolution: ``LeakyReLU(conv(x))``."""

    def __init__(self, block: OPCRB) -> None:
        super().__init__()
        self.conv, self.activation = block.conv, block.activation
        with torch.no_grad():
            nn.init.dirac_(identity := torch.empty_like(self.conv.weight))
            self.conv.weight += identity

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.conv(x))


class _Block(nn.Module):
    """A MAFDB, the spatial gate after its merging convolution."""

    def __init__(self, block: MAFDB) -> None:
        super().__init__()
        self.distills, self.merge = block.distills, block.merge
        self.channel, self.spatial = block.channel, block.spatial
        self.refines = nn.ModuleList(_Refine(cast(OPCRB, refine)) for refine in block.refines)

    def forward(self, x: Tensor) -> Tensor:
        gated = self.channel(distilled(x, self.refines, self.distills))  # (B, 2n, H, W)
        if not isinstance(self.spatial, SpatialAttention):
            return x + self.merge(gated)
        merged = F.conv2d(gated, self.merge.weight) * self.spatial.gate(gated)
        assert self.merge.bias is not None
        return x + self.merge.bias.view(-1, 1, 1) + merged
