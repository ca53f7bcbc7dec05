"""The processes of a training run, one or several under torchrun."""

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch import distributed as dist

from mafdn.errors import ConfigError
from mafdn.inference.exact import exact_float32


@dataclass(frozen=True)
class Workers:
    """This process and the group of processes of its run."""

    rank: int
    """Number of this process, from 0."""
    world: int
    """Number of processes."""
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and reports progress."""
        return self.rank == 0

    def average(self, tensors: list[Tensor]) -> None:
        """Replace every tensor with its mean over all processes, in a single all-reduce."""
        if self.world == 1:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        dist.all_reduce(flat)
        flat /= self.world
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradient of every trained parameter with its mean over all processes.

        Networks with stochastic depth use other parameters in every process: one without a gradient here counts as
        zero. One without a gradient in any process keeps none, as an optimizer skips it then.
        """
        if self.world == 1:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        unused = [parameter for parameter in trained if parameter.grad is None]
        used = torch.tensor([float(parameter.grad is not None) for parameter in trained], device=self.device)
        for parameter in unused:
            parameter.grad = torch.zeros_like(parameter)
        self.average([*(parameter.grad for parameter in trained if parameter.grad is not None), used])
        if unused:  # otherwise all are used, and a GPU need not be waited for
            for parameter, share in zip(trained, used.tolist(), strict=True):
                if not share:
                    parameter.grad = None

    @torch.no_grad()
    def share(self, tensors: Iterable[Tensor]) -> None:
        """Replace every tensor with that of the first process."""
        if self.world == 1:
            return
        for tensor in tensors:
            sent = tensor.contiguous()
            dist.broadcast(sent, 0)
            tensor.copy_(sent)

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.world > 1:
            dist.barrier()

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true in any process; all of them must call this."""
        if self.world == 1:
            return flag
        count = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(count)
        return bool(count)


@contextmanager
def open_workers(device: str = "auto") -> Generator[Workers]:
    """Join the processes that torchrun started, if any; on CPUs each uses one thread within the context.

    On a GPU, fp32 means fp32 within the context: torch computes convolutions in TF32 otherwise, with 10 bits.

    Args:
        device: The device, as `run.device`. With several processes, each uses the GPU of its local rank.

    Raises:
        ConfigError: There is no such GPU, or several processes would share one.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    chosen, threads = _device(device, world), torch.get_num_threads()
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    else:
        torch.set_num_threads(1)
    if world > 1:
        # The first process may prepare pictures for hours while the others wait.
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=timedelta(days=2))
    try:
        with exact_float32():
            yield Workers(rank, world, chosen)
    finally:
        torch.set_num_threads(threads)
        if world > 1:
            dist.destroy_process_group()


def _device(name: str, world: int) -> torch.device:
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    _, _, number = name.partition(":")
    if number and world > 1:
        raise ConfigError(f'run.device = "{name}" is one GPU, but there are {world} processes; use "cuda"')
    index = int(number or os.environ.get("LOCAL_RANK", "0"))
    count = torch.cuda.device_count()
    if index >= count:
        raise ConfigError(f'run.device = "{name}": torch finds {count or "no"} GPU{"s" * (count != 1)}; use "cpu"')
    return torch.device("cuda", index)
