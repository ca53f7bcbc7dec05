"""How the mode of a step is chosen."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from mafdn.errors import ConfigError
from mafdn.training import step_mode
from mafdn.training.config import RunSettings
from mafdn.training.step_mode import StepMode, choose_step_mode, step_seconds
from mafdn.training.workers import Workers

ALONE = Workers(0, 1, torch.device("cpu"))


def chosen(run: RunSettings) -> StepMode:
    network = nn.Conv2d(3, 3, 1)
    x = torch.rand(1, 3, 4, 4)
    mode = choose_step_mode(network, x, x, run, ALONE)
    assert all(p.grad is None for p in network.parameters()), "gradients of the measurement are left"
    return mode


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Seconds that a step seems to take, by `fp32`, `bf16` and `compiled`."""
    seconds = {"fp32": 1.0, "bf16": 1.0, "compiled": 1.0}

    def measured(forward: Callable[[torch.Tensor], torch.Tensor], *_: torch.Tensor, bf16: bool) -> float:
        return seconds["compiled" if not isinstance(forward, nn.Conv2d) else "bf16" if bf16 else "fp32"]

    monkeypatch.setattr(step_mode, "step_seconds", measured)
    monkeypatch.setattr(torch, "compile", lambda network: network.forward)
    return seconds


@pytest.mark.parametrize(("bf16", "faster"), [(0.9, True), (0.97, False), (2.0, False)])
def test_auto_takes_bf16_when_it_is_clearly_faster(bf16: float, faster: bool, speeds: dict[str, float]) -> None:
    speeds["bf16"] = bf16
    assert chosen(RunSettings(precision="auto")) == StepMode(faster, False)
    assert chosen(RunSettings(precision="bf16")) == StepMode(True, False)
    assert chosen(RunSettings(precision="fp32")) == StepMode(False, False)


@pytest.mark.parametrize(("compiled", "faster"), [(0.5, True), (0.97, False)])
def test_auto_compiles_when_it_is_clearly_faster(compiled: float, faster: bool, speeds: dict[str, float]) -> None:
    speeds["compiled"] = compiled
    assert chosen(RunSettings(precision="fp32", compile="auto")) == StepMode(False, faster)
    assert chosen(RunSettings(precision="fp32", compile="on")) == StepMode(False, True)


@pytest.mark.usefixtures("speeds")
def test_a_missing_compiler_matters_only_when_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: nn.Module) -> nn.Module:
        raise RuntimeError("no compiler\nand more")

    monkeypatch.setattr(torch, "compile", fails)
    assert chosen(RunSettings(precision="fp32", compile="auto")) == StepMode(False, False)
    with pytest.raises(ConfigError, match=r"does not work here \(no compiler\); set run\.compile = \"off\""):
        chosen(RunSettings(precision="fp32", compile="on"))


def test_a_step_takes_time() -> None:
    x = torch.rand(1, 3, 4, 4)
    assert step_seconds(nn.Conv2d(3, 3, 1), x, x, bf16=True, repeats=1) > 0
