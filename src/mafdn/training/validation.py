"""How good a network is on the pictures of a bank that were held out.

Public names: :func:`split_bank`, :func:`held_out_psnr_sum`.
"""

from collections.abc import Sequence
from fnmatch import fnmatch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mafdn.pixels import psnr_y
from mafdn.training.batches import to_tensor
from mafdn.training.data.bank import Bank


def split_bank(bank: Bank, held_out: Sequence[str]) -> tuple[list[int], list[int]]:
    """The indices of the pictures whose file names match a pattern of ``held_out``, and of the others."""
    held, training = [], []
    for index, picture in enumerate(bank.pictures):
        name = picture.name.rpartition("/")[2]
        (held if any(fnmatch(name, pattern) for pattern in held_out) else training).append(index)
    return held, training


@torch.inference_mode()
def held_out_psnr_sum(network: nn.Module, bank: Bank, pictures: Sequence[int], *, scale: int) -> float:
    """The sum over ``pictures`` of the PSNR on luma, in dB, ``scale`` pixels of border left out.

    ``network`` maps (1, 3, H, W) to (1, 3, sH, sW), RGB in [0, 1]; its results are rounded to 8 bits first.
    """
    device = next(network.parameters()).device
    total = 0.0
    for index in pictures:
        output = network(to_tensor(bank.lr(index, scale)[None], device))
        total += psnr_y(_to_picture(output[0]), bank.hr(index), border=scale)
    return total


def _to_picture(output: Tensor) -> NDArray[np.uint8]:
    """(3, H, W) float in [0, 1] to (H, W, 3) uint8, clipped and rounded."""
    return output.mul(255).clamp(0, 255).round().byte().permute(1, 2, 0).cpu().numpy()
