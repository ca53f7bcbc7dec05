"""Fixtures: where the shared data lies, small pictures, and the command line run in this process."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray

from mafdn.cli import run

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("MAFDN_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of bench sets and training crops, which the repository does not carry."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the shared data in {SHARED} (or MAFDN_SHARED)")
    return SHARED


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """A smooth (24, 32, 3) picture with an edge in it."""
    y, x = np.mgrid[:24, :32]
    return np.stack([x * 7, y * 10, 255 * (x > y)], axis=2).astype(np.uint8)


@pytest.fixture
def png(tmp_path: Path, picture: NDArray[np.uint8]) -> Path:
    path = tmp_path / "small.png"
    pyvips.Image.new_from_array(picture, interpretation="srgb").pngsave(str(path))
    return path


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in this process: exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run([str(a) for a in arguments])
        return code, *capsys.readouterr()

    return call
