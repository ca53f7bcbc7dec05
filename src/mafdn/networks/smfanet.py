"""SMFANet+, self-modulation feature aggregation: stronger than MAFDN with fewer parameters, and its teacher.

Paper: M. Zheng, L. Sun, J. Dong, J. Pan, "SMFANet: A Lightweight Self-Modulation Feature Aggregation Network for
Efficient Image Super-Resolution", ECCV 2024, doi 10.1007/978-3-031-72973-7_21.

Written from the paper, and from the names and shapes of the tensors in the authors' released weights (Apache-2.0,
trained on DF2K). Nothing is reconstructed: the released weights reach 38.185, 34.665 and 32.511 dB on Set5 at x2, x3
and x4. The defaults are SMFANet+, the larger of the two published networks.

The variance and the pooled branch of every block depend on the whole input, so run the network on whole pictures, not
on small patches or tiles.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mafdn.networks.fast import Pointwise
from mafdn.networks.layers import check_sizes

REDUCTION = 8
"""Factor by which the input of the coarse branch is reduced."""
SMALLEST = REDUCTION
"""Smallest height and width of an input, in pixels."""
WIDEST_WINDOW = 2 * REDUCTION - 1
"""Most rows or columns that one window of the adaptive pooling covers: an input of 15 has one window."""


@dataclass(frozen=True, kw_only=True)
class SMFANetSettings:
    """Settings of an SMFANet; the defaults are the published SMFANet+ at x4."""

    scale: int = 4
    width: int = 48
    blocks: int = 12

    def __post_init__(self) -> None:
        check_sizes(scale=self.scale, width=self.width, blocks=self.blocks, multiple=2)


class DetailBranch(nn.Module):
    """Local detail estimation: a depthwise 3x3 convolution and two 1x1, (B, n, H, W) to (B, n, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, 2 * width, 3, padding=1, groups=width)
        self.expand = Pointwise(2 * width, 2 * width)
        self.reduce = Pointwise(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduce(F.gelu(self.expand(self.depthwise(x))))


class SMFA(nn.Module):
    """Self-modulation feature aggregation (Sec. 3.2): a coarse gate on half of the channels, detail in the other half.

    The gate is computed from maxima over windows of about 8x8 pixels and from the variance over the whole input.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.split = Pointwise(width, 2 * width)
        self.coarse = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.coarse_factor = nn.Parameter(torch.ones(1, width, 1, 1))
        self.variance_factor = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.gate = Pointwise(width, width)
        self.detail = DetailBranch(width)
        self.merge = Pointwise(width, width)

    def forward(self, x: Tensor) -> Tensor:
        local, modulated = self.split(x).chunk(2, dim=1)  # (B, n, H, W) each
        coarse = self.coarse(windowed_maximum(modulated))  # (B, n, H // 8, W // 8)
        variance = modulated.var((2, 3), keepdim=True)  # (B, n, 1, 1), unbiased
        gate = F.gelu(self.gate(coarse * self.coarse_factor + variance * self.variance_factor))
        gated = modulated * nearest(gate, modulated.shape[2], modulated.shape[3])
        return self.merge(gated + self.detail(local))


class PCFN(nn.Module):
    """Partial convolution-based feed-forward network (Sec. 3.3): a 3x3 convolution on a quarter of the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolved = 2 * width // 4
        self.expand = Pointwise(width, 2 * width)
        self.partial = nn.Conv2d(self.convolved, self.convolved, 3, padding=1)
        self.reduce = Pointwise(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.expand(x))  # (B, 2n, H, W)
        part, rest = h.split((self.convolved, h.shape[1] - self.convolved), dim=1)
        return self.reduce(torch.cat([F.gelu(self.partial(part)), rest], dim=1))


class FMB(nn.Module):
    """Feature modulation block: `x + SMFA(N(x))`, then `x + PCFN(N(x))`; `N` scales each pixel to length 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.modulate = SMFA(width)
        self.feed = PCFN(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.modulate(F.normalize(x, dim=1))
        return x + self.feed(F.normalize(x, dim=1))


class SMFANet(nn.Module):
    """(B, 3, H, W) float32 RGB in [0, 1] to (B, 3, scale*H, scale*W), not clipped.

    H and W must be at least `SMALLEST`; torch raises `RuntimeError` for less.
    """

    def __init__(self, settings: SMFANetSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or SMFANetSettings()
        width = settings.width
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(*(FMB(width) for _ in range(settings.blocks)))
        self.tail = nn.Conv2d(width, 3 * settings.scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(settings.scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)  # (B, n, H, W)
        return self.shuffle(self.tail(self.blocks(shallow) + shallow))

    def fold(self) -> "SMFANet":
        """The inference form: a copy, because there is nothing to fold."""
        return copy.deepcopy(self).requires_grad_(False).eval()


def windowed_maximum(x: Tensor) -> Tensor:
    """Maxima over windows of about 8x8 pixels: (B, n, H, W) to (B, n, H // 8, W // 8), adaptive max pooling.

    ONNX has no adaptive pooling; an exported network gathers the rows of each window, then its columns, at any size.
    """
    if not torch.compiler.is_exporting():
        return F.adaptive_max_pool2d(x, (x.shape[2] // REDUCTION, x.shape[3] // REDUCTION))
    for dim in (2, 3):
        size = x.shape[dim]
        windows = size // REDUCTION
        number = torch.arange(windows, device=x.device)
        first, end = number * size // windows, ((number + 1) * size + windows - 1) // windows
        taps = torch.minimum(first[:, None] + torch.arange(WIDEST_WINDOW, device=x.device), end[:, None] - 1)
        x = x.index_select(dim, taps.flatten()).unflatten(dim, (windows, WIDEST_WINDOW)).amax(dim + 1)
    return x


def nearest(x: Tensor, height: int, width: int) -> Tensor:
    """Enlarge `x` (B, n, h, w) to (B, n, height, width) by repeating the nearest pixels.

    An exported network computes the indices as torch does, because engines round differently at some sizes.
    """
    if not torch.compiler.is_exporting():
        return F.interpolate(x, size=(height, width), mode="nearest")
    for dim, size in ((2, height), (3, width)):
        ratio = torch.scalar_tensor(x.shape[dim], dtype=torch.float32) / size
        index = (torch.arange(size, device=x.device, dtype=torch.float32) * ratio).long()
        x = x.index_select(dim, index)
    return x
