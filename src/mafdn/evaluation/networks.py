"""Networks as methods that a bench set can be measured with.

Public names: :func:`open_method`, :data:`ZERO_LINES`.
"""

from collections.abc import Callable
from pathlib import Path

from mafdn.cards import shipped
from mafdn.errors import MissingPackageError, UsageError
from mafdn.evaluation.bench import Method, bicubic, lanczos
from mafdn.inference import Engine, Tiling, open_engine, require_scale, upscale
from mafdn.inference.engines import Batch

WHOLE = Tiling(tile=65_536)
"""Benchmarks are measured on whole pictures."""
ZERO_LINES: dict[str, Callable[[int], Method]] = {"bicubic": bicubic, "lanczos": lanczos}
"""Methods that are no networks, by name."""
SHIPPED = "mafdn"
"""The name of what ships at the scale asked for."""


def open_method(network: str, *, scale: int) -> tuple[str, Method]:
    """The name and method of ``network``: ``bicubic``, ``lanczos``, ``mafdn`` (the shipped weights) or a file.

    A ``.safetensors`` or ``.pth`` file is run by torch, any other is taken for an ONNX file. Raises :class:`UsageError`
    when the file upscales by another factor, :class:`WeightsError` when it is unusable, :class:`MissingPackageError`
    when it needs torch and there is none.
    """
    if network in ZERO_LINES:
        return network, ZERO_LINES[network](scale)
    path = shipped(scale, ".onnx") if network == SHIPPED else Path(network)
    if not path.suffix and not path.exists():
        names = ", ".join([SHIPPED, *ZERO_LINES])
        raise UsageError(f"unknown network {network!r}; there are {names}, and files (.safetensors, .pth, .onnx)")
    engine: Engine = TorchEngine(path) if path.suffix in (".safetensors", ".pth") else open_engine(path)
    require_scale(engine, path, scale)
    return path.stem, lambda lr: upscale(engine, lr, tiling=WHOLE)


class TorchEngine:
    """A weights file run by torch itself, folded: an :class:`Engine` for measuring only."""

    name = "torch"

    def __init__(self, path: Path) -> None:
        try:
            import torch

            from mafdn.networks.convert import open_network
        except ImportError:
            raise MissingPackageError(f"measuring {path} needs torch: pip install 'mafdn[train]'") from None
        self._torch = torch
        self._path = path
        self._network = open_network(path).fold()
        self.version = str(torch.__version__)
        self.scale = self._network.settings.scale

    def run(self, x: Batch) -> Batch:
        """As every engine's; raises :class:`UsageError` for an input smaller than the network can take."""
        try:
            with self._torch.inference_mode():
                return self._network(self._torch.tensor(x)).numpy()
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"{self._path} cannot take a picture of {x.shape[3]}x{x.shape[2]}: {reason}") from None
