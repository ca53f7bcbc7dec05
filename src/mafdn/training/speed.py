"""How long a training step takes, against the same network written plainly, and where its time goes.

Public names: :func:`measure_speed`, :class:`StepSpeed`, :class:`Operator`.

A step here is the forward and backward pass: no optimizer, no data. The two networks share their parameters and take
turns on the same batch, so that whatever else the machine does falls on both.
"""

import statistics
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from mafdn.networks.mafdn import MAFDN, MAFDNSettings
from mafdn.networks.reference import PlainMAFDN
from mafdn.training.pace import step_seconds

TOP = 15
"""How many operators a profile lists."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator of a step: its own time on the CPU, and the share of the whole step's."""

    name: str
    calls: int
    milliseconds: float
    share: float


@dataclass(frozen=True, kw_only=True)
class StepSpeed:
    """One precision at one batch. Times are medians, in microseconds per pixel of the low-resolution input."""

    precision: str
    """``fp32``, or ``bf16`` for autocast."""
    batch: int
    patch: int
    plain: float
    ours: float
    ratio: float
    """Median of ours divided by plain, turn by turn."""
    plain_operators: list[Operator]
    """The most expensive operators of the plain network's step, first the most expensive."""
    operators: list[Operator]


def measure_speed(
    settings: MAFDNSettings,
    *,
    batch: int = 8,
    patch: int = 48,
    turns: int = 11,
    threads: int = 1,
    device: str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> list[StepSpeed]:
    """Measure a step of the network that ``settings`` describe, in float32 and in bfloat16 autocast.

    ``batch`` patches of ``patch`` x ``patch`` low-resolution pixels; ``turns`` of each network are timed after one that
    is not. One thread is what a process of the training loop uses. ``on_progress(done, total)`` after each turn.
    """
    generator = torch.Generator().manual_seed(1)
    lr, hr = (
        torch.rand(batch, size, size, 3, generator=generator).to(device).permute(0, 3, 1, 2)
        for size in (patch, patch * settings.scale)
    )
    network = MAFDN(settings).to(device)
    plain = PlainMAFDN(network)
    results: list[StepSpeed] = []
    with _threads(threads):
        for precision in ("fp32", "bf16"):
            times: list[tuple[float, float]] = []
            for turn in range(turns + 1):
                times.append((_seconds(plain, lr, hr, precision), _seconds(network, lr, hr, precision)))
                if on_progress:
                    on_progress(len(results) * (turns + 1) + turn + 1, 2 * (turns + 1))
            del times[0]  # memory is fetched, kernels are chosen
            to_pixel = 1e6 / (batch * patch**2)
            result = StepSpeed(
                precision=precision,
                batch=batch,
                patch=patch,
                plain=statistics.median(before for before, _ in times) * to_pixel,
                ours=statistics.median(after for _, after in times) * to_pixel,
                ratio=statistics.median(after / before for before, after in times),
                plain_operators=_operators(plain, lr, hr, precision),
                operators=_operators(network, lr, hr, precision),
            )
            results.append(result)
    return results


def _seconds(network: nn.Module, lr: Tensor, hr: Tensor, precision: str) -> float:
    seconds = step_seconds(network, lr, hr, bf16=precision == "bf16", repeats=1)
    network.zero_grad()
    return seconds


def _operators(network: nn.Module, lr: Tensor, hr: Tensor, precision: str) -> list[Operator]:
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        _seconds(network, lr, hr, precision)
    events: list[Any] = sorted(profiled.key_averages(), key=attrgetter("self_cpu_time_total"), reverse=True)
    total = sum(event.self_cpu_time_total for event in events)
    return [
        Operator(
            name=event.key,
            calls=event.count,
            milliseconds=event.self_cpu_time_total / 1e3,
            share=event.self_cpu_time_total / total,
        )
        for event in events[:TOP]
    ]


@contextmanager
def _threads(number: int) -> Generator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
