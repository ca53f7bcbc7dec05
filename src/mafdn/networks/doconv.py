"""Depthwise over-parameterized convolution (DO-Conv) as a parametrization of an ordinary one.

Source: J. Cao et al., "DO-Conv: Depthwise Over-Parameterized Convolutional Layer", IEEE TIP 2022,
arXiv 2006.12030. A trained kernel `W` is composed with a trained depthwise kernel `D`; both are
linear, so the pair folds into one kernel of the ordinary shape and costs nothing at inference.
"""

from contextlib import nullcontext
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class DOConvKernel(nn.Module):
    """Map the trained kernel `W` of shape (C_out, C_in, D_mul) to the effective one, (C_out, C_in, k, k).

    `K[o, i, m] = sum_s (D[i, m, s] + I[m, s]) W[o, i, s]` with `D` of shape (C_in, k*k, D_mul),
    learnable and initially zero, and `I` the fixed (rectangular) identity: over-parameterizing a
    convolution does not change its output.

    Raises `ValueError` if `d_mul` is below `k*k`, where the composition would lose rank.
    """

    def __init__(self, kernel: Tensor, *, d_mul: int | None = None) -> None:
        super().__init__()
        _, in_channels, height, width = kernel.shape
        taps = height * width
        self.size = (height, width)
        self.d_mul = taps if d_mul is None else d_mul
        if self.d_mul < taps:
            raise ValueError(f"d_mul must be at least {taps} for a {height}x{width} kernel, not {d_mul}")
        self.D = nn.Parameter(kernel.new_zeros(in_channels, taps, self.d_mul))
        self.identity: Tensor = nn.Buffer(torch.eye(taps, self.d_mul).to(kernel), persistent=False)

    def forward(self, W: Tensor) -> Tensor:
        out_channels, in_channels, _ = W.shape
        depthwise = self.D + self.identity  # (C_in, k*k, D_mul)
        kind = W.device.type
        # In bf16, D would be rounded to steps of 1/256 and more beside the ones of the identity.
        exact = torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
        with exact:  # one small matrix product per input channel
            kernel = torch.bmm(depthwise, W.permute(1, 2, 0))  # (C_in, k*k, C_out)
        return kernel.permute(2, 0, 1).reshape(out_channels, in_channels, *self.size)

    def right_inverse(self, kernel: Tensor) -> Tensor:
        """The `W` that gives `kernel` while `D` is zero.

        Columns beyond `k*k` have no effect until `D` learns to use them. They start as random values with
        the spread of the kernel: if zero, they and their part of `D` would have no gradient, and equal
        columns would stay equal.
        """
        flat = kernel.flatten(2)
        extra = self.d_mul - flat.shape[2]
        if not extra:
            return flat.clone()
        spread = flat.std() if flat.numel() > 1 else flat.abs().mean()
        return torch.cat([flat, flat.new_empty(*flat.shape[:2], extra).normal_() * spread], dim=2)


def over_parameterize(conv: nn.Conv2d, *, d_mul: int | None = None) -> nn.Conv2d:
    """Turn `conv` into a DO-Conv in place and return it; its output does not change."""
    parametrize.register_parametrization(conv, "weight", DOConvKernel(conv.weight.detach(), d_mul=d_mul))
    return conv


def folded_state(network: nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters of a network, with the equivalent plain kernel for every DO-Conv.

    Names are those of the same network built without over-parameterization. (Removing the parametrizations
    from a deep copy does not work: torch removes them from the class, which the copy shares.)
    """
    state: dict[str, Tensor] = {}
    for prefix, module in network.named_modules():
        if isinstance(module, DOConvKernel | parametrize.ParametrizationList):
            continue
        names = [name for name, _ in module.named_parameters(recurse=False)]
        if parametrize.is_parametrized(module):
            names += list(cast(nn.ModuleDict, module.parametrizations))
        for name in names:
            state[f"{prefix}.{name}".lstrip(".")] = cast(Tensor, getattr(module, name)).detach().clone()
    return state
