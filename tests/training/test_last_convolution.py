"""The last convolution of a network whose body comes from another scale."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mafdn.errors import OutOfMemoryError
from mafdn.networks import (
    MAFDN,
    AFANSettings,
    DDistillSettings,
    IMDNSettings,
    MAFDNSettings,
    Network,
    build,
    save_network,
)
from mafdn.networks.architectures import Settings
from mafdn.training.config import LossSettings
from mafdn.training.data.batches import Tensors
from mafdn.training.last_convolution import fit_last_convolution
from mafdn.training.loop import train
from mafdn.training.record.progress import TrainingProgress
from mafdn.training.workers import Workers
from tests.runs import config

ALONE = Workers(0, 1, torch.device("cpu"))
SMALL = MAFDNSettings(scale=3, width=8, blocks=1)


def batches(
    target: Callable[[Tensor], Tensor], teacher: Callable[[Tensor], Tensor] | None = None
) -> Callable[[int], Tensors]:
    """Random patches and what `target` and `teacher` make of them."""

    @torch.no_grad()
    def batch(step: int) -> Tensors:
        lr = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(step))
        return lr, target(lr), teacher(lr) if teacher else None

    return batch


def last(network: Network) -> nn.Conv2d:
    tail = network.tail
    assert isinstance(tail, nn.Conv2d)
    return tail


@pytest.mark.parametrize("settings", [SMALL, IMDNSettings(scale=2, width=16, blocks=1)])
def test_the_convolution_that_made_the_targets_is_found(settings: Settings) -> None:
    torch.manual_seed(1)
    network = build(settings)
    expected = {name: value.clone() for name, value in last(network).state_dict().items()}
    known = build(settings)
    known.load_state_dict(network.state_dict())
    nn.init.normal_(last(network).weight)
    before = {name: value.clone() for name, value in network.state_dict().items() if not name.startswith("tail.")}
    assert fit_last_convolution(network, batches(known), ALONE, LossSettings()) >= 64
    lr = torch.rand(1, 3, 20, 20)
    with torch.no_grad():
        torch.testing.assert_close(network(lr), known(lr), atol=2e-3, rtol=0)
    torch.testing.assert_close(dict(last(network).state_dict()), expected, atol=0.05, rtol=0)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())
    assert last(network).weight.requires_grad


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": (2, 3), "padding": "same", "dilation": (3, 2)},
        {"kernel_size": (5, 3), "padding": (4, 2), "dilation": 2},
        {"kernel_size": 1, "padding": "valid"},
    ],
)
def test_every_padding_and_dilation_is_fitted(options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    network = MAFDN(SMALL)
    network.tail = nn.Conv2d(8, 27, **options)
    known = copy.deepcopy(network)
    nn.init.normal_(network.tail.weight)
    assert fit_last_convolution(network, batches(known), ALONE, LossSettings()) >= 64
    lr = torch.rand(1, 3, 20, 20)
    with torch.no_grad():
        torch.testing.assert_close(network(lr), known(lr), atol=2e-3, rtol=0)


def test_a_network_that_needs_large_inputs_is_fitted() -> None:
    class Large(MAFDN):
        def forward(self, x: Tensor) -> Tensor:
            if x.shape[2:] != (24, 24):
                raise ValueError("windows of 24 pixels")
            return super().forward(x)

    def batch(step: int) -> Tensors:
        lr = torch.rand(64, 3, 24, 24, generator=torch.Generator().manual_seed(step))
        return lr, F.interpolate(lr, scale_factor=3), None

    assert fit_last_convolution(Large(SMALL), batch, ALONE, LossSettings()) > 0


def test_no_other_kernel_has_a_smaller_squared_error() -> None:
    torch.manual_seed(2)
    network = MAFDN(SMALL)
    batch = batches(lambda lr: F.interpolate(lr, scale_factor=3, mode="bilinear").square())
    fit_last_convolution(network, batch, ALONE, LossSettings())
    kernel = network.tail.weight.detach().clone()

    def error() -> float:
        with torch.no_grad():
            return sum(float((network(lr) - hr).square().mean()) for lr, hr, _ in map(batch, range(8)))

    least = error()
    for _ in range(10):
        change = torch.randn_like(kernel)
        for size in (-0.01, 0.01):
            network.tail.weight.data = kernel + size * change
            assert error() > least


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_targets_are_those_of_the_loss(share: float) -> None:
    torch.manual_seed(3)
    network, hr, teacher = MAFDN(SMALL), MAFDN(SMALL), MAFDN(SMALL)
    for other in (hr, teacher):
        other.load_state_dict(network.state_dict())
        nn.init.normal_(other.tail.weight, std=0.1)
    fit_last_convolution(network, batches(hr, teacher), ALONE, LossSettings(teacher=(share, 1.0)))
    lr = torch.rand(1, 3, 20, 20)
    with torch.no_grad():
        torch.testing.assert_close(network(lr), torch.lerp(hr(lr), teacher(lr), share), atol=2e-3, rtol=0)


@pytest.mark.parametrize("settings", [AFANSettings(scale=2, width=6, blocks=1), DDistillSettings(scale=2, blocks=1)])
def test_networks_that_end_with_something_else_do_not_change(settings: Settings) -> None:
    network = build(settings)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert fit_last_convolution(network, batches(lambda lr: lr), ALONE, LossSettings()) == 0
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())


def test_a_run_from_another_scale_begins_with_a_fitted_convolution(workplace: Path) -> None:
    torch.manual_seed(4)
    notes: list[str] = []
    losses: dict[str, float] = {}
    parent = MAFDN(MAFDNSettings(scale=3, width=16, blocks=1))
    save_network(parent.fold(), workplace / "parent.safetensors", card={})
    for name, init in (("random", ""), ("fitted", 'init = "parent.safetensors"')):
        reports: list[TrainingProgress] = []
        path = config(workplace, name, steps=8)
        path.write_text(path.read_text() + init)
        train(path, on_progress=reports.append, on_note=notes.append)
        losses[name] = next(report.loss for report in reports if report.loss is not None)
    assert losses["fitted"] < losses["random"] / 2
    assert sum("weights for x3; fitted the last convolution to" in note for note in notes) == 1


def test_running_out_of_memory_names_the_settings_to_lower(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("mafdn.training.run.fit_last_convolution", full)
    parent = MAFDN(MAFDNSettings(scale=3, width=16, blocks=1))
    save_network(parent.fold(), workplace / "parent.safetensors", card={})
    path = config(workplace, "full")
    path.write_text(path.read_text() + 'init = "parent.safetensors"')
    with pytest.raises(OutOfMemoryError, match=r"run\.batch = 4 and data\.patch = 12; lower run\.batch"):
        train(path)
