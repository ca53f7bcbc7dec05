"""DDistill-SR, reparameterized dynamic distillation, in its inference form.

Paper: Y. Wang et al., "DDistill-SR: Reparameterized Dynamic Distillation Network for Lightweight Image
Super-Resolution", IEEE Transactions on Multimedia 2022, doi 10.1109/TMM.2022.3219646, arXiv 2312.14551.

Written from the paper, and from the names and shapes of the tensors in the authors' released x4 weights (inference
form: the parallel convolutions of its training form are merged). What both leave open was found by experiment: the
means and variances of the batch norms reveal what their inputs were, and of the remaining choices one reproduces the
released weights' 32.28 dB / 0.8961 on Set5. Every other choice tried costs 0.3 dB or more there. Found:

- the hard sigmoid is `relu6(x + 3) / 3`, in (0, 2), for the gate on the squeezed mean and for the scale per channel;
- the dynamic residual is `leave(e + norm2(phi e))` with `e = norm1(enter(x))`: the second norm sees the product;
- the scale is on the 3x3 convolution only; LeakyReLU comes after the residual is added, and not in the last unit;
- the fourth branch of a block has no activation;
- the pixel attention of a block is computed from the merged features; the residual it gates is added to them and is
  also the block's output to the second stream; ESA comes last, and no skip connection spans a block.

No weights are public for x2 and x3; the names of the last convolutions are assumed to follow those of x4.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mafdn.networks.fast import Pointwise
from mafdn.networks.layers import Mean, check_sizes

SLOPE = 0.05
"""Negative slope of the LeakyReLU within blocks."""
FUSION_SLOPE = 0.1
"""Negative slope of the LeakyReLU after each fusion of streams."""
RANK = 16
"""Channels inside a dynamic residual."""
SMALLEST = 15
"""Smallest height and width of an input, in pixels; ESA's pooling window does not fit into less."""


@dataclass(frozen=True, kw_only=True)
class DDistillSettings:
    """Settings of a DDistill-SR; the defaults are the published network at x4."""

    scale: int = 4
    width: int = 56
    blocks: int = 4

    def __post_init__(self) -> None:
        check_sizes(scale=self.scale, width=self.width, blocks=self.blocks, multiple=4)


class DynamicResidual(nn.Module):
    """A 1x1 mapping through `RANK` channels that depends on the picture, and a scale per channel.

    Maps x (B, n, H, W) to the residual (B, n, H, W) and the scale (B, n, 1, 1) in (0, 2). After dynamic convolution
    decomposition (Y. Li et al., ICLR 2021): `P (I + norm2 phi(x)) Q x`.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean = Mean((2, 3))
        self.squeeze = nn.Linear(width, RANK, bias=False)
        self.gate = nn.Linear(RANK, RANK, bias=False)
        self.mix = nn.Linear(RANK, RANK * RANK, bias=False)
        self.scale = nn.Linear(RANK, width, bias=False)
        self.enter = nn.Conv2d(width, RANK, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(RANK)
        self.norm2 = nn.BatchNorm2d(RANK)
        self.leave = nn.Conv2d(RANK, width, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        squeezed = self.squeeze(self.mean(x).flatten(1))  # (B, RANK)
        squeezed = squeezed * _hard_sigmoid(self.gate(squeezed))
        phi = self.mix(squeezed).unflatten(1, (RANK, RANK))
        entered = self.norm1(self.enter(x))  # (B, RANK, H, W)
        mixed = torch.matmul(phi, entered.flatten(2)).reshape(entered.shape)
        return self.leave(entered + self.norm2(mixed)), _hard_sigmoid(self.scale(squeezed))[:, :, None, None]


class RDU(nn.Module):
    """Reparameterized dynamic unit: a scaled 3x3 convolution plus a dynamic residual. Returns sum and residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.residual = DynamicResidual(width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        residual, scale = self.residual(x)
        return scale * self.conv(x) + residual, residual


class ESA(nn.Module):
    """Enhanced spatial attention: gates from a coarse, wide view (RFANet: J. Liu et al., CVPR 2020)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = width // 4
        self.reduce = Pointwise(width, hidden)
        self.shrink = nn.Conv2d(hidden, hidden, 3, stride=2)
        self.coarse = nn.ModuleList(nn.Conv2d(hidden, hidden, 3, padding=1) for _ in range(3))
        self.direct = Pointwise(hidden, hidden)
        self.expand = Pointwise(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.reduce(x)  # (B, n/4, H, W)
        far = F.max_pool2d(self.shrink(reduced), 7, stride=3)
        far = self.coarse[2](torch.relu(self.coarse[1](torch.relu(self.coarse[0](far)))))
        far = F.interpolate(far, size=x.shape[2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.expand(far + self.direct(reduced)))


class DFDB(nn.Module):
    """Dynamic feature distillation block: returns features and a gated residual, both (B, n, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.keeps = nn.ModuleList(Pointwise(width, width // 2) for _ in range(3))
        self.units = nn.ModuleList(RDU(width) for _ in range(3))
        self.last = Pointwise(width, width // 2)
        self.merge = Pointwise(2 * width, width)
        self.gather = Pointwise(4 * width, width)
        self.gate = Pointwise(width, width)
        self.attention = ESA(width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h, kept, residuals = x, list[Tensor](), [x]
        for keep, unit in zip(self.keeps, self.units, strict=True):
            kept.append(F.leaky_relu(keep(h), SLOPE))  # (B, n/2, H, W)
            h, residual = unit(h)
            h = F.leaky_relu(h, SLOPE)
            residuals.append(residual)
        merged = self.merge(torch.cat([*kept, self.last(h)], dim=1))
        gathered = self.gather(torch.cat(residuals, dim=1)) * torch.sigmoid(self.gate(merged))
        return self.attention(merged + gathered), gathered


class DDistillSR(nn.Module):
    """(B, 3, H, W) float32 RGB in [0, 1] to (B, 3, scale*H, scale*W), not clipped.

    H and W must be at least `SMALLEST`; torch raises `RuntimeError` for less.
    """

    def __init__(self, settings: DDistillSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or DDistillSettings()
        width, blocks = settings.width, settings.blocks
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(DFDB(width) for _ in range(blocks))
        self.fuse = Pointwise(blocks * width, width)
        self.fuse_residuals = Pointwise(blocks * width, width)
        self.gate = Pointwise(width, width)
        self.smooth = RDU(width)
        self.tail = nn.Conv2d(width, 3 * settings.scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(settings.scale)
        self.finish = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)  # (B, n, H, W)
        h, outputs, residuals = shallow, list[Tensor](), list[Tensor]()
        for block in self.blocks:
            h, residual = block(h)
            outputs.append(h)
            residuals.append(residual)
        fused = F.leaky_relu(self.fuse(torch.cat(outputs, dim=1)), FUSION_SLOPE)
        second = F.leaky_relu(self.fuse_residuals(torch.cat(residuals, dim=1)), FUSION_SLOPE)
        deep, _ = self.smooth(fused + second * torch.sigmoid(self.gate(fused)))
        return self.finish(self.shuffle(self.tail(deep + shallow)))

    def fold(self) -> "DDistillSR":
        """The inference form: a copy, because the released weights are folded already."""
        return copy.deepcopy(self).requires_grad_(False).eval()


def _hard_sigmoid(x: Tensor) -> Tensor:
    """`relu6(x + 3) / 3`: twice the usual hard sigmoid, so that 0 scales by 1."""
    return F.relu6(x + 3) / 3
