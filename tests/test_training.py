"""Settings, losses, schedules, optimizers and checkpoints."""

from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from mafdn.errors import ConfigError
from mafdn.networks import MAFDN, MAFDNSettings
from mafdn.training.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from mafdn.training.config import LossSettings, OptimizerSettings, ScheduleSettings, read_config
from mafdn.training.losses import training_loss
from mafdn.training.optimizers import Muon, build_optimizers
from mafdn.training.schedule import learning_rate


def test_the_defaults_are_the_reconstruction(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[data]\nfolders = ["x"]\n')
    settings = read_config(path)
    assert settings.network.width == MAFDNSettings().width
    assert settings.optimizer == OptimizerSettings()


WRONG = {
    "[data]\nfolders = ['x']\npatchs = 3": "data.patch?",
    "[data]\nfolders = ['x']\n[runn]": "did you mean run?",
    "[run]\nbatch = 2": "data is missing",
    "[data]\nfolders = 'x'": "must be a list",
    "[data]\nfolders = ['x']\npatch = 'a'": "must be int",
    "[data]\nfolders = ['x']\n[run]\nbatch = true": "must be int",
    "[data]\nfolders = ['x']\n[run]\nprecision = 'fp8'": "auto, fp32, bf16",
    "[data]\nfolders = ['x']\n[optimizer]\nbetas = [0.9]": "must be a list",
    "[data]\nfolders = ['x']\nscales = [2]\n[network]\nscale = 3": "one of data.scales",
    "[data]\nfolders = ['x']\n[schedule]\nsteps = 10": "must fit",
    "[data]\nfolders = []": "at least one folder",
    "data = 3": "must be a table",
    "[data]\nfolders = ['x']\n[network]\nwidth = 7": "network.width must be even",
    "[data": "not valid TOML",
    "[data]\nfolders = ['x']\n[loss]\nteacher = 0.5": "loss.teacher needs data.teacher",
    "[data]\nfolders = ['x']\n[loss]\nteacher = 1.5": "in [0, 1]",
    "[data]\nfolders = ['x']\n[optimizer]\nweight_decay = 0.1": "is for adamw",
    "[data]\nfolders = ['x']\n[run]\nspike = 0.5": "run.spike",
    "[data]\nfolders = ['x']\n[network]\narchitecture = 'vdsr'": "mafdn, imdn, ddistill, afan",
    "[data]\nfolders = ['x']\n[network]\narchitecture = 'imdn'\npixel_attention = false": "unknown key network.pixel",
    "extends = 3": "name of a TOML file",
    "extends = 'c.toml'": "extends itself",
    "extends = 'none.toml'": "cannot read",
}


@pytest.mark.parametrize(("text", "expected"), WRONG.items(), ids=WRONG.values())
def test_wrong_settings_name_what_would_do(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert expected in str(caught.value)
    assert str(path.parent) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_settings_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path / "no.toml")


def test_the_schedule_rises_holds_and_falls() -> None:
    schedule = ScheduleSettings(steps=100, warmup=9, decay=19)
    rates = [learning_rate(schedule, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert set(rates[9:81]) == {1.0}
    assert rates[-1] == pytest.approx(0.05)
    assert all(a > b for a, b in pairwise(rates[81:]))


def test_the_cosine_rises_and_falls_to_nothing() -> None:
    schedule = ScheduleSettings(kind="cosine", steps=100, warmup=9, decay=1000)
    rates = [learning_rate(schedule, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == 1.0
    assert all(a > b for a, b in pairwise(rates[9:]))
    assert rates[-1] < 0.002


def test_a_file_may_extend_another(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.toml").write_text(
        '[data]\nfolders = ["photos"]\nbank = "bank"\n[run]\nbatch = 4\nfolder = "x"\n'
        "[schedule]\nsteps = 500\ndecay = 9\n"
    )
    path = tmp_path / "sub" / "child.toml"
    path.write_text('extends = "../base.toml"\n[run]\nseed = 3\nfolder = "y"\n[optimizer]\nname = "adam"\n')
    settings = read_config(path)
    assert (settings.data.folders, settings.data.bank) == (("../photos",), "../bank")
    assert (settings.run.batch, settings.run.seed, settings.run.folder) == (4, 3, "y")
    assert (settings.schedule.steps, settings.optimizer.name) == (500, "adam")


# --- loss


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


# --- optimizers


@pytest.mark.parametrize("shape", [(16, 16, 3, 3), (16, 64, 1, 1), (64, 16, 1, 1)])
def test_a_first_muon_step_is_nearly_orthogonal(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.zeros(shape))
    kernel.grad = torch.randn(shape)
    Muon([kernel], lr=1.0).step()
    update = kernel.detach().flatten(1) / max(1.0, shape[0] / kernel[0].numel()) ** 0.5
    singular = torch.linalg.svdvals(update)
    assert singular.min() > 0.4
    assert singular.max() < 1.4
    assert (kernel.detach() * kernel.grad).sum() < 0, "not a descent direction"


@pytest.mark.parametrize("shape", [(20, 20), (16, 90), (90, 16)])
def test_muon_does_the_newton_schulz_steps_of_its_source(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    kernel = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
    kernel.grad = torch.randn(shape, dtype=torch.float64)
    x = kernel.grad / kernel.grad.norm()
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    Muon([kernel], lr=1.0).step()
    torch.testing.assert_close(-kernel.detach() / max(1.0, shape[0] / shape[1]) ** 0.5, x)


def test_every_parameter_is_trained_once() -> None:
    network = MAFDN()
    optimizers = build_optimizers(network, OptimizerSettings())
    trained = [id(p) for o in optimizers for g in o.param_groups for p in g["params"]]
    assert sorted(trained) == sorted(id(p) for p in network.parameters())
    names = {id(p): n for n, p in network.named_parameters()}
    muon = {names[id(p)] for g in optimizers[0].param_groups for p in g["params"]}
    assert "blocks.0.refines.0.conv.parametrizations.weight.0.D" in muon
    assert not any(name.endswith("bias") for name in muon)


# --- checkpoints


def checkpoint(step: int) -> Checkpoint:
    w, average, momentum = (torch.full((3,), float(step)) for _ in range(3))
    tensors = {"network": {"w": w}, "ema": {"w": average}, "optimizer": {"w/m": momentum}}
    return Checkpoint(step=step, seconds=1.5, samples=9, bf16=False, **cast(Any, tensors))


def test_the_last_two_checkpoints_are_kept_and_damage_is_survived(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        last = save_checkpoint(tmp_path, checkpoint(step))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step-00000002.safetensors",
        "step-00000003.safetensors",
    ]
    newest = newest_checkpoint(tmp_path)
    assert newest is not None
    assert (newest.step, newest.seconds, newest.samples) == (3, 1.5, 9)
    assert torch.equal(newest.optimizer["w/m"], torch.full((3,), 3.0))
    last.write_bytes(last.read_bytes()[:40])
    survived = newest_checkpoint(tmp_path)
    assert survived is not None
    assert survived.step == 2
    assert newest_checkpoint(tmp_path / "nothing") is None
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(ConfigError, match="no checkpoint"):
        newest_checkpoint(tmp_path)
