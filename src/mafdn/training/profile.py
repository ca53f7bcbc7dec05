"""What the loop costs beside the network's own forward and backward pass.

Public names: :class:`LoopProfile`, :func:`profile_loop`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from mafdn.training.batches import Tensors
from mafdn.training.run import Run, open_run
from mafdn.training.workers import open_workers


@dataclass(frozen=True, kw_only=True)
class LoopProfile:
    """Patches a second of all processes together, medians of interleaved rounds.

    ``bare`` is forward and backward alone, on one batch again and again; ``loop`` is the loop's whole step:
    drawing patches, forward, backward, averaging over processes, optimizer, average of weights.
    """

    processes: int
    batch: int
    patch: int
    precision: str
    compiled: bool
    bare: float
    loop: float

    @property
    def share(self) -> float:
        return self.loop / self.bare


def profile_loop(
    config: Path, *, rounds: int = 24, on_progress: Callable[[int, int], None] | None = None
) -> LoopProfile | None:
    """Measure the run that ``config`` describes, in its present state and without changing it.

    Under torchrun all processes take part, and only the first returns a result. Raises what
    :func:`mafdn.training.loop.train` raises.
    """
    with open_workers() as workers:
        run = open_run(config, workers)
        held = run.next_batch()
        run.take_step()  # the optimizers make their state
        bare: list[float] = []
        loop: list[float] = []
        for number in range(rounds):
            for times, work in ((bare, lambda: _bare(run, held)), (loop, run.take_step)):
                workers.wait()
                began = time.perf_counter()
                work()
                if workers.device.type == "cuda":
                    torch.cuda.synchronize()
                workers.wait()  # a step is over when its slowest process is
                times.append(time.perf_counter() - began)
            if on_progress:
                on_progress(number + 1, rounds)
        if not workers.leads:
            return None
        batch = run.settings.run.batch
        return LoopProfile(
            processes=workers.world,
            batch=batch,
            patch=run.settings.data.patch,
            precision="bf16" if run.state.pace.bf16 else "fp32",
            compiled=run.state.pace.compiled,
            bare=batch / median(bare),
            loop=batch / median(loop),
        )


def _bare(run: Run, held: Tensors) -> None:
    run.gradients(*held)
    run.network.zero_grad()
