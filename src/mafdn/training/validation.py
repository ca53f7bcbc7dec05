"""Validation on the pictures of a bank that are held out of training."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mafdn._support.progress import ignore
from mafdn.errors import ConfigError
from mafdn.pixels import psnr_y
from mafdn.training.data.bank import Bank
from mafdn.training.data.batches import to_tensor
from mafdn.training.data.degrade import DegradeSettings, degrade_picture


def split_bank(bank: Bank, held_out: Sequence[str]) -> tuple[list[int], list[int]]:
    """Split the pictures of a bank into held-out ones and training ones.

    Args:
        bank: The bank.
        held_out: File name patterns, as for `fnmatch`.

    Returns:
        The indices of the pictures whose file name matches a pattern, and those of the others.
    """
    held, training = [], []
    for index, picture in enumerate(bank.pictures):
        name = picture.name.rpartition("/")[2]
        (held if any(fnmatch(name, pattern) for pattern in held_out) else training).append(index)
    return held, training


def check_split(
    bank: Bank, held_out: Sequence[str], *, on_note: Callable[[str], None] = ignore
) -> tuple[list[int], list[int]]:
    """Split the pictures of a bank as `split_bank` does, for a run.

    Args:
        bank: The bank.
        held_out: File name patterns.
        on_note: Called with a message if there is no validation, or a pattern matches nothing.

    Raises:
        ConfigError: The patterns match no picture, or all of them.
    """
    held, training = split_bank(bank, held_out)
    patterns = ", ".join(held_out)
    if held_out and not held:
        raise ConfigError(
            f"data.held_out: no picture in {bank.folder} matches {patterns}; name pictures of this bank, or train "
            "without validation with data.held_out = []"
        )
    if not training:
        raise ConfigError(
            f"data.held_out: all {len(held)} pictures in {bank.folder} match {patterns}, so none are left to train on"
        )
    unused = [pattern for pattern in held_out if not split_bank(bank, [pattern])[0]]
    if unused:
        on_note(f"data.held_out: no picture in {bank.folder} matches {', '.join(unused)}")
    if not held_out:
        on_note("no validation: data.held_out is empty")
    return held, training


@torch.inference_mode()
def held_out_psnr_sum(
    network: nn.Module, bank: Bank, pictures: Sequence[int], *, scale: int, degrade: DegradeSettings | None = None
) -> float:
    """Sum up the luma PSNR of a network over pictures of a bank.

    Args:
        network: Maps (1, 3, H, W) to (1, 3, sH, sW), RGB in [0, 1]; its results are rounded to 8 bits.
        bank: The bank.
        pictures: Indices into `bank.pictures`.
        scale: Which reduction of the pictures to upscale; also the crop border in pixels.
        degrade: How they are degraded; `None` for not at all. The same picture is always degraded in the same way.

    Returns:
        The sum of the PSNR values in dB, so that several processes can share the pictures.
    """
    device = next(network.parameters()).device
    total = 0.0
    for index in pictures:
        lr, hr = bank.lr(index, scale), bank.hr(index)
        random = np.random.default_rng(index)
        if degrade and random.random() < degrade.share:
            lr = degrade_picture(hr, lr, degrade, random)
        output = network(to_tensor(lr[None], device))
        total += psnr_y(_to_picture(output[0]), hr, border=scale)
    return total


def _to_picture(output: Tensor) -> NDArray[np.uint8]:
    """Convert (3, H, W) float in [0, 1] to (H, W, 3) uint8, clipped and rounded."""
    return output.mul(255).clamp(0, 255).round().byte().permute(1, 2, 0).cpu().numpy()
