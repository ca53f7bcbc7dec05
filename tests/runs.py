"""Small training runs and teachers for tests."""

import contextlib
import os
import random
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from mafdn.cli import run
from mafdn.networks import Network
from mafdn.training.config import DataSettings, TrainSettings
from mafdn.training.record.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from mafdn.training.record.run_folder import RunFolder
from mafdn.training.run import Run
from mafdn.training.schedule import progress

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

PROCESSES = get_context("forkserver") if "forkserver" in get_all_start_methods() else get_context("spawn")
"""Starts processes from one that has imported torch, which takes seconds."""
PROCESSES.set_forkserver_preload(["torch", "torch._dynamo", "torch.utils.tensorboard"])


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


def torchrun(*what: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen([*command, *map(str, what)], env=os.environ | {"OMP_NUM_THREADS": "1"})


def started(*words: object, environment: Mapping[str, str] | None = None) -> BaseProcess:
    """Start `mafdn WORDS`, or a script with its arguments, in a process of its own, without its messages."""
    variables = dict(os.environ) | dict(environment or {})
    process = PROCESSES.Process(target=_work, args=([str(word) for word in words], variables))
    process.start()
    return process


def _work(words: list[str], environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if words[0].endswith(".py"):
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
        return
    with (
        Path(os.devnull).open("w") as nothing,
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
    ):
        sys.exit(run(words))


def two_processes(*words: object, seconds: float = 250) -> None:
    """Run `mafdn WORDS`, or a script with its arguments, in two processes that know of each other as under torchrun."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    processes = [
        started(*words, environment={**group, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(2)
    ]
    end = time.monotonic() + seconds
    try:
        for process in processes:
            process.join(max(0, end - time.monotonic()))
        codes = [process.exitcode for process in processes]  # None if it has not ended
        assert codes == [0, 0], codes
    finally:
        for process in processes:
            process.kill()
            process.join()


def known_losses(monkeypatch: pytest.MonkeyPatch, *, spikes: Collection[int] = ()) -> None:
    """Make the loss of every step 1, and that of the part with squared errors 0.01.

    In the steps `spikes`, it is 10,000 times as large until the run went back.
    """
    gradients = Run.gradients

    def loss(run: Run, *tensors: torch.Tensor) -> torch.Tensor:
        gradients(run, *tensors)
        done = progress(run.settings.schedule, run.state.step)
        usual = 0.01 if done >= 1 - run.settings.loss.mse else 1.0
        return torch.tensor(10_000 * usual if run.state.step in spikes and not run.state.detours else usual)

    monkeypatch.setattr(Run, "gradients", loss)


def tiny(path: Path, *, seed: int, scale: int = 2) -> Path:
    """A network of one random convolution and a shuffle, as an ONNX file."""
    rng = np.random.default_rng(seed)
    kernel = (rng.normal(0, 0.1, (3 * scale**2, 3, 3, 3)) + 0.03).astype(np.float32)
    value, tensor = onnx.helper.make_tensor_value_info, onnx.numpy_helper.from_array
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Conv", ["lr", "kernel"], ["wide"], pads=[1, 1, 1, 1]),
            onnx.helper.make_node("DepthToSpace", ["wide"], ["sr"], blocksize=scale, mode="CRD"),
        ],
        "tiny",
        [value("lr", onnx.TensorProto.FLOAT, [1, 3, "h", "w"])],
        [value("sr", onnx.TensorProto.FLOAT, [1, 3, "sh", "sw"])],
        [tensor(kernel, "kernel")],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def train_and_kill(path: Path, folder: Path, *, seed: int, times: int = 5) -> None:
    """Train the configuration in `path` into `folder`, killing the process at random moments.

    Each process is killed shortly after it wrote to the log. A checkpoint must be readable after every kill.
    """
    rng, log = random.Random(seed), folder / "log.jsonl"
    for _ in range(times):
        before = log.stat().st_size if log.exists() else 0
        process = started("train", path)
        try:
            deadline = time.monotonic() + 200
            while not (grown := log.exists() and log.stat().st_size != before) and time.monotonic() < deadline:
                assert process.is_alive(), "the run ended before it was killed"
                time.sleep(0.01)
            assert grown, "the run did not start"
            time.sleep(rng.uniform(0, 0.2))
        finally:
            process.kill()  # SIGKILL
            process.join()
        newest_checkpoint(folder)  # raises if none can be read
