"""The training loss."""

import numpy as np
import pytest
import torch

from mafdn.training.config import LossSettings
from mafdn.training.losses import teacher_share, training_loss


def test_losses_by_hand() -> None:
    torch.manual_seed(0)
    output, hr, teacher = torch.rand(3, 2, 3, 8, 8)
    plain = training_loss(output, hr, teacher, LossSettings())
    torch.testing.assert_close(plain, (output - hr).abs().mean())
    half = training_loss(output, hr, teacher, LossSettings(teacher=0.25))
    torch.testing.assert_close(half, 0.75 * plain + 0.25 * (output - teacher).abs().mean())
    soft = training_loss(output, hr, None, LossSettings(name="charbonnier", epsilon=0.5))
    torch.testing.assert_close(soft, ((output - hr) ** 2 + 0.25).sqrt().mean())
    spectrum = np.fft.rfft2((output - hr).numpy(), norm="ortho")
    expected = float(plain) + 0.05 * float(np.mean([np.abs(spectrum.real), np.abs(spectrum.imag)]))
    assert float(training_loss(output, hr, None, LossSettings(fourier=0.05))) == pytest.approx(expected, rel=1e-5)


def test_the_fourier_loss_has_a_gradient() -> None:
    output = torch.rand(1, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    hr = torch.rand(1, 3, 6, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: training_loss(x, hr, None, LossSettings(fourier=0.5)), (output,))


def test_the_teachers_share_changes_and_then_stays() -> None:
    settings = LossSettings(teacher=(1.0, 0.2), teacher_until=0.5)
    shares = [teacher_share(settings, done) for done in (0.0, 0.25, 0.5, 0.9)]
    assert shares == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert teacher_share(LossSettings(teacher=0.3), 0.7) == pytest.approx(0.3)
    torch.manual_seed(0)
    output, hr, teacher = torch.rand(3, 2, 3, 8, 8)
    expected = 0.4 * (output - hr).abs().mean() + 0.6 * (output - teacher).abs().mean()
    torch.testing.assert_close(training_loss(output, hr, teacher, settings, progress=0.25), expected)


def test_the_loss_is_squared_at_the_end() -> None:
    output, hr = torch.rand(2, 2, 3, 8, 8)
    settings = LossSettings(mse=0.1)
    assert training_loss(output, hr, None, settings, progress=0.89) == (output - hr).abs().mean()
    torch.testing.assert_close(training_loss(output, hr, None, settings, progress=0.9), (output - hr).square().mean())


def test_the_squared_error_replaces_the_fourier_loss_too() -> None:
    """Near the end of training both are about as large, although the Fourier loss is meant to have a share of 5 %."""
    output, hr = torch.rand(2, 2, 3, 8, 8)
    settings = LossSettings(mse=0.1, fourier=0.05)
    assert training_loss(output, hr, None, settings, progress=0.89) > (output - hr).abs().mean()
    torch.testing.assert_close(training_loss(output, hr, None, settings, progress=0.9), (output - hr).square().mean())
