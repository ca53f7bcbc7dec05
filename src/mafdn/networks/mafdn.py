"""MAFDN, the multi-attention feature distillation network, reconstructed from its abstract.

Paper: Zhang et al., "A Multi-Attention Feature Distillation Neural Network for Lightweight Single Image
Super-Resolution", International Journal of Intelligent Systems, 2024, doi 10.1155/2024/3255233.

Published (abstract only): information multi-distillation after IMDN; units (MAFDB) with pixel, spatial and channel
attention and several distillation branches; inside them OPCRB, a residual block on DO-Conv; at x4 597K parameters and
33.79G Multi-Adds. Reconstructed here: the width, the number of blocks, the order of parts, the activations and the
reconstruction head. With every part at the field's default, parameters and Multi-Adds match the published figures;
this is not, and does not claim to be, the published architecture.

    MAFDN   x -> head -+-> MAFDB -> MAFDB -> ... -> MAFDB
                       |     |        |               |
                       |     +--------+- concatenate -+-> fuse -> LeakyReLU -> smooth -> + -> tail -> pixel shuffle
                       +-----------------------------------------------------------------+

    MAFDB   x -+------------------------------------> distill -+
               +-> OPCRB -+-------------------------> distill -+
                          +-> OPCRB -+--------------> distill -+- concatenate -> LeakyReLU
                                     +-> OPCRB -----> distill -+      -> channel -> spatial attention -> merge -> + x

    `head`, `smooth` and `tail` are 3x3 convolutions, `fuse` and `merge` 1x1; `distill` is pixel attention and a 1x1
    convolution to half the channels; OPCRB is LeakyReLU(h + DOConv3x3(h)).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from mafdn.networks.doconv import folded_state, over_parameterize
from mafdn.networks.fast import Pointwise, activated
from mafdn.networks.layers import ContrastChannelAttention, PixelAttention, SpatialAttention, chain, check_sizes

SLOPE = 0.05
"""Negative slope of every LeakyReLU (IMDN's value)."""


@dataclass(frozen=True, kw_only=True)
class MAFDNSettings:
    """Settings of a MAFDN; the defaults are the reconstruction at x4.

    The attention switches are for ablations.
    """

    scale: int = 4
    """Upscaling factor: 2, 3 or 4."""
    width: int = 50
    """Number of channels, called n in shapes; even."""
    blocks: int = 6
    """Number of MAFDBs."""
    pixel_attention: bool = True
    """Whether every distillation branch has pixel attention."""
    channel_attention: bool = True
    """Whether every MAFDB has channel attention."""
    spatial_attention: bool = True
    """Whether every MAFDB has spatial attention."""
    over_parameterized: bool = True
    """Whether the network is in its training form (DO-Conv), which folding converts into the inference form."""

    def __post_init__(self) -> None:
        check_sizes(scale=self.scale, width=self.width, blocks=self.blocks, multiple=2)


class OPCRB(nn.Module):
    """Over-parameterized convolutional residual block: `LeakyReLU(x + DOConv3x3(x))`."""

    def __init__(self, width: int, *, over_parameterized: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        if over_parameterized:
            over_parameterize(self.conv)
        self.activation = nn.LeakyReLU(SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.conv(x))


class Distill(nn.Module):
    """A distillation branch: pixel attention, then a 1x1 convolution to half the width, without its activation.

    `distilled` activates all branches of a block at once.
    """

    def __init__(self, width: int, *, pixel_attention: bool) -> None:
        super().__init__()
        self.attention = PixelAttention(width) if pixel_attention else nn.Identity()
        self.conv = Pointwise(width, width // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.attention(x))


def distilled(x: Tensor, refines: nn.ModuleList, distills: nn.ModuleList) -> Tensor:
    """The activated branches of a block on `x` (B, n, H, W) and along its chain, side by side: (B, 2n, H, W)."""
    h = x
    kept = [distills[0](h)]  # (B, n/2, H, W) each
    for refine, distill in zip(refines, distills[1:], strict=True):
        h = refine(h)
        kept.append(distill(h))
    return activated(kept, SLOPE)


class MAFDB(nn.Module):
    """Multi-attention feature distillation block: four branches along a chain of three OPCRB."""

    def __init__(self, settings: MAFDNSettings) -> None:
        super().__init__()
        width = settings.width
        self.distills = nn.ModuleList(Distill(width, pixel_attention=settings.pixel_attention) for _ in range(4))
        self.refines = nn.ModuleList(OPCRB(width, over_parameterized=settings.over_parameterized) for _ in range(3))
        self.channel = ContrastChannelAttention(2 * width) if settings.channel_attention else nn.Identity()
        self.spatial = SpatialAttention() if settings.spatial_attention else nn.Identity()
        self.merge = Pointwise(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        gated = self.spatial(self.channel(distilled(x, self.refines, self.distills)))  # (B, 2n, H, W)
        return x + self.merge(gated)  # (B, n, H, W)


class MAFDN(nn.Module):
    """(B, 3, H, W) float32 RGB in [0, 1] to (B, 3, scale*H, scale*W), not clipped."""

    def __init__(self, settings: MAFDNSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or MAFDNSettings()
        width = settings.width
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(MAFDB(settings) for _ in range(settings.blocks))
        self.fuse = Pointwise(settings.blocks * width, width)
        self.activation = nn.LeakyReLU(SLOPE, inplace=True)
        self.smooth = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, 3 * settings.scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(settings.scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)  # (B, n, H, W)
        fused = self.activation(self.fuse(chain(self.blocks, shallow)))  # (B, n, H, W)
        deep = self.smooth(fused) + shallow  # (B, n, H, W)
        return self.shuffle(self.tail(deep))  # (B, 3, scale*H, scale*W)

    def fold(self) -> "MAFDN":
        """The inference form: a new network in which every DO-Conv is the plain convolution it equals."""
        with torch.device("meta"):
            folded = MAFDN(replace(self.settings, over_parameterized=False))
        folded.load_state_dict(folded_state(self), assign=True)
        return folded.requires_grad_(False).eval()
