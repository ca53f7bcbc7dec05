"""`mafdn.load_network`: networks as PyTorch modules."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mafdn
from mafdn import EngineOptions, UsageError, WeightsError
from mafdn.inference import upscale
from mafdn.networks import MAFDN, MAFDNSettings, save_network
from mafdn.weights.shipped import shipped
from tests.runs import saved_run
from tests.support import WITHOUT_TORCH

SETTINGS = MAFDNSettings(scale=2, width=8, blocks=1)


def test_the_module_computes_what_engines_do(picture: np.ndarray) -> None:
    network: Any = mafdn.load_network("x4")
    assert (network.settings.scale, network.training) == (4, False)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    result = network(x).clamp(0, 1)[0].permute(1, 2, 0).numpy() * 255
    for engine in ("auto", "torch"):
        upscaler = mafdn.load("x4", engine=EngineOptions(engine=engine, threads=1, precision="fp32"))
        assert np.abs(result - upscale(upscaler.engine, picture)).max() < 0.6


@pytest.mark.parametrize("name", [str(shipped(2, ".safetensors")), shipped(2, ".safetensors"), "x2"])
def test_names_and_paths_of_every_type(name: Any) -> None:
    network: Any = mafdn.load_network(name)
    assert network.settings.scale == 2


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_weights_files_run_in_torch(ending: str, tmp_path: Path, picture: np.ndarray) -> None:
    torch.manual_seed(0)
    network = MAFDN(MAFDNSettings(scale=2))
    path = tmp_path / f"n{ending}"
    if ending == ".pth":
        torch.save({"params": network.state_dict()}, path)
    else:
        save_network(network, path, card={})
    upscaler = mafdn.load(path, engine=EngineOptions(engine="torch"))
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    result = mafdn.load_network(path)(x).clamp(0, 1)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(upscale(upscaler.engine, picture) - result).max() < 0.6


def test_gradients_reach_the_input_and_if_trainable_the_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    run = saved_run(tmp_path / "run", MAFDN(SETTINGS))
    save_network(MAFDN(SETTINGS).fold(), tmp_path / "folded.safetensors", card={})
    x = torch.rand(1, 3, 6, 7, requires_grad=True)
    fixed: Any = mafdn.load_network(run)
    assert not any(p.requires_grad for p in fixed.parameters())
    assert not fixed.settings.over_parameterized
    fixed(x).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    for source, over_parameterized in ((run, True), (tmp_path / "folded.safetensors", False)):
        network: Any = mafdn.load_network(source, trainable=True)
        assert network.training
        assert network.settings.over_parameterized == over_parameterized
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
        before = network.head.weight.detach().clone()
        network(x.detach()).square().mean().backward()
        optimizer.step()
        assert all(p.grad is not None for p in network.parameters())
        assert not torch.equal(network.head.weight, before)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("bicubic", UsageError, "bicubic is a baseline"),
        ("imdn", UsageError, "imdn is an architecture without weights"),
        ("vdsr", UsageError, "unknown network 'vdsr'"),
        ("", UsageError, "the network is an empty string"),
        (4, UsageError, "the network must be a name or a path"),
        (
            shipped(2, ".onnx"),
            UsageError,
            r"no PyTorch module; load .*mafdn-x2\.safetensors, or run it with mafdn",
        ),
        ("missing.pth", WeightsError, "no such file"),
    ],
)
def test_what_is_no_module_is_refused(name: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        mafdn.load_network(name)


def test_torch_is_imported_when_it_is_needed_and_missed_in_one_line() -> None:
    program = "import mafdn, sys\nmafdn.psnr, mafdn.evaluate, mafdn.load_network\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    blocked = WITHOUT_TORCH.replace("from mafdn.cli import main\nmain()", "import mafdn\nmafdn.load_network('x4')")
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last == 'mafdn.errors.MissingPackageError: load_network needs torch: pip install "mafdn[train]"'
