"""SMFANet+: its released weights, its counts, and its exported form at any size."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mafdn.evaluation.benchset import Protocol, measure
from mafdn.evaluation.methods import open_method
from mafdn.export.onnx import export_onnx
from mafdn.inference import ENGINES, EngineOptions, open_engine
from mafdn.networks import SMFANet, SMFANetSettings, count
from mafdn.networks.checkpoints import load_pth
from mafdn.networks.smfanet import SMALLEST, nearest, windowed_maximum
from tests.conftest import Run

MEASURED = {2: 38.185, 3: 34.665, 4: 32.511}
"""PSNR in dB on Set5 of the released weights."""
COUNTS = {2: (480_300, "101.1440"), 3: (486_795, "45.5449"), 4: (495_888, "26.1811")}


def small(scale: int = 2) -> SMFANet:
    torch.manual_seed(1)
    network = SMFANet(SMFANetSettings(scale=scale, width=8, blocks=2)).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("scale", MEASURED)
def test_released_weights_reach_their_scores_on_set5(peers: Path, datasets: Path, scale: int) -> None:
    label, method = open_method(str(peers / f"SMFANet_plus_DF2K_x{scale}.pth"), scale=scale)
    score = measure({label: method}, [datasets / "Set5"], Protocol(scale=scale))[0]
    assert score.psnr == pytest.approx(MEASURED[scale], abs=0.01)


@pytest.mark.parametrize("scale", COUNTS)
def test_counts(scale: int) -> None:
    *parts, total = count(SMFANet(SMFANetSettings(scale=scale)))
    assert (total.parameters, f"{total.conv_macs / 1e9:.4f}") == COUNTS[scale]
    assert sum(part.parameters for part in parts) == total.parameters


@pytest.mark.parametrize("wrapper", ["params", "params_ema"])
def test_tensors_are_found_where_basicsr_stores_them(peers: Path, tmp_path: Path, wrapper: str) -> None:
    released = peers / "SMFANet_plus_DF2K_x3.pth"
    tensors = torch.load(released, weights_only=True)["params"]
    torch.save({wrapper: tensors}, tmp_path / "n.pth")
    assert load_pth(tmp_path / "n.pth").settings == SMFANetSettings(scale=3)


@pytest.mark.usefixtures("unchecked")
def test_every_engine_agrees_at_every_size(tmp_path: Path) -> None:
    network, path = small(), tmp_path / "n.onnx"
    export_onnx(network, path)
    engines = [open_engine(path, EngineOptions(engine=name)) for name in ENGINES]
    rng = np.random.default_rng(0)
    for height, width in [(8, 8), (8, 15), (16, 24), (17, 31), (23, 40), (57, 86), (120, 120)]:
        x = rng.random((1, 3, height, width), np.float32)
        with torch.inference_mode():
            expected = network(torch.from_numpy(x)).numpy()
        for engine in engines:
            np.testing.assert_allclose(engine.run(x), expected, atol=2e-5, err_msg=engine.name)


@pytest.mark.parametrize("size", [8, 9, 15, 16, 17, 23, 24, 25, 31, 63, 100, 121])
def test_the_exported_operations_are_torchs_own(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(1, 2, size, size + 8)
    pooled = windowed_maximum(x)
    enlarged = nearest(pooled, size, size + 8)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert torch.equal(windowed_maximum(x), pooled)
    assert torch.equal(nearest(pooled, size, size + 8), enlarged)


def test_the_smallest_input() -> None:
    network = small(4)
    assert network(torch.rand(1, 3, SMALLEST, SMALLEST)).shape == (1, 3, 4 * SMALLEST, 4 * SMALLEST)
    with pytest.raises(RuntimeError):
        network(torch.rand(1, 3, SMALLEST - 1, 40))


def test_commands_accept_it(cli: Run) -> None:
    code, out, _ = cli("count", "--network", "smfanet", "--scale", 4)
    assert code == 0
    assert "SMFANet+ x4" in out
    assert "495,888" in out
    code, out, _ = cli("compare", "--network", "smfanet", "--scale", 4, "--rounds", 0)
    assert code == 0
    assert "SMFANet+" in out
