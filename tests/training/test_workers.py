"""Several processes: every one of them has the same network, whatever it draws."""

from pathlib import Path

import torch
from torch import nn

from mafdn.training.workers import Workers, open_workers
from tests.runs import config, two_processes

NETWORK = """
import numpy as np
import torch
from torch import nn

class Uneven(nn.Module):
    def __init__(self, scale: int = 2):
        super().__init__()
        self.head = nn.Conv2d(3, 16, 3, padding=1)
        self.head.weight.data += torch.from_numpy(np.random.rand(16, 3, 3, 3)).float() / 9
        self.norm = nn.BatchNorm2d(16)
        self.first, self.second, self.never = (nn.Conv2d(16, 16, 3, padding=1) for _ in range(3))
        self.tail = nn.Sequential(nn.Conv2d(16, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, x):
        x = self.norm(self.head(x))
        return self.tail(self.first(x) if torch.rand(()) < 0.5 else self.second(x))
"""
SCRIPT = """
import sys
from pathlib import Path

import torch
from torch import distributed as dist

from mafdn.training.run import open_run
from mafdn.training.workers import open_workers

def in_both(tensor):
    found = [torch.empty_like(tensor) for _ in range(2)]
    dist.all_gather(found, tensor.contiguous())
    return found

with open_workers("cpu") as workers:
    run = open_run(Path(sys.argv[1]), workers)
    for _ in range(6):
        run.take_step()
        drawn = torch.rand(())  # depends on the process, as the choice of a branch does
        assert not torch.equal(*in_both(drawn))
    parameters = dict(run.network.named_parameters())
    for name, parameter in parameters.items():
        assert torch.equal(*in_both(parameter.detach())), name
    states = [state for optimizer in run.state.optimizers for state in optimizer.state]
    assert any(state is parameters["first.weight"] for state in states)
    assert not any(state is parameters["never.weight"] for state in states)
    mean = run.network.norm.running_mean
    before = in_both(mean)
    assert not torch.equal(*before)
    run.average_statistics()
    torch.testing.assert_close(mean, sum(before) / 2)
    for tensor in (*run.network.state_dict().values(), *run.state.ema.values()):
        assert torch.equal(*in_both(tensor))
"""


def test_processes_that_use_other_parameters_keep_the_same_network(workplace: Path) -> None:
    (workplace / "uneven.py").write_text(NETWORK)
    (workplace / "script.py").write_text(SCRIPT)
    path = config(workplace)
    text = path.read_text().replace("width = 16\nblocks = 1\n", "")
    path.write_text(text.replace("[network]", '[network]\narchitecture = "uneven:Uneven"'))
    two_processes(workplace / "script.py", path)


def test_one_process_keeps_missing_gradients() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    (3 * used).sum().backward()
    Workers(0, 1, torch.device("cpu")).average_gradients([used, unused])
    assert unused.grad is None
    assert used.grad is not None
    assert used.grad.tolist() == [3, 3]


def test_convolutions_on_a_gpu_are_not_rounded_to_tf32() -> None:
    before = torch.backends.cudnn.allow_tf32
    with open_workers("cpu"):
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before
