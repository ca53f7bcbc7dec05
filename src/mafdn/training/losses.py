"""The training loss."""

import torch
from torch import Tensor

from mafdn.training.config import LossSettings


def teacher_share(settings: LossSettings, progress: float) -> float:
    """Return the teacher's share of the loss at `progress` in [0, 1], interpolated between its two values."""
    first, second = settings.teacher_shares
    return first + (second - first) * min(1.0, progress / settings.teacher_until)


def training_loss(
    output: Tensor, hr: Tensor, teacher: Tensor | None, settings: LossSettings, *, progress: float = 0.0
) -> Tensor:
    """Compute the loss of a batch.

    The loss is `(1 - t) D(output, hr) + t D(output, teacher)`, where `t` is the `teacher_share` and `D` the pixel
    distance plus `settings.fourier` times the Fourier distance, or, at the end, the mean squared error alone. Knowledge
    distillation on outputs: Hinton et al., arXiv 1503.02531. Charbonnier's function: Lai et al. (LapSRN), CVPR 2017,
    Eq. 3. L1 distance of Fourier transforms: Cho et al. (MIMO-UNet), ICCV 2021, Eq. 6.

    Args:
        output: The network's output (B, 3, H, W), float32, white 1.
        hr: The ground truth, of the same shape.
        teacher: The teacher's output, of the same shape; `None` without a teacher.
        settings: Kinds and weights of the distances.
        progress: Share of the run that is done, in [0, 1]; in the last `settings.mse` of it `D` is the mean squared
            error.

    Returns:
        A scalar tensor.
    """
    squared = settings.mse > 0 and progress >= 1 - settings.mse
    share = teacher_share(settings, progress) if teacher is not None else 0.0
    if teacher is None or share == 0:
        return _distance(output, hr, settings, squared=squared)
    to_teacher = _distance(output, teacher, settings, squared=squared)
    if share == 1:
        return to_teacher
    return torch.lerp(_distance(output, hr, settings, squared=squared), to_teacher, share)


def _distance(output: Tensor, target: Tensor, settings: LossSettings, *, squared: bool) -> Tensor:
    difference = output - target
    if squared:
        return difference.square().mean()
    if settings.name == "charbonnier":
        distance = torch.sqrt(difference.square() + settings.epsilon**2).mean()
    else:
        distance = difference.abs().mean()
    if settings.fourier:
        # Orthonormal, so that its magnitude does not depend on the size of the patch.
        spectrum = torch.view_as_real(torch.fft.rfft2(difference.contiguous(), norm="ortho"))
        distance = distance + settings.fourier * spectrum.abs().mean()
    return distance
