"""Muon, and how parameters are shared among optimizers."""

import pytest
import torch
from torch import nn

from mafdn.errors import ConfigError
from mafdn.networks import MAFDN
from mafdn.networks.mafdn import MAFDNSettings
from mafdn.training.config import OptimizerSettings
from mafdn.training.optimizers import Muon, build_optimizers, optimizer_tensors, restore_optimizers


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
def test_muon_takes_the_newton_schulz_steps_of_its_source(shape: tuple[int, int]) -> None:
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


def test_an_optimizer_without_parameters_is_left_out() -> None:
    narrow = MAFDN(MAFDNSettings(scale=2, width=8, blocks=1))
    assert [type(o) for o in build_optimizers(narrow, OptimizerSettings())] == [torch.optim.Adam]
    unbiased = nn.Sequential(nn.Conv2d(32, 32, 3, bias=False))
    assert [type(o) for o in build_optimizers(unbiased, OptimizerSettings())] == [Muon]


@pytest.mark.parametrize("frozen", ["0.weight", "0.bias", "0", "1"])
def test_parameters_without_gradients_have_no_state_to_restore(frozen: str) -> None:
    network = nn.Sequential(nn.Conv2d(16, 16, 3), nn.Conv2d(16, 3, 3))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not name.startswith(frozen))

    def step() -> list[torch.optim.Optimizer]:
        optimizers = build_optimizers(network, OptimizerSettings())
        network(torch.rand(1, 16, 8, 8)).mean().backward()
        for optimizer in optimizers:
            optimizer.step()
        return optimizers

    saved = optimizer_tensors(step(), network)
    assert saved
    restored = build_optimizers(network, OptimizerSettings())
    restore_optimizers(restored, network, saved)
    found = optimizer_tensors(restored, network)
    assert found.keys() == saved.keys()
    assert all(torch.equal(found[name], saved[name]) for name in saved)
    network.requires_grad_(True)
    later = step()
    restore_optimizers(later, network, saved)  # back to where the frozen ones had no state
    assert optimizer_tensors(later, network).keys() == saved.keys()


def test_states_of_another_optimizer_are_refused() -> None:
    network = nn.Sequential(nn.Conv2d(16, 16, 3), nn.Conv2d(16, 3, 3))
    muon, adam = (build_optimizers(network, OptimizerSettings(name=name)) for name in ("muon", "adam"))
    network(torch.rand(1, 16, 8, 8)).mean().backward()
    for optimizer in (*muon, *adam):
        optimizer.step()
    for saved, other in ((muon, adam), (adam, muon)):
        with pytest.raises(ConfigError, match="different optimizer"):
            restore_optimizers(other, network, optimizer_tensors(saved, network))
