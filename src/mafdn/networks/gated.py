"""A network whose channel gates can be held fixed, which makes everything in it a fixed stencil.

Public names: :class:`Gated`, :func:`is_gated`, :func:`receptive_radius`, :func:`influence`.

A contrast-aware channel attention looks at its whole input, so a tile cut from a picture is gated differently. With the
picture's gates held for all of its tiles, a pixel of the result depends on the input pixels within the receptive
radius and on nothing else: tiles with that much around them join into exactly what the whole picture gives.
"""

import copy

import torch
from torch import Tensor, nn

from mafdn.networks.architectures import Network
from mafdn.networks.attention import ContrastChannelAttention
from mafdn.networks.fast import contrast
from mafdn.networks.imdn import IMDN
from mafdn.networks.mafdn import MAFDN


class Gated(nn.Module):
    """A network that :func:`is_gated`, its gates a second input and a second output.

    Maps ``x`` (N, 3, H, W) and ``gates`` (blocks, n) to the result (N, 3, scale*H, scale*W) and the gates in use. Where
    ``gates`` is NaN an attention takes its own, pooled over all of ``x``: N windows of one picture have one set of
    gates. The own gates of a later attention follow from those in use before it.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    @property
    def attentions(self) -> list[ContrastChannelAttention]:
        return [module for module in self.network.modules() if isinstance(module, ContrastChannelAttention)]

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (blocks, n) of ``gates``."""
        return len(self.attentions), self.attentions[0].expand.out_channels

    def forward(self, x: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
        used: list[Tensor] = []

        def hold(attention: ContrastChannelAttention, inputs: tuple[Tensor]) -> tuple[Tensor, Tensor]:
            own = attention.gates(contrast(inputs[0], dims=(0, 2, 3)))  # (1, n, 1, 1)
            given = gates[len(used)].view(1, -1, 1, 1)
            used.append(torch.where(given.isnan(), own, given))
            return inputs[0], used[-1]

        handles = [attention.register_forward_pre_hook(hold) for attention in self.attentions]
        try:
            return self.network(x), torch.cat(used).flatten(1)
        finally:
            for handle in handles:
                handle.remove()


def is_gated(network: Network) -> bool:
    """Whether ``network`` is a fixed stencil but for its contrast-aware channel attentions, of which it has some."""
    return isinstance(network, MAFDN | IMDN) and bool(Gated(network).attentions)


def receptive_radius(network: Network) -> int:
    """How far, in input pixels, a pixel of the result can see when the gates are held fixed.

    Found by putting one NaN into a row of pixels, then into a column: whatever depends on it becomes NaN, whatever
    the weights, which are set to 0. In float64, whose convolutions touch nothing but what they sum. A fixed stencil is
    assumed: :func:`is_gated`.
    """
    gated, scale, reach = _precise(network), network.settings.scale, 8
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
                seen = gated(x, gates)[0].isnan().amax((0, 1, 5 - axis)).nonzero().flatten() // scale
            radii += [reach - int(seen.min()), int(seen.max()) - reach]
        if max(radii) < reach:
            return max(radii)
        reach *= 2  # it reaches the end of the row: take a longer one


def influence(network: Network, x: Tensor, radius: int) -> list[float]:
    """The largest change at each distance from a cut, up to ``radius``, when ``x`` (1, 3, H, W) is cut in half.

    The gates stay those of ``x``. Item ``d`` is for the result's pixels that have ``d`` input pixels between them and
    the cut; each of the four halves must be larger than ``radius``. In float64, so that nothing is mistaken for noise.
    """
    gated, scale = _precise(network), network.settings.scale
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


def _precise(network: Network) -> Gated:
    """A copy of the folded network in float64."""
    return Gated(copy.deepcopy(network.fold())).double()
