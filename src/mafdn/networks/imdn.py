"""IMDN, the information multi-distillation network, on which MAFDN builds.

Paper: Z. Hui, X. Gao, Y. Yang, X. Wang, "Lightweight Image Super-Resolution with Information Multi-distillation
Network", ACM Multimedia 2019, doi 10.1145/3343031.3351084, arXiv 1909.11856.

Written from the paper; nothing is reconstructed. The authors' released weights load (`mafdn.networks.checkpoints`) and
reach the paper's figures. One difference: the root in the channel attention has
`mafdn.networks.fast.CONTRAST_EPSILON` inside, which changes no printed figure.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mafdn.networks.fast import Pointwise
from mafdn.networks.layers import ContrastChannelAttention, chain, check_sizes

SLOPE = 0.05
"""Negative slope of every LeakyReLU."""


@dataclass(frozen=True, kw_only=True)
class IMDNSettings:
    """Settings of an IMDN; the defaults are the published network at x4. Each step distills a quarter of the width."""

    scale: int = 4
    width: int = 64
    blocks: int = 6

    def __post_init__(self) -> None:
        check_sizes(scale=self.scale, width=self.width, blocks=self.blocks, multiple=4)


class IMDB(nn.Module):
    """Information multi-distillation block: each of four steps distills a quarter of the channels (Sec. 3.2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kept = width // 4
        rest = width - self.kept
        sizes = [(width, width), (rest, width), (rest, width), (rest, self.kept)]
        self.refines = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in sizes)
        self.channel = ContrastChannelAttention(width)
        self.merge = Pointwise(width, width)

    def forward(self, x: Tensor) -> Tensor:
        h, parts = x, list[Tensor]()
        for refine in self.refines[:3]:
            refined = F.leaky_relu(refine(h), SLOPE)  # (B, n, H, W)
            part, h = refined.split((self.kept, refined.shape[1] - self.kept), dim=1)
            parts.append(part)  # (B, n/4, H, W)
        parts.append(self.refines[3](h))
        return x + self.merge(self.channel(torch.cat(parts, dim=1)))


class IMDN(nn.Module):
    """(B, 3, H, W) float32 RGB in [0, 1] to (B, 3, scale*H, scale*W), not clipped."""

    def __init__(self, settings: IMDNSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or IMDNSettings()
        width = settings.width
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(IMDB(width) for _ in range(settings.blocks))
        self.fuse = Pointwise(settings.blocks * width, width)
        self.smooth = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, 3 * settings.scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(settings.scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)  # (B, n, H, W)
        fused = F.leaky_relu(self.fuse(chain(self.blocks, shallow)), SLOPE)
        return self.shuffle(self.tail(self.smooth(fused) + shallow))

    def fold(self) -> "IMDN":
        """The inference form: a copy, because there is nothing to fold."""
        return copy.deepcopy(self).requires_grad_(False).eval()
