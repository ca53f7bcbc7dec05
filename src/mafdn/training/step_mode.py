"""How steps are computed: bfloat16 and torch.compile, chosen by measuring, and what to lower if memory runs out."""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mafdn._support.memory import explain_memory, is_out_of_memory
from mafdn._support.text import first_line
from mafdn.errors import ConfigError
from mafdn.training.config import RunSettings, TrainSettings
from mafdn.training.workers import Workers

WORTHWHILE = 0.95
"""Largest ratio of step times, with a mode to without it, at which the mode is chosen: each has its own costs."""


@dataclass(frozen=True)
class StepMode:
    """How forward and backward passes are computed: in bfloat16 autocast, and compiled."""

    bf16: bool
    compiled: bool


def choose_step_mode(network: nn.Module, lr: Tensor, hr: Tensor, run: RunSettings, workers: Workers) -> StepMode:
    """Return the mode set in `run`, measuring the faster one for `auto`; all processes choose the same.

    Args:
        network: The network to be trained; its gradients are zero afterwards.
        lr: A batch (B, 3, p, p), float32 in [0, 1].
        hr: The targets (B, 3, sp, sp).
        run: The settings `precision` and `compile`.
        workers: The processes of the run, all of which must call this.

    Raises:
        ConfigError: `torch.compile` is required and does not work here.
    """
    bf16 = run.precision == "bf16"
    if run.precision == "auto":
        full = step_seconds(network, lr, hr, bf16=False)
        bf16 = _mean_ratio(step_seconds(network, lr, hr, bf16=True), full, workers) < WORTHWHILE
    compiled = run.compile == "on"
    if run.compile != "off":
        eager = step_seconds(network, lr, hr, bf16=bf16)
        try:
            faster = step_seconds(torch.compile(network), lr, hr, bf16=bf16)  # the first repeat compiles
        except RuntimeError as error:  # for example, no compiler is installed
            if is_out_of_memory(error):
                raise
            if compiled:
                reason = first_line(error)
                raise ConfigError(f'torch.compile does not work here ({reason}); set run.compile = "off"') from None
            faster = math.inf
        compiled = compiled or _mean_ratio(faster, eager, workers) < WORTHWHILE
    network.zero_grad()
    return StepMode(bf16, compiled)


def resumed_mode(before: StepMode, run: RunSettings) -> StepMode:
    """Return the mode of a run that is resumed: what its settings name, and for `auto` the mode that it had.

    A new measurement might not choose the same one again.

    Args:
        before: The mode of the run until now.
        run: The settings `precision` and `compile`.
    """
    bf16 = before.bf16 if run.precision == "auto" else run.precision == "bf16"
    compiled = before.compiled if run.compile == "auto" else run.compile == "on"
    return StepMode(bf16, compiled)


def step_seconds(forward: Callable[[Tensor], Tensor], lr: Tensor, hr: Tensor, *, bf16: bool, repeats: int = 3) -> float:
    """Time forward and backward passes; gradients accumulate in the parameters.

    Args:
        forward: The network.
        lr: A batch (B, 3, p, p), float32 in [0, 1].
        hr: Its targets (B, 3, sp, sp).
        bf16: Whether to use bfloat16 autocast.
        repeats: Number of passes.

    Returns:
        Seconds of the fastest pass.
    """
    times: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        with torch.autocast(lr.device.type, torch.bfloat16, enabled=bf16):
            output = forward(lr)
        (output.float() - hr).abs().mean().backward()
        if lr.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)


def _mean_ratio(a: float, b: float, workers: Workers) -> float:
    ratio = torch.tensor(a / b, device=workers.device)
    workers.average([ratio])
    return float(ratio)


def training_memory(settings: TrainSettings, device: torch.device) -> AbstractContextManager[None]:
    """A context in which an out-of-memory error names the settings to lower.

    Args:
        settings: The settings of the run.
        device: Where it trains.
    """
    batch, patch = settings.run.batch, settings.data.patch
    advice = "lower run.batch first, then data.patch"
    if device.type != "cpu":
        advice += ', or set run.resident = "off"'
    return explain_memory(f"training on {device} at run.batch = {batch} and data.patch = {patch}", advice)
