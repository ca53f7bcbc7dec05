"""Running out of memory: recognized on CPUs and GPUs, and explained in one line by every command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mafdn.cli
from mafdn import MafdnError, OutOfMemoryError
from mafdn._support.memory import explain_memory, is_out_of_memory
from mafdn.cli.memory import ADVICE, OTHERWISE, memory_advice
from mafdn.networks import MAFDN, MAFDNSettings
from mafdn.networks.own import OwnArchitecture, OwnSettings
from mafdn.training import loop
from mafdn.training.loop import train
from mafdn.training.run import Run as TrainingRun
from tests.conftest import Run
from tests.runs import config, final, saved_run
from tests.support import draw, failed


def exhaust_torch(*_: Any, **__: Any) -> Any:
    return torch.empty(2**48)


def exhaust_numpy(*_: Any, **__: Any) -> Any:
    return np.empty(2**50)


def exhaust_gpu(*_: Any, **__: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


EXHAUST: dict[str, Callable[..., Any]] = {"torch": exhaust_torch, "numpy": exhaust_numpy, "gpu": exhaust_gpu}


def raised(function: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its kind is what is tested
        function()
    return caught.value


@pytest.mark.parametrize("kind", EXHAUST)
def test_real_errors_are_recognized(kind: str) -> None:
    assert is_out_of_memory(raised(EXHAUST[kind]))
    words = r"^out of memory while testing; lower everything$"
    with pytest.raises(OutOfMemoryError, match=words), explain_memory("testing", "lower everything"):
        EXHAUST[kind]()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("std::bad_alloc"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer"),
        RuntimeError("CUDA error: out of memory"),
        MemoryError(),
        OutOfMemoryError("out of memory"),
    ],
)
def test_errors_of_other_libraries_are_recognized(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("shape mismatch"), ValueError("x"), MafdnError("perhaps out of memory")]
)
def test_other_errors_pass(error: Exception) -> None:
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)) as caught, explain_memory("testing", "nothing"):
        raise error
    assert caught.value is error


def test_the_innermost_explanation_counts() -> None:
    words = r"^out of memory while inside; a$"
    with pytest.raises(OutOfMemoryError, match=words), explain_memory("outside", "b"), explain_memory("inside", "a"):
        exhaust_numpy()


@pytest.mark.parametrize("kind", EXHAUST)
def test_training_names_batch_and_patch(kind: str, workplace: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainingRun, "take_step", EXHAUST[kind])
    words = "out of memory while training on cpu at run.batch = 4 and data.patch = 12; lower run.batch first"
    failed_late(cli("train", config(workplace)), words)


def failed_late(result: tuple[int, str, str], words: str) -> None:
    """Assert that a command failed with these words in its last line, without a word of internal errors."""
    code, _, err = result
    assert code == 1, err
    last = err.strip().splitlines()[-1]
    assert words in last
    assert "internal error" not in err
    assert "Traceback" not in err


def test_validation_names_the_held_out_pictures(workplace: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainingRun, "validate", exhaust_torch)
    failed_late(
        cli("train", config(workplace)), "validating on whole pictures; let data.held_out match smaller pictures"
    )


def test_a_run_goes_on_with_a_smaller_batch(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = TrainingRun.take_step, []

    def sometimes(run: TrainingRun) -> Any:
        calls.append(run.state.step)
        return exhaust_torch() if len(calls) == 15 else original(run)

    monkeypatch.setattr(loop.Run, "take_step", sometimes)
    with pytest.raises(OutOfMemoryError):
        train(config(workplace, steps=20, save_every=10))
    assert final(workplace / "run").step == 10
    assert train(config(workplace, steps=20, save_every=10)) == workplace / "run"
    assert final(workplace / "run").step == 20


@pytest.mark.parametrize("kind", EXHAUST)
def test_evaluation_and_compare_say_what_to_lower(
    kind: str, tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "Small" / "a.png", size=(24, 24))
    torch.manual_seed(0)
    run = saved_run(tmp_path / "run", MAFDN(MAFDNSettings(scale=2, width=8, blocks=1)))
    monkeypatch.setattr(MAFDN, "forward", EXHAUST[kind])
    arguments = ("--bench", tmp_path / "Small", "--scale", 2, "--network", run)
    words = ("out of memory", "use fewer --threads, leave out --ensemble")
    failed(cli("evaluate", *arguments, "--ensemble", "8"), 1, *words)
    failed(cli("compare", *arguments, "--rounds", 0), 1, "out of memory")


@pytest.mark.parametrize("kind", EXHAUST)
def test_export_says_so_and_writes_nothing(
    kind: str, tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = saved_run(tmp_path / "run", MAFDN(MAFDNSettings(scale=2, width=8, blocks=1)))
    monkeypatch.setattr(MAFDN, "forward", EXHAUST[kind])
    failed(cli("export", run, "-o", tmp_path / "n.onnx"), 1, "out of memory while exporting to", "close other programs")
    assert not (tmp_path / "n.onnx").exists()


def test_the_constructor_of_an_own_network_may_run_out() -> None:
    class Greedy(torch.nn.Module):
        def __init__(self, scale: int = 2) -> None:
            super().__init__()
            self.scale, self.table = scale, torch.empty(2**48)

    error = raised(lambda: OwnArchitecture("a:Greedy", Greedy, OwnSettings).build(OwnSettings(scale=2)))
    assert is_out_of_memory(error)


@pytest.mark.parametrize("command", [*ADVICE, "export", "convert", "count"])
def test_every_command_has_advice(command: str, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mafdn.cli, "app", exhaust_numpy)
    failed(cli(command, "x"), 1, f"out of memory; {ADVICE.get(command, OTHERWISE)}")
    assert memory_advice(["--version"]) == OTHERWISE
