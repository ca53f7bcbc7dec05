"""Locate the shipped weights."""

from pathlib import Path

from mafdn.errors import WeightsError
from mafdn.weights.header import SCALES


def weights_folder() -> Path:
    """The folder of the shipped weights: this package when installed, `weights/` at the root in a checkout."""
    package = Path(__file__).parent
    return package if any(package.glob("*.onnx")) else package.parents[2] / "weights"


def shipped(scale: int, suffix: str) -> Path:
    """The shipped file for `scale` with `suffix` (`.safetensors` or `.onnx`).

    Raises:
        WeightsError: No weights ship for this scale.
    """
    path = weights_folder() / f"mafdn-x{scale}{suffix}"
    if not path.is_file():
        available = ", ".join(f"x{s}" for s in shipped_scales()) or "none"
        raise WeightsError(f"no weights for x{scale} ship with this version (available: {available})")
    return path


def shipped_scales() -> tuple[int, ...]:
    """The scales for which weights ship, ascending."""
    return tuple(s for s in SCALES if (weights_folder() / f"mafdn-x{s}.onnx").is_file())
