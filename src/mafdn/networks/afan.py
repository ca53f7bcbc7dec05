"""An AFAN-style reconstruction (fits 692K / 50.90G); not the published network.

Paper: Wang, Li, Tang, Liang, "Image Super-Resolution via Lightweight Attention-Directed Feature Aggregation Network",
ACM Transactions on Multimedia Computing, Communications and Applications 19(2), 2023, doi 10.1145/3546076.

Published (abstract): chained multi-aware attention modules (MAAM); in each, a space-aware (SAAB) and a dimension-aware
attention block (DAAB) give coefficients that recalibrate the features of an asymmetric convolution residual block
(ACRB); a simple channel attention module (SCAM) in the last. At x4 692K parameters and 50.90G Multi-Adds, as MAFDN's
abstract says. Reconstructed here: everything else, the widths, the number of modules, the order and shape of all
parts, activations and upsampler. Both counts fit by construction; they say nothing about the published network's
quality.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mafdn.networks.fast import Pointwise
from mafdn.networks.layers import Mean, chain, check_sizes


@dataclass(frozen=True, kw_only=True)
class AFANSettings:
    """Settings of the reconstruction; the defaults fit the published counts at x4.

    `asymmetric` selects the training form, in which a 1x3 and a 3x1 convolution run in parallel to a 3x3.
    """

    scale: int = 4
    width: int = 42
    blocks: int = 7
    asymmetric: bool = True

    def __post_init__(self) -> None:
        check_sizes(scale=self.scale, width=self.width, blocks=self.blocks, multiple=1)


class Asymmetric(nn.Module):
    """The sum of a 3x3, a 1x3 and a 3x1 convolution (ACNet: Ding et al., ICCV 2019); one 3x3 equals it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.square = nn.Conv2d(width, width, 3, padding=1)
        self.row = nn.Conv2d(width, width, (1, 3), padding=(0, 1))
        self.column = nn.Conv2d(width, width, (3, 1), padding=(1, 0))

    def forward(self, x: Tensor) -> Tensor:
        return self.square(x) + self.row(x) + self.column(x)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Kernel (n, n, 3, 3) and bias (n,) of the equivalent 3x3 convolution."""
        with torch.no_grad():
            row, column = F.pad(self.row.weight, (0, 0, 1, 1)), F.pad(self.column.weight, (1, 1, 0, 0))
            biases = [conv.bias for conv in (self.square, self.row, self.column) if conv.bias is not None]
            return self.square.weight + row + column, torch.stack(biases).sum(0)


class ACRB(nn.Module):
    """Asymmetric convolution residual block: `x + AC(relu(AC(x)))`."""

    def __init__(self, width: int, *, asymmetric: bool) -> None:
        super().__init__()
        self.first, self.second = (
            Asymmetric(width) if asymmetric else nn.Conv2d(width, width, 3, padding=1) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.relu(self.first(x)))


class SpaceAware(nn.Module):
    """SAAB: gates (B, n, H, W) from the neighborhood of each pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(width, width, 3, padding=1)
        self.mix = Pointwise(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.mix(torch.relu(self.near(x))))


class DimensionAware(nn.Module):
    """DAAB: gates (B, n, H, W) from means over the picture, over rows and over columns."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(1, width // 4)
        self.means = nn.ModuleList(Mean(dims) for dims in ((2, 3), (3,), (2,)))
        self.squeeze = nn.Conv2d(width, hidden, 1)
        self.expands = nn.ModuleList(nn.Conv2d(hidden, width, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        # (B, n, 1, 1), (B, n, H, 1) and (B, n, 1, W)
        over = [
            expand(torch.relu(self.squeeze(mean(x)))) for mean, expand in zip(self.means, self.expands, strict=True)
        ]
        return torch.sigmoid(over[0] + over[1] + over[2])


class SCAM(nn.Module):
    """Simple channel attention: a gate per channel from its mean (squeeze and excitation, reduction 16)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(1, width // 16)
        self.mean = Mean((2, 3))
        self.squeeze = nn.Conv2d(width, hidden, 1)
        self.expand = nn.Conv2d(hidden, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.expand(torch.relu(self.squeeze(self.mean(x)))))


class MAAM(nn.Module):
    """Multi-aware attention module: the features of an ACRB under both kinds of gates, merged; `last` adds SCAM."""

    def __init__(self, width: int, *, asymmetric: bool, last: bool) -> None:
        super().__init__()
        self.residual = ACRB(width, asymmetric=asymmetric)
        self.space = SpaceAware(width)
        self.dimension = DimensionAware(width)
        self.merge = Pointwise(2 * width, width)
        self.channel = SCAM(width) if last else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        f = self.residual(x)
        gated = torch.cat([f * self.space(f), f * self.dimension(f)], dim=1)  # (B, 2n, H, W)
        return x + self.channel(self.merge(gated))


class AFAN(nn.Module):
    """(B, 3, H, W) float32 RGB in [0, 1] to (B, 3, scale*H, scale*W), not clipped."""

    def __init__(self, settings: AFANSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or AFANSettings()
        width, blocks = settings.width, settings.blocks
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            MAAM(width, asymmetric=settings.asymmetric, last=i == blocks - 1) for i in range(blocks)
        )
        self.fuse = Pointwise(blocks * width, width)
        self.smooth = nn.Conv2d(width, width, 3, padding=1)
        factors = {2: (2,), 3: (3,), 4: (2, 2)}[settings.scale]
        self.upsampler = nn.Sequential(
            *(
                part
                for factor in factors
                for part in (nn.Conv2d(width, width * factor**2, 3, padding=1), nn.PixelShuffle(factor))
            )
        )
        self.tail = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)  # (B, n, H, W)
        deep = self.smooth(self.fuse(chain(self.blocks, shallow))) + shallow
        return self.tail(self.upsampler(deep))  # (B, n, sH, sW) before the tail

    def fold(self) -> "AFAN":
        """The inference form: a new network with the equivalent 3x3 for every asymmetric convolution."""
        with torch.device("meta"):
            folded = AFAN(replace(self.settings, asymmetric=False))
        state = {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}
        for prefix, module in self.named_modules():
            if isinstance(module, Asymmetric):
                for name in module.state_dict():
                    del state[f"{prefix}.{name}"]
                state[f"{prefix}.weight"], state[f"{prefix}.bias"] = module.folded()
        folded.load_state_dict(state, assign=True)
        return folded.requires_grad_(False).eval()
