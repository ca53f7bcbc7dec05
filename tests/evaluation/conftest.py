"""Small benchmark datasets and networks."""

from pathlib import Path

import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray

from mafdn.evaluation.benchset import PictureScore, SetScore
from mafdn.networks import MAFDN, MAFDNSettings, save_network


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    space = "b-w" if pixels.shape[2] == 1 else "srgb"
    pyvips.Image.new_from_array(pixels).copy(interpretation=space).pngsave(str(path))


def noise(seed: int, height: int = 40, width: int = 48, channels: int = 3) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, channels), np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A dataset of three pictures, the third of them grayscale."""
    folder = tmp_path / "Small"
    for number, name in enumerate(("a", "b", "c")):
        write_picture(folder / f"{name}.png", noise(number, channels=1 if name == "c" else 3))
    return folder


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """An untrained network for x2."""
    path = tmp_path / "tiny.safetensors"
    save_network(MAFDN(MAFDNSettings(scale=2, width=8, blocks=1)).fold(), path, card={})
    return path


def scores_of(network: str, *psnr: float, bench: str = "Set") -> SetScore:
    rows = tuple(PictureScore(name=f"p{i}", psnr=value, ssim=value / 100) for i, value in enumerate(psnr))
    return SetScore(network=network, bench=bench, scale=2, pictures=rows)
