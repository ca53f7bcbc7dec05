"""Networks as methods that a bench set can be measured with.

Public names: :func:`open_method`.
"""

from pathlib import Path

from mafdn.cards import shipped
from mafdn.errors import MissingPackageError
from mafdn.evaluation.bench import Method
from mafdn.inference import Engine, Tiling, open_engine, require_scale, upscale
from mafdn.inference.engines import Batch

WHOLE = Tiling(tile=65_536)
"""Benchmarks are measured on whole pictures."""


def open_method(network: Path | None, *, scale: int) -> tuple[str, Method]:
    """The name and method of a network: the shipped weights, an ``.onnx`` or a ``.safetensors`` file.

    Raises :class:`UsageError` when the file upscales by another factor, :class:`WeightsError` when it is
    unusable, :class:`MissingPackageError` when a safetensors file is given without torch.
    """
    path = network or shipped(scale, ".onnx")
    engine: Engine = TorchEngine(path) if path.suffix == ".safetensors" else open_engine(path)
    require_scale(engine, path, scale)
    return path.stem, lambda lr: upscale(engine, lr, tiling=WHOLE)


class TorchEngine:
    """A weights file run by torch itself, folded: an :class:`Engine` for measuring only."""

    name = "torch"

    def __init__(self, path: Path) -> None:
        try:
            import torch

            from mafdn.networks import load_network
        except ImportError:
            raise MissingPackageError(f"measuring {path} needs torch: pip install 'mafdn[train]'") from None
        self._torch = torch
        self._network = load_network(path).fold()
        self.version = str(torch.__version__)
        self.scale = self._network.settings.scale

    def run(self, x: Batch) -> Batch:
        with self._torch.inference_mode():
            return self._network(self._torch.tensor(x)).numpy()
