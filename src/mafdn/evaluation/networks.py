"""Networks as methods that a bench set can be measured with.

Public names: :func:`find_network`, :func:`network_label`, :func:`engine_label`, :func:`open_method`,
:data:`ZERO_LINES`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mafdn.cards import shipped
from mafdn.errors import MissingPackageError, UsageError, WeightsError
from mafdn.evaluation.bench import Method, Pixels, bicubic, lanczos
from mafdn.inference import ENGINES, Engine, Stencil, open_engine, require_scale, upscale
from mafdn.inference.engines import Batch
from mafdn.machine import installed_version
from mafdn.pixels import ORIENTATIONS, orient, orient_back

WHOLE = 65_536
"""The tile of a network that sees other things in tiles: it is measured on whole pictures."""
ZERO_LINES: dict[str, Callable[[int], Method]] = {"bicubic": bicubic, "lanczos": lanczos}
"""Methods that are no networks, by name."""
SHIPPED = "mafdn"
"""The name of what ships at the scale asked for."""
TORCH_FILES = (".safetensors", ".pth")


def find_network(network: str, *, scale: int) -> Path | None:
    """The file of ``network``: of ``mafdn`` what ships, of a zero line none, else the path it is.

    Raises :class:`UsageError` for an unknown name and :class:`WeightsError` when there is no such file.
    """
    if network in ZERO_LINES:
        return None
    if network == SHIPPED:
        return shipped(scale, ".onnx")
    path = Path(network)
    if not path.suffix and not path.exists():
        names = ", ".join([SHIPPED, *ZERO_LINES])
        raise UsageError(f"unknown network {network!r}; there are {names}, and files (.safetensors, .pth, .onnx)")
    if not path.is_file():
        raise WeightsError(f"cannot read {path}: {'not a regular file' if path.exists() else 'no such file'}")
    return path


def network_label(network: str, *, scale: int) -> str:
    """What ``network`` is called: a zero line by its name, a file without its ending."""
    path = find_network(network, scale=scale)
    return path.stem if path else network


def engine_label(path: Path) -> str:
    """Name and version of what :func:`open_method` runs ``path`` with, without importing it."""
    for name in ("torch",) if path.suffix in TORCH_FILES else ENGINES:
        version = installed_version(name)
        if version:
            return f"{name} {version}"
    return "none"  # opening the network will tell


def open_method(network: str, *, scale: int, self_ensemble: bool = False) -> tuple[str, Method]:
    """The label and method of ``network``: ``bicubic``, ``lanczos``, ``mafdn`` (the shipped weights) or a file.

    A ``.safetensors`` or ``.pth`` file is run by torch, any other is taken for an ONNX file. ``self_ensemble`` does
    nothing to methods that are no networks. Raises what :func:`find_network` raises, :class:`UsageError` when the file
    upscales by another factor, :class:`WeightsError` when it is unusable, :class:`MissingPackageError` when it needs
    torch and there is none.
    """
    path = find_network(network, scale=scale)
    if path is None:
        return network, ZERO_LINES[network](scale)
    engine: Engine = TorchEngine(path) if path.suffix in TORCH_FILES else open_engine(path)
    require_scale(engine, path, scale)
    if self_ensemble:
        return path.stem, lambda lr: ensemble(engine, lr)
    tile = None if engine.stencil else WHOLE  # what ships is measured as it is used
    return path.stem, lambda lr: upscale(engine, lr, tile=tile)


def ensemble(engine: Engine, lr: Pixels) -> Pixels:
    """The mean of an engine's eight results on the flips and turns of ``lr`` (H, W, 3), turned back.

    Only the mean is clipped and rounded, as EDSR, which brought the method to the field, has it.
    """
    unit = lr.astype(np.float32) / np.float32(255)
    total = np.zeros((lr.shape[0] * engine.scale, lr.shape[1] * engine.scale, 3), np.float32)
    for turns, mirror in ORIENTATIONS:
        turned = orient(unit, turns, mirror).transpose(2, 0, 1)[None]
        total += orient_back(engine.run(np.ascontiguousarray(turned))[0].transpose(1, 2, 0), turns, mirror)
    return np.rint(np.clip(total / len(ORIENTATIONS), 0.0, 1.0) * 255).astype(np.uint8)


class TorchEngine:
    """A weights file run by torch itself, folded: an :class:`Engine` for measuring only."""

    name = "torch"
    stencil: Stencil | None = None

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
