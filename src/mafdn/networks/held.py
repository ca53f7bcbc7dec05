"""Networks with their channel gates held at constants, for programs that cut tiles themselves.

A contrast-aware channel attention sees its whole input, so each tile that a host cuts gets other gates, and the tiles
do not match at their borders. With constant gates a network is a fixed stencil: tiles that overlap by its halo join
into the result of the whole picture.
"""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from mafdn.networks.gated import Gated
from mafdn.networks.mafdn import MAFDN


def typical_gates(network: MAFDN, pictures: Iterable[Tensor]) -> Tensor:
    """The mean gates of pictures.

    Args:
        network: One with channel attention.
        pictures: LR pictures, (1, 3, H, W) float32 RGB in [0, 1]; at least one.

    Returns:
        The gates, (blocks, 2n) in (0, 1).
    """
    gated = Gated(network.fold())
    with torch.inference_mode():
        own = torch.full(gated.shape, torch.nan)
        return torch.stack([gated(picture, own)[1] for picture in pictures]).mean(0)


def held(network: MAFDN, gates: Tensor) -> MAFDN:
    """The folded network with its channel gates held at `gates` (blocks, 2n), as one without channel attention.

    The gates are positive, and LeakyReLU(g x) = g LeakyReLU(x) for g > 0, so each gate becomes a factor of the
    convolution that computes its channel. The result is exact up to rounding.

    Raises:
        ValueError: The gates have another shape, are not positive, or the network has no channel attention.
    """
    folded = network.fold()
    settings = folded.settings
    if not settings.channel_attention:
        raise ValueError("the network has no channel attention")
    if gates.shape != Gated(folded).shape or not bool((gates > 0).all()):
        raise ValueError(f"gates must be positive and of shape {Gated(folded).shape}")
    state = {name: tensor for name, tensor in folded.state_dict().items() if ".channel." not in name}
    for block in range(settings.blocks):
        for branch, factor in enumerate(gates[block].chunk(4)):  # (n/2,): the channels of one branch
            name = f"blocks.{block}.distills.{branch}.conv"
            state[f"{name}.weight"] = state[f"{name}.weight"] * factor.view(-1, 1, 1, 1)
            state[f"{name}.bias"] = state[f"{name}.bias"] * factor
    with torch.device("meta"):
        network = MAFDN(replace(settings, channel_attention=False))
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()
