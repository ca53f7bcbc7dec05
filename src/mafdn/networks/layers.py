"""Layers that several networks share, and the rules that all settings obey.

Shapes: B pictures, n channels, height H, width W. Each attention maps (B, n, H, W) to (B, n, H, W) by multiplying its
input by gates in (0, 1).
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from mafdn.networks.fast import Pointwise, contrast, mean_and_maximum


class PixelAttention(nn.Module):
    """A gate per channel and pixel from a 1x1 convolution (PAN: Zhao et al., ECCVW 2020, Sec. 3.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Pointwise(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.conv(x))


class SpatialAttention(nn.Module):
    """A gate per pixel from the mean and maximum over channels (CBAM: Woo et al., ECCV 2018, Eq. 3)."""

    def __init__(self, kernel_size: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)

    def gate(self, x: Tensor) -> Tensor:
        """The gates of `x` (B, n, H, W): one per pixel, (B, 1, H, W)."""
        return torch.sigmoid(self.conv(mean_and_maximum(x)))


class ContrastChannelAttention(nn.Module):
    """A gate per channel from its mean plus standard deviation (IMDN: Hui et al., ACM MM 2019, Eq. 5).

    The only part of MAFDN that looks beyond a neighborhood: both statistics are over the whole input.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor, gates: Tensor | None = None) -> Tensor:
        """Multiply `x` by its gates, or by `gates` (B or 1, n, 1, 1) if they are passed in."""
        return x * (self.gates(contrast(x)) if gates is None else gates)

    def gates(self, statistics: Tensor) -> Tensor:
        """The gates for `statistics` (B, n, 1, 1), which `mafdn.networks.fast.contrast` computes; same shape."""
        squeezed = torch.relu(self.squeeze(statistics))  # (B, hidden, 1, 1)
        return torch.sigmoid(self.expand(squeezed))


class Mean(nn.Module):
    """The mean over `dims`, which keep length 1; a module so that its cost can be counted."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.dims, keepdim=True)


def chain(blocks: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Pass `x` (B, n, H, W) through `blocks` in turn; returns all k results side by side, (B, k*n, H, W)."""
    outputs: list[Tensor] = []
    for block in blocks:
        x = block(x)
        outputs.append(x)
    return torch.cat(outputs, dim=1)


def check_sizes(*, scale: int, width: int, blocks: int, multiple: int) -> None:
    """Raise `ValueError` unless the scale is 2, 3 or 4, the width a multiple of `multiple`, and blocks at least 1."""
    if scale not in (2, 3, 4):
        raise ValueError(f"scale must be 2, 3 or 4, not {scale}")
    if width < multiple or width % multiple:
        rule = {1: "", 2: "even and "}.get(multiple, f"a multiple of {multiple} and ")
        raise ValueError(f"width must be {rule}at least {multiple}, not {width}")
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1, not {blocks}")
