"""The files of the shipped weights in a checkout."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mafdn._support.atomic import sha256
from mafdn.weights.resolve import NAMES_OF_SCALES
from mafdn.weights.shipped import shipped_stem


def shipped_weights(project: Path, suffix: str = ".safetensors") -> dict[str, Path]:
    """Return the existing files of the shipped networks with `suffix`, by the network's name, such as `x4`."""
    paths = {
        name: project / "weights" / f"{shipped_stem(scale, variant)}{suffix}"
        for name, (variant, scale) in NAMES_OF_SCALES.items()
    }
    return {name: path for name, path in paths.items() if path.is_file()}


def earlier_note(project: Path, rows: Iterable[dict[str, Any]]) -> str:
    """A sentence if our networks in the rows of a stored comparison are not those that ship now; empty otherwise.

    Args:
        project: The checkout.
        rows: Rows with `ours`, `scale`, `file` and `sha256`.
    """
    files = {path.name: path for path in shipped_weights(project, ".onnx").values()}
    earlier = sorted(
        {
            f"x{row['scale']}"
            for row in rows
            if row["ours"] and row["file"] in files and sha256(files[row["file"]]) != row["sha256"]
        }
    )
    return f"MAFDN at {', '.join(earlier)} with earlier weights than those that ship now." if earlier else ""
