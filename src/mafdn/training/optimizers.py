"""Optimizers of the training loop: Muon for convolution kernels, Adam for everything else.

Muon: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. `torch.optim.Muon` accepts
two-dimensional parameters only and updates them one by one; this one treats a kernel as the matrix (C_out, C_in*k*k)
and orthogonalizes all kernels of one shape in one batch. Its authors optimize the first and the last layer by AdamW;
here only the shape of a kernel decides, so Muon also updates large kernels of these layers and those of DO-Conv.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from mafdn.errors import ConfigError
from mafdn.training.config import OptimizerSettings

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients a, b and c of the orthogonalizing polynomial."""
MUON_STATE, ADAM_STATE = {"momentum"}, {"step", "exp_avg", "exp_avg_sq"}
"""Names of the state tensors of a parameter."""
SMALLEST_SIDE = 16
"""Kernels whose matrix has a shorter side than this are optimized by Adam."""


class Muon(Optimizer):
    """Nesterov momentum, orthogonalized by five Newton-Schulz steps.

    The update of a kernel whose matrix has r rows and c columns is scaled by `max(1, r/c)**0.5`.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        if closure is not None:
            raise ValueError("Muon does not support a closure")
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[_matrix_shape(parameter)].append(parameter)
            for (rows, columns), parameters in by_shape.items():
                directions = self._directions(parameters, group["momentum"])
                updates = _orthogonalize(torch.stack([d.reshape(rows, columns) for d in directions]))
                rate = group["lr"] * max(1.0, rows / columns) ** 0.5
                shaped = [update.view(p.shape) for p, update in zip(parameters, updates, strict=True)]
                torch._foreach_add_(list[Tensor](parameters), shaped, alpha=-rate)  # pyright: ignore[reportPrivateImportUsage, reportPrivateUsage]

    def _directions(self, parameters: list[nn.Parameter], momentum: float) -> tuple[Tensor, ...]:
        """Compute the Nesterov direction of every parameter, in a few calls for all of them."""
        for parameter in parameters:
            if "momentum" not in self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        gradients = [cast(Tensor, parameter.grad) for parameter in parameters]
        momenta = [cast(Tensor, self.state[parameter]["momentum"]) for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - momentum)  # pyright: ignore[reportPrivateImportUsage, reportPrivateUsage]
        return torch._foreach_lerp(gradients, momenta, momentum)  # pyright: ignore[reportPrivateImportUsage, reportPrivateUsage]


def build_optimizers(network: nn.Module, settings: OptimizerSettings) -> list[Optimizer]:
    """Build one Adam or AdamW, or Muon for the kernels and Adam for the rest; the loop sets the learning rates.

    A small network may have no kernels for Muon, and one without biases may have nothing else: torch refuses an
    optimizer without parameters, so it is left out.
    """
    parameters = list(network.parameters())
    if settings.name == "adam":
        return [Adam(parameters, lr=settings.lr, betas=settings.betas, fused=True)]
    if settings.name == "adamw":
        decay = settings.weight_decay
        return [AdamW(parameters, lr=settings.lr, betas=settings.betas, weight_decay=decay, fused=True)]
    kernels = [p for p in parameters if p.ndim >= 3 and min(_matrix_shape(p)) >= SMALLEST_SIDE]
    chosen = {id(p) for p in kernels}
    rest = [p for p in parameters if id(p) not in chosen]
    optimizers: list[Optimizer] = []
    if kernels:
        optimizers.append(Muon(kernels, lr=settings.lr, momentum=settings.momentum))
    if rest:
        optimizers.append(Adam(rest, lr=settings.small_lr, betas=settings.betas, fused=True))
    return optimizers


def optimizer_tensors(optimizers: Iterable[Optimizer], network: nn.Module) -> dict[str, Tensor]:
    """Return every state tensor of `optimizers` by `NAME_OF_PARAMETER/NAME_OF_STATE`."""
    names = {id(p): name for name, p in network.named_parameters()}
    return {
        f"{names[id(parameter)]}/{key}": value
        for optimizer in optimizers
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def restore_optimizers(optimizers: Iterable[Optimizer], network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Restore the tensors that `optimizer_tensors` returned.

    Parameters that had no gradient yet, such as frozen ones, have none.

    Raises:
        ConfigError: They belong to a different kind of optimizer.
    """
    if not tensors:  # before the first step
        for optimizer in optimizers:
            optimizer.state.clear()
        return
    states: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, value in tensors.items():
        parameter, _, key = name.rpartition("/")
        states[parameter][key] = value
    names = {id(p): name for name, p in network.named_parameters()}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                state = states.get(names[id(parameter)])
                if state is None:
                    optimizer.state.pop(parameter, None)
                    continue
                if state.keys() != (MUON_STATE if isinstance(optimizer, Muon) else ADAM_STATE):
                    raise ConfigError("the run was started with a different optimizer; choose another run.folder")
                optimizer.state[parameter] = {
                    key: value.to(parameter.device, copy=True) for key, value in state.items()
                }


def _matrix_shape(parameter: Tensor) -> tuple[int, int]:
    return parameter.shape[0], parameter[0].numel()


def _orthogonalize(matrices: Tensor) -> Tensor:
    """Approximate the nearest (semi-)orthogonal matrices to a batch (B, rows, columns).

    Applies `X <- (a I + b G + c G G) X` with `G = X X^T` five times. The polynomials in G commute, so they are
    accumulated in one square matrix and G is updated with them: a wide X is multiplied twice instead of ten times.
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT.contiguous() if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    scaled_identity = a * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    gram = x @ x.mT
    accumulated = None
    for last in (False, False, False, False, True):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c).add_(scaled_identity)
        accumulated = factor if accumulated is None else factor @ accumulated
        if not last:
            gram = factor @ gram @ factor
    assert accumulated is not None
    x = accumulated @ x
    return x.mT if tall else x
