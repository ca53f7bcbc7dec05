"""What training minimizes.

Public names: :func:`training_loss`, :func:`teacher_share`.
"""

import torch
from torch import Tensor

from mafdn.training.config import LossSettings


def teacher_share(settings: LossSettings, progress: float) -> float:
    """The teacher's share of the loss at ``progress`` in [0, 1]: linear from the first value to the second."""
    first, second = settings.teacher_shares
    return first + (second - first) * min(1.0, progress / settings.teacher_until)


def training_loss(
    output: Tensor, hr: Tensor, teacher: Tensor | None, settings: LossSettings, *, progress: float = 0.0
) -> Tensor:
    """The loss of ``output`` against ``hr`` and a ``teacher``'s output, each (B, 3, H, W) float32, white 1.

    ``(1 - t) D(output, hr) + t D(output, teacher)`` with ``t`` the :func:`teacher_share` at ``progress`` in [0, 1],
    and ``D`` the pixel distance plus ``settings.fourier`` times the Fourier distance. In the last ``settings.mse`` of
    the progress the pixel distance is the mean square. Knowledge distillation on outputs: Hinton et al., arXiv
    1503.02531; Charbonnier's function: Lai et al. (LapSRN), CVPR 2017, Eq. 3; the L1 distance of Fourier transforms:
    Cho et al. (MIMO-UNet), ICCV 2021, Eq. 6.
    """
    squared = settings.mse > 0 and progress >= 1 - settings.mse
    share = teacher_share(settings, progress) if teacher is not None else 0.0
    if teacher is None or share == 0:
        return _distance(output, hr, settings, squared=squared)
    taught = _distance(output, teacher, settings, squared=squared)
    if share == 1:
        return taught
    return torch.lerp(_distance(output, hr, settings, squared=squared), taught, share)


def _distance(output: Tensor, target: Tensor, settings: LossSettings, *, squared: bool) -> Tensor:
    difference = output - target
    if squared:
        distance = difference.square().mean()
    elif settings.name == "charbonnier":
        distance = torch.sqrt(difference.square() + settings.epsilon**2).mean()
    else:
        distance = difference.abs().mean()
    if settings.fourier:
        # Orthonormal: of the size of the pixels' differences, whatever the size of the patch.
        spectrum = torch.view_as_real(torch.fft.rfft2(difference.contiguous(), norm="ortho"))
        distance = distance + settings.fourier * spectrum.abs().mean()
    return distance
