"""Networks whose channel gates can be held fixed, which makes the rest a fixed stencil.

A contrast-aware channel attention sees its whole input, so a tile cut from a picture gets other gates than the picture.
With the picture's gates held for all tiles, a pixel of the result depends only on the input pixels within the receptive
radius: tiles with that margin join into exactly the result of the whole picture.
"""

import torch
from torch import Tensor, nn

from mafdn.networks.architectures import Network
from mafdn.networks.fast import contrast
from mafdn.networks.imdn import IMDN
from mafdn.networks.layers import ContrastChannelAttention
from mafdn.networks.mafdn import MAFDN


class Gated(nn.Module):
    """A network that `is_gated`, with its gates as a second input and a second output.

    Maps `x` (N, 3, H, W) and `gates` (blocks, n) to the result (N, 3, scale*H, scale*W) and the gates in use. An
    attention whose `gates` are NaN computes its own, pooled over all of `x`, so that N windows of one picture share one
    set of gates. The computed gates of a later attention follow from those in use before it.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    @property
    def attentions(self) -> list[ContrastChannelAttention]:
        return [module for module in self.network.modules() if isinstance(module, ContrastChannelAttention)]

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (blocks, n) of `gates`."""
        return len(self.attentions), self.attentions[0].expand.out_channels

    def forward(self, x: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
        used: list[Tensor] = []

        def hold(attention: ContrastChannelAttention, inputs: tuple[Tensor]) -> tuple[Tensor, Tensor]:
            computed = attention.gates(contrast(inputs[0], dims=(0, 2, 3)))  # (1, n, 1, 1)
            held = gates[len(used)].view(1, -1, 1, 1)
            used.append(torch.where(held.isnan(), computed, held))
            return inputs[0], used[-1]

        handles = [attention.register_forward_pre_hook(hold) for attention in self.attentions]
        try:
            return self.network(x), torch.cat(used).flatten(1)
        finally:
            for handle in handles:
                handle.remove()


def is_gated(network: Network) -> bool:
    """Whether `network` is a fixed stencil except for contrast-aware channel attentions, and has at least one."""
    return isinstance(network, MAFDN | IMDN) and bool(Gated(network).attentions)


def receptive_radius(network: Network) -> int:
    """How far, in input pixels, a pixel of the result depends on the input while the gates are held.

    Found by placing one NaN in a row of pixels, then in a column: every output that depends on it becomes NaN. The
    weights do not matter and are set to 0. Computed in float64, whose convolutions read nothing but their operands.

    Args:
        network: One that `is_gated`.
    """
    gated, scale, reach = _in_float64(network), network.settings.scale, 8
    for parameter in gated.parameters():
        parameter.zero_()
    gates = torch.full(gated.shape, 0.5, dtype=torch.float64)
    while True:
        radii: list[int] = []
        for axis in (2, 3):
            shape = [1, 3, 1, 1]
            shape[axis] = 2 * reach + 1
            x = torch.zeros(shape, dtype=torch.float64)
            x.select(axis, reach).fill_(torch.nan)
            with torch.inference_mode():
                affected = gated(x, gates)[0].isnan().amax((0, 1, 5 - axis)).nonzero().flatten() // scale
            radii += [reach - int(affected.min()), int(affected.max()) - reach]
        if max(radii) < reach:
            return max(radii)
        reach *= 2  # the effect reaches the end of the row: take a longer one


def influence(network: Network, x: Tensor, radius: int) -> list[float]:
    """The largest change at each distance from a cut when a picture is cut in half and the gates are held.

    Args:
        network: One that `is_gated`.
        x: The picture, (1, 3, H, W) in [0, 1]; each of its four halves must be larger than `radius`.
        radius: The largest distance measured, in input pixels.

    Returns:
        At index `d` the largest change of output pixels with `d` input pixels between them and the cut. Computed in
        float64, so that rounding does not show.
    """
    gated, scale = _in_float64(network), network.settings.scale
    changes: list[Tensor] = []
    with torch.inference_mode():
        for turn in range(4):
            turned = x.double().rot90(turn, (2, 3))
            top = turned.shape[2] // 2
            whole, gates = gated(turned, torch.full(gated.shape, torch.nan, dtype=torch.float64))
            half, _ = gated(turned[:, :, top:], gates)
            lines = (half - whole[:, :, top * scale :]).abs().amax((0, 1, 3))  # (scale * H/2,)
            changes.append(lines.unflatten(0, (-1, scale)).amax(1)[: radius + 1])
    return torch.stack(changes).amax(0).tolist()


def _in_float64(network: Network) -> Gated:
    """A copy of the folded network in float64."""
    return Gated(network.fold()).double()
