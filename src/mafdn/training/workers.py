"""The processes of a training run, alone or under torchrun.

Public names: :class:`Workers`, :func:`open_workers`.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor
from torch import distributed as dist


@dataclass(frozen=True)
class Workers:
    """This process among its peers."""

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def average(self, tensors: list[Tensor]) -> None:
        """Replace every tensor by its mean over all processes: one message for all of them."""
        if self.world == 1:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        dist.all_reduce(flat)
        flat /= self.world
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.world > 1:
            dist.barrier()

    def any(self, flag: bool) -> bool:
        """Whether any process raised ``flag``."""
        if self.world == 1:
            return flag
        count = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(count)
        return bool(count)


@contextmanager
def open_workers() -> Generator[Workers]:
    """Join the processes that torchrun started, or be the only one; on CPUs with one thread each."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    else:
        device = torch.device("cpu")
        torch.set_num_threads(1)
    if world > 1:
        # The first process may prepare pictures for hours while the others wait.
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(days=2))
    try:
        yield Workers(rank, world, device)
    finally:
        if world > 1:
            dist.destroy_process_group()
