"""The files of the shipped weights in a checkout."""

from pathlib import Path

from mafdn.weights.resolve import NAMES_OF_SCALES
from mafdn.weights.shipped import shipped_stem


def shipped_weights(project: Path, suffix: str = ".safetensors") -> dict[str, Path]:
    """Return the existing files of the shipped networks with `suffix`, by the network's name, such as `x4`."""
    paths = {
        name: project / "weights" / f"{shipped_stem(scale, variant)}{suffix}"
        for name, (variant, scale) in NAMES_OF_SCALES.items()
    }
    return {name: path for name, path in paths.items() if path.is_file()}
