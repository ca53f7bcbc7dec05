"""The last convolution of a network whose other weights come from another scale."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mafdn.networks import Network
from mafdn.training.config import LossSettings
from mafdn.training.data.batches import Tensors
from mafdn.training.losses import teacher_share
from mafdn.training.workers import Workers

PIXELS_PER_UNKNOWN = 2000
"""How many LR pixels are used for every unknown of an output channel."""
RIDGE = 1e-6
"""Weight of the penalty on large kernels, relative to the mean square of the inputs."""


@torch.no_grad()
def fit_last_convolution(
    network: Network, batch_of: Callable[[int], Tensors], workers: Workers, loss: LossSettings
) -> int:
    """Fit the last convolution of a network to its targets by least squares, in place.

    The result is linear in this convolution, so that the kernel with the smallest mean squared error has a closed form
    (with a small ridge penalty, Hoerl and Kennard, Technometrics 1970). All processes of a run must call this, each
    with its own patches; all of them obtain the same kernel.

    Args:
        network: The network. It does not change unless its result is the pixel shuffle of its convolution `tail`.
        batch_of: Returns this process's patches of a step.
        workers: The processes of the run.
        loss: How HR and the teacher's result are blended; the shares at the start of the run are used.

    Returns:
        The number of patches used by all processes together; 0 if the network did not change.
    """
    tail = getattr(network, "tail", None)
    if type(tail) is not nn.Conv2d or (bias := tail.bias) is None or not _ends_with(network, tail, batch_of(0)[0]):
        return 0
    inputs, outputs = tail.weight[0].numel() + 1, tail.out_channels
    sums = torch.zeros(inputs, inputs + outputs, dtype=torch.float64, device=tail.weight.device)
    share, step, patches, pixels = teacher_share(loss, 0.0), 0, 0, 0
    with _evaluated(network, tail) as seen:
        while pixels * workers.world < PIXELS_PER_UNKNOWN * inputs:
            lr, hr, teacher = batch_of(step)
            seen.clear()
            network(lr)
            target = hr if teacher is None else torch.lerp(hr, teacher, share)
            rows = F.unfold(F.pad(seen[0], _padding(tail)), tail.kernel_size, dilation=tail.dilation)
            rows = F.pad(rows, (0, 0, 0, 1), value=1.0)
            targets = F.pixel_unshuffle(target, network.settings.scale).flatten(2)  # (B, 3s^2, p*p)
            sums += torch.einsum("bip,bjp->ij", rows.double(), torch.cat([rows, targets], 1).double())
            step, patches, pixels = step + 1, patches + len(lr), pixels + len(lr) * rows.shape[2]
    workers.average([sums])
    squares, products = sums.split([inputs, outputs], dim=1)
    squares = squares + RIDGE * squares.diagonal().mean() * torch.eye(inputs, dtype=sums.dtype, device=sums.device)
    kernel = torch.linalg.solve(squares, products).T  # (3s^2, 9n + 1)
    tail.weight.copy_(kernel[:, :-1].reshape(tail.weight.shape))
    bias.copy_(kernel[:, -1])
    return patches * workers.world


def _padding(tail: nn.Conv2d) -> tuple[int, int, int, int]:
    """The columns and rows of zeros that a convolution adds: left, right, above and below."""
    if tail.padding == "valid":
        return 0, 0, 0, 0
    if tail.padding == "same":
        down, across = (d * (k - 1) for d, k in zip(tail.dilation, tail.kernel_size, strict=True))
        return across // 2, across - across // 2, down // 2, down - down // 2
    down, across = cast(tuple[int, int], tail.padding)
    return across, across, down, down


def _ends_with(network: Network, tail: nn.Conv2d, lr: Tensor) -> bool:
    """Whether the result of a network is the pixel shuffle of a convolution that is one matrix product.

    It is tried on an input of the size of `lr`, as a network from outside may need one.
    """
    scale = network.settings.scale
    if (tail.out_channels, tail.groups, tail.stride, tail.padding_mode) != (3 * scale**2, 1, (1, 1), "zeros"):
        return False
    picture = torch.linspace(0, 1, lr[0].numel(), device=lr.device).view_as(lr[:1])
    with _evaluated(network, tail) as seen:
        result = network(picture)
    shuffled = F.pixel_shuffle(tail(seen[0]), scale)
    return shuffled.shape == result.shape and torch.equal(shuffled, result)


@contextmanager
def _evaluated(network: Network, tail: nn.Conv2d) -> Generator[list[Tensor]]:
    """Put a network into evaluation mode, and append the inputs of its last convolution to a list."""
    seen: list[Tensor] = []
    training = network.training
    network.eval()  # so that running statistics do not change
    hook = tail.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        yield seen
    finally:
        hook.remove()
        network.train(training)
