"""The channel gates of a plain file: typical ones that are stored or measured, or none."""

from collections.abc import Iterator
from pathlib import Path

import torch

from mafdn.errors import UsageError
from mafdn.networks import MAFDN, Network
from mafdn.networks.held import typical_gates
from mafdn.pictures.formats import SUFFIXES
from mafdn.pictures.reading import read_rgb8
from mafdn.weights.gates import stored_gates

TYPICAL, COMPUTED = "typical", "computed"
SMALLEST = 5e-6
"""Stored gates have five decimals, so one of 0 is at most this; a gate must be positive."""
LARGEST_SIDE = 512
"""Larger pictures are represented by their middle."""


def choose_gates(network: Network, weights: Path, choice: str) -> torch.Tensor | None:
    """The gates at which the channel attention of a network is held.

    Args:
        network: The network.
        weights: Its file, or the folder of a run.
        choice: `typical` for those stored for shipped weights, `computed` for none, or a folder of pictures such as
            the network upscales, whose mean gates are used.

    Returns:
        (blocks, 2n) in (0, 1), or `None` if the network computes its own, or has no channel attention to be held.

    Raises:
        UsageError: None are stored for these weights, or the folder is missing or has no pictures.
        PictureError: A picture cannot be read.
    """
    if choice == COMPUTED or not isinstance(network, MAFDN) or not network.settings.channel_attention:
        return None
    if choice != TYPICAL:
        return typical_gates(network, _pictures(Path(choice)))
    stored = stored_gates(weights) if weights.is_file() else None
    if stored is None:
        raise UsageError(
            f"no typical gates are stored for {weights}; name a folder of pictures such as it will "
            "upscale, to measure them",
            setting="gates",
        )
    return torch.tensor(stored).clamp(min=SMALLEST)


def _pictures(folder: Path) -> Iterator[torch.Tensor]:
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise UsageError(
            f"gates are typical, computed or those of a folder of pictures; {folder} has no pictures", setting="gates"
        )
    for path in files:
        pixels = read_rgb8(path)
        top, left = (max(0, (length - LARGEST_SIDE) // 2) for length in pixels.shape[:2])
        part = torch.from_numpy(pixels[top : top + LARGEST_SIDE, left : left + LARGEST_SIDE].copy())
        yield part.permute(2, 0, 1)[None].float() / 255
