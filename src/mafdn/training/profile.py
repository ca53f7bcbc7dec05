"""What `mafdn train --profile` measures: a run's whole loop, and a single step of MAFDN.

The loop is compared with forward and backward passes alone, and a step of the network with the same network written as
plain formulas. Compared runs alternate, so that other load on the machine affects both equally.
"""

import statistics
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from mafdn.networks.mafdn import MAFDN, MAFDNSettings
from mafdn.networks.reference import PlainMAFDN
from mafdn.training.config import Overrides
from mafdn.training.data.batches import Tensors
from mafdn.training.record.run_folder import load_config
from mafdn.training.run import Run, open_run
from mafdn.training.step_mode import step_seconds
from mafdn.training.workers import open_workers

TOP = 15
"""Number of operators in the profile of a step."""


@dataclass(frozen=True, kw_only=True)
class LoopProfile:
    """Throughput of a run's loop: patches per second over all processes, medians over rounds."""

    processes: int
    batch: int
    """Patches per step, over all processes."""
    patch: int
    """Side of an LR patch in pixels."""
    precision: str
    """`fp32`, or `bf16` for autocast."""
    compiled: bool
    bare: float
    """Forward and backward passes alone, repeated on the same batch."""
    loop: float
    """Whole steps: patches, forward, backward, averaging over processes, optimizer, weight averaging."""

    @property
    def share(self) -> float:
        """Throughput of the loop as a share of the bare passes."""
        return self.loop / self.bare


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator in the profile of a step."""

    name: str
    calls: int
    milliseconds: float
    """CPU time of the operator itself, without those it calls."""
    share: float
    """Share of the step's CPU time."""


@dataclass(frozen=True, kw_only=True)
class StepProfile:
    """Forward and backward passes of MAFDN in one precision, in microseconds per LR pixel, medians over turns."""

    precision: str
    """`fp32`, or `bf16` for autocast."""
    batch: int
    patch: int
    """Side of an LR patch in pixels."""
    plain: float
    """Time of the network written as plain formulas."""
    ours: float
    """Time of the network that is trained."""
    ratio: float
    """Median over turns of `ours` divided by `plain`."""
    plain_operators: list[Operator]
    """The most expensive operators of a plain step, in descending order."""
    operators: list[Operator]
    """The most expensive operators of our step, in descending order."""


def profile_loop(
    config: Path,
    *,
    overrides: Overrides | None = None,
    rounds: int = 24,
    on_progress: Callable[[int, int], None] | None = None,
) -> LoopProfile | None:
    """Measure the loop of a run in its current state; nothing is saved.

    Args:
        config: A TOML file or the folder of a run.
        overrides: Settings that replace those of `config`.
        rounds: Number of steps of each kind, alternating.
        on_progress: Called as `on_progress(done, total)` after each round.

    Returns:
        The profile, or `None` in all but the first process under torchrun.

    Raises:
        ConfigError: The settings are invalid.
        PictureError: A training picture cannot be read.
    """
    with open_workers(load_config(config, overrides).settings.run.device) as workers:
        run = open_run(config, workers, overrides=overrides)
        batch = run.next_batch()
        run.take_step()  # the optimizers allocate their state
        bare: list[float] = []
        loop: list[float] = []
        for number in range(rounds):
            for times, work in ((bare, lambda: _bare_step(run, batch)), (loop, run.take_step)):
                workers.wait()
                start = time.perf_counter()
                work()
                if workers.device.type == "cuda":
                    torch.cuda.synchronize()
                workers.wait()  # a step ends with its slowest process
                times.append(time.perf_counter() - start)
            if on_progress:
                on_progress(number + 1, rounds)
        if not workers.leads:
            return None
        size = run.settings.run.batch
        return LoopProfile(
            processes=workers.world,
            batch=size,
            patch=run.settings.data.patch,
            precision="bf16" if run.state.mode.bf16 else "fp32",
            compiled=run.state.mode.compiled,
            bare=size / statistics.median(bare),
            loop=size / statistics.median(loop),
        )


def profile_step(
    settings: MAFDNSettings,
    *,
    batch: int = 8,
    patch: int = 48,
    turns: int = 11,
    threads: int = 1,
    device: str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> list[StepProfile]:
    """Compare a step (forward and backward) of a network with random weights with its plain form.

    Args:
        settings: The network.
        batch: Patches per step.
        patch: Side of an LR patch in pixels.
        turns: Number of timed steps of each network, after one more to warm up.
        threads: Threads to use; the training loop uses one per process.
        device: Name of the torch device.
        on_progress: Called as `on_progress(done, total)` after each turn.

    Returns:
        One profile in float32 and one in bfloat16 autocast.
    """
    generator = torch.Generator().manual_seed(1)
    lr, hr = (
        torch.rand(batch, size, size, 3, generator=generator).to(device).permute(0, 3, 1, 2)
        for size in (patch, patch * settings.scale)
    )
    network = MAFDN(settings).to(device)
    plain = PlainMAFDN(network)  # shares the parameters
    results: list[StepProfile] = []
    with _threads(threads):
        for precision in ("fp32", "bf16"):
            times: list[tuple[float, float]] = []
            for turn in range(turns + 1):
                times.append((_step_seconds(plain, lr, hr, precision), _step_seconds(network, lr, hr, precision)))
                if on_progress:
                    on_progress(len(results) * (turns + 1) + turn + 1, 2 * (turns + 1))
            del times[0]  # warm-up: memory is allocated, kernels are chosen
            per_pixel = 1e6 / (batch * patch**2)
            results.append(
                StepProfile(
                    precision=precision,
                    batch=batch,
                    patch=patch,
                    plain=statistics.median(before for before, _ in times) * per_pixel,
                    ours=statistics.median(after for _, after in times) * per_pixel,
                    ratio=statistics.median(after / before for before, after in times),
                    plain_operators=_operators(plain, lr, hr, precision),
                    operators=_operators(network, lr, hr, precision),
                )
            )
    return results


def _bare_step(run: Run, batch: Tensors) -> None:
    run.gradients(*batch)
    run.network.zero_grad()


def _step_seconds(network: nn.Module, lr: Tensor, hr: Tensor, precision: str) -> float:
    seconds = step_seconds(network, lr, hr, bf16=precision == "bf16", repeats=1)
    network.zero_grad()
    return seconds


def _operators(network: nn.Module, lr: Tensor, hr: Tensor, precision: str) -> list[Operator]:
    """Profile one step."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        _step_seconds(network, lr, hr, precision)
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
    """Limit torch to `number` threads within the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
