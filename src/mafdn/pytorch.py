"""Networks as PyTorch modules; torch is imported when one is loaded."""

from __future__ import annotations  # so that `help` shows the names of types instead of their definitions

import os
from typing import TYPE_CHECKING

from mafdn._support.atomic import printable
from mafdn._support.extras import pip_install
from mafdn._support.validate import as_path
from mafdn.errors import MissingPackageError, UsageError
from mafdn.weights.resolve import FILE_TYPES, resolve, unknown_network

if TYPE_CHECKING:
    from torch import nn

DEFAULT_SCALE = 4


def load_network(network: str | os.PathLike[str] = "x4", *, trainable: bool = False) -> nn.Module:
    """Load a network as a PyTorch module, for losses, gradients and experiments.

    The module maps (B, 3, H, W) float32 RGB in [0, 1] to (B, 3, scale*H, scale*W), not clipped. Its attribute
    `settings` describes it (`network.settings.scale`). It is on the CPU; move it with `.to(device)`.

    Example:
        network = mafdn.load_network("x4")
        with torch.inference_mode():
            larger = network(image).clamp(0, 1)  # image: (B, 3, H, W) in [0, 1]

    Args:
        network: `x2`, `x3` or `x4` (shipped networks), `photo-x2` or `photo-x4` (for pictures with JPEG artifacts),
            `auto`, `mafdn`, `classic` or `photo` (at x4), the path of a `.safetensors`, `.pth`, `.pt` or `.ckpt` file,
            or the folder of a training run (its averaged weights).
        trainable: Return the network in training mode with gradients for its parameters, in the form in which the file
            stores it: runs hold the training form, most weights files the folded form. By default, the network is
            folded, in evaluation mode, and its parameters have no gradients; its input may have.

    Returns:
        The network.

    Raises:
        UsageError: If the network is unknown, or has no weights that torch can load.
        WeightsError: If the file is missing or unusable.
        MissingPackageError: If torch is not installed.
    """
    as_path("the network", network, wanted="a name or a path")
    source = resolve(network)
    path = source.file(".safetensors", scale=DEFAULT_SCALE)
    if path.suffix == ".onnx":
        beside = path.with_suffix(".safetensors")
        hint = f"load {printable(beside)}" if beside.is_file() else "load the weights file that it was exported from"
        raise UsageError(f"{printable(path)} is no PyTorch module; {hint}, or run it with mafdn.load")
    if path.suffix not in FILE_TYPES:
        raise unknown_network(path)
    try:
        from mafdn.networks.checkpoints import open_network
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"load_network needs {error.name}: {pip_install('train')}") from None
    loaded = open_network(path)
    return loaded.requires_grad_(True).train() if trainable else loaded.fold()
