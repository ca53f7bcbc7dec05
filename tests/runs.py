"""Small training runs for tests."""

from pathlib import Path

import torch

from mafdn.networks import Network
from mafdn.training.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from mafdn.training.config import DataSettings, TrainSettings
from mafdn.training.run_folder import RunFolder

CONFIG = """
[data]
folders = ["photos"]
scales = [2]
held_out = ["held*"]
patch = 12
min_gradient = 0.0
description = "random stripes"

[network]
scale = 2
width = 16
blocks = 1

[schedule]
steps = {steps}
warmup = 2
decay = 5

[run]
folder = "{folder}"
batch = 4
precision = "fp32"
log_every = 5
save_every = {save_every}
validate_every = 10
"""


def config(workplace: Path, name: str = "run", *, steps: int = 20, save_every: int = 10) -> Path:
    path = workplace / f"{name}.toml"
    path.write_text(CONFIG.format(steps=steps, folder=name, save_every=save_every))
    return path


def final(folder: Path) -> Checkpoint:
    found = newest_checkpoint(folder)
    assert found is not None
    return found


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def saved_run(folder: Path, network: Network, *, step: int = 10) -> Path:
    """A run folder with settings and a checkpoint, whose averaged weights are those of `network` and others are 0."""
    averaged = network.state_dict()
    checkpoint = Checkpoint(
        step=step,
        seconds=1.0,
        samples=4 * step,
        bf16=False,
        network={name: torch.zeros_like(tensor) for name, tensor in averaged.items()},
        ema=averaged,
        optimizer={},
    )
    save_checkpoint(folder, checkpoint)
    RunFolder(folder).save_settings(
        TrainSettings(data=DataSettings(folders=("photos",)), network=network.settings), folder
    )
    return folder
