"""What training minimizes.

Public names: :func:`training_loss`.
"""

import torch
from torch import Tensor

from mafdn.training.config import LossSettings


def training_loss(output: Tensor, hr: Tensor, teacher: Tensor | None, settings: LossSettings) -> Tensor:
    """The loss of ``output`` against ``hr`` and a ``teacher``'s output, each (B, 3, H, W) float32, white 1.

    ``(1 - t) D(output, hr) + t D(output, teacher)`` with ``t = settings.teacher`` and ``D`` the pixel
    distance plus ``settings.fourier`` times the Fourier distance. Knowledge distillation on outputs:
    Hinton et al., arXiv 1503.02531; Charbonnier's function: Lai et al. (LapSRN), CVPR 2017, Eq. 3; the L1
    distance of Fourier transforms: Cho et al. (MIMO-UNet), ICCV 2021, Eq. 6.
    """
    loss = _distance(output, hr, settings)
    if settings.teacher and teacher is not None:
        loss = torch.lerp(loss, _distance(output, teacher, settings), settings.teacher)
    return loss


def _distance(output: Tensor, target: Tensor, settings: LossSettings) -> Tensor:
    difference = output - target
    if settings.name == "charbonnier":
        distance = torch.sqrt(difference.square() + settings.epsilon**2).mean()
    else:
        distance = difference.abs().mean()
    if settings.fourier:
        # Orthonormal: of the size of the pixels' differences, whatever the size of the patch.
        spectrum = torch.view_as_real(torch.fft.rfft2(difference.contiguous(), norm="ortho"))
        distance = distance + settings.fourier * spectrum.abs().mean()
    return distance
