"""Networks as methods that a bench set can be measured with.

Public names: :func:`open_method`.
"""

from pathlib import Path

import numpy as np

from mafdn.cards import shipped
from mafdn.errors import MissingPackageError, UsageError
from mafdn.evaluation.bench import Method, Pixels
from mafdn.inference import Tiling, open_engine, upscale

WHOLE = Tiling(tile=65_536)
"""Benchmarks are measured on whole pictures."""


def open_method(network: Path | None, *, scale: int) -> tuple[str, Method]:
    """The name and method of a network: the shipped weights, an ``.onnx`` or a ``.safetensors`` file.

    Raises :class:`UsageError` when the file upscales by another factor, :class:`WeightsError` when it is
    unusable, :class:`MissingPackageError` when a safetensors file is given without torch.
    """
    path = network or shipped(scale, ".onnx")
    name = path.stem
    if path.suffix == ".safetensors":
        return name, _torch_method(path, scale)
    engine = open_engine(path)
    _check_scale(path, engine.scale, scale)
    return name, lambda lr: upscale(engine, lr, tiling=WHOLE)


def _torch_method(path: Path, scale: int) -> Method:
    try:
        import torch

        from mafdn.networks import load_network
    except ImportError:
        raise MissingPackageError(f"measuring {path} needs torch: pip install 'mafdn[train]'") from None
    network = load_network(path).fold()
    _check_scale(path, network.settings.scale, scale)

    def run(lr: Pixels) -> Pixels:
        x = torch.from_numpy(np.array(lr)).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            output = network(x)[0].clamp(0, 1).mul(255).round().byte()
        return output.permute(1, 2, 0).numpy()

    return run


def _check_scale(path: Path, actual: int, wanted: int) -> None:
    if actual != wanted:
        raise UsageError(f"{path} upscales by {actual}, not {wanted}; give --scale {actual}")
