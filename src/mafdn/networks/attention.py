"""The three attentions of MAFDN, pixel, spatial and contrast-aware channel attention, and the mean that others pool by.

Public names: :class:`PixelAttention`, :class:`SpatialAttention`, :class:`ContrastChannelAttention`, :class:`Mean`.
Each attention maps (B, n, H, W) to (B, n, H, W) and multiplies its input by gates in (0, 1).
"""

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
        """(B, n, H, W) to one gate in (0, 1) per pixel, (B, 1, H, W)."""
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
        return x * (self.gates(contrast(x)) if gates is None else gates)

    def gates(self, statistics: Tensor) -> Tensor:
        """(B, n, 1, 1), as :func:`mafdn.networks.fast.contrast` makes them, to gates in (0, 1)."""
        squeezed = torch.relu(self.squeeze(statistics))  # (B, hidden, 1, 1)
        return torch.sigmoid(self.expand(squeezed))


class Mean(nn.Module):
    """The mean over ``dims``, each kept with length 1; a module, so that it can be counted."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.dims, keepdim=True)
