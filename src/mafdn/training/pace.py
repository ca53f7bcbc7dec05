"""How fast a step can be made on this machine: bf16 and torch.compile, measured and never assumed.

Public names: :class:`Pace`, :func:`choose_pace`, :func:`step_seconds`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mafdn.errors import ConfigError
from mafdn.training.config import RunSettings
from mafdn.training.workers import Workers

WORTH = 0.95
"""What is not at least this much faster is not worth its costs."""


@dataclass(frozen=True)
class Pace:
    """Whether a run goes in bf16 autocast and compiled."""

    bf16: bool
    compiled: bool


def choose_pace(network: nn.Module, lr: Tensor, hr: Tensor, run: RunSettings, workers: Workers) -> Pace:
    """What ``run`` asks for, and where it says ``auto``, what is faster; all processes choose alike.

    Raises :class:`ConfigError` when torch.compile is asked for and does not work here.
    """
    bf16 = run.precision == "bf16"
    if run.precision == "auto":
        full = step_seconds(network, lr, hr, bf16=False)
        bf16 = _mean_ratio(step_seconds(network, lr, hr, bf16=True), full, workers) < WORTH
    compiled = run.compile == "on"
    if run.compile != "off":
        eager = step_seconds(network, lr, hr, bf16=bf16)
        try:
            faster = step_seconds(torch.compile(network), lr, hr, bf16=bf16)  # the first repeat compiles
        except RuntimeError as error:  # no compiler, say
            if compiled:
                reason = str(error).splitlines()[0]
                raise ConfigError(f"torch.compile does not work here ({reason}); set run.compile to off") from None
            faster = math.inf
        compiled = compiled or _mean_ratio(faster, eager, workers) < WORTH
    network.zero_grad()
    return Pace(bf16, compiled)


def step_seconds(forward: Callable[[Tensor], Tensor], lr: Tensor, hr: Tensor, *, bf16: bool, repeats: int = 3) -> float:
    """The fastest of a few forward and backward passes, in seconds. Gradients add up in the parameters."""
    times: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        with torch.autocast(lr.device.type, torch.bfloat16, enabled=bf16):
            output = forward(lr)
        (output.float() - hr).abs().mean().backward()
        if lr.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return min(times)


def _mean_ratio(a: float, b: float, workers: Workers) -> float:
    ratio = torch.tensor(a / b, device=workers.device)
    workers.average([ratio])
    return float(ratio)
