"""Networks as methods that a bench set can be measured with.

Public names: :func:`find_network`, :func:`network_label`, :func:`engine_name`, :func:`engine_label`,
:func:`open_method`, :class:`Means`, :data:`ZERO_LINES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mafdn._support.machine import installed_version
from mafdn.errors import MissingPackageError, UsageError, WeightsError
from mafdn.evaluation.benchset import Method, Pixels, bicubic, lanczos
from mafdn.inference import Engine, EngineOptions, open_engine, preferred_engine, require_scale, upscale
from mafdn.pixels import ORIENTATIONS, orient, orient_back
from mafdn.weights.shipped import shipped

WHOLE = 65_536
"""The tile of a network that sees other things in tiles: it is measured on whole pictures."""
ZERO_LINES: dict[str, Callable[[int], Method]] = {"bicubic": bicubic, "lanczos": lanczos}
"""Methods that are no networks, by name."""
SHIPPED = "mafdn"
"""The name of what ships at the scale asked for."""
TORCH_FILES = (".safetensors", ".pth")


@dataclass(frozen=True, kw_only=True)
class Means:
    """What ONNX files are run with; an empty engine is the first that is installed. Weights files are run by torch."""

    engine: str = ""
    device: str = "cpu"
    threads: int | None = None
    precision: str = "fp32"


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


def engine_name(path: Path, means: Means | None = None) -> str:
    """What :func:`open_method` runs ``path`` with; raises :class:`MissingPackageError` where there is none."""
    return "torch" if path.suffix in TORCH_FILES else (means and means.engine) or preferred_engine()


def engine_label(path: Path, means: Means | None = None) -> str:
    """Name and version of what :func:`open_method` runs ``path`` with, without importing it."""
    try:
        name = engine_name(path, means)
    except MissingPackageError:
        return "none"  # opening the network will tell
    return f"{name} {installed_version(name)}"


def open_method(
    network: str, *, scale: int, self_ensemble: bool = False, means: Means | None = None
) -> tuple[str, Method]:
    """The label and method of ``network``: ``bicubic``, ``lanczos``, ``mafdn`` (the shipped weights) or a file.

    A ``.safetensors`` or ``.pth`` file is run by torch, any other is taken for an ONNX file. ``self_ensemble`` does
    nothing to methods that are no networks. Raises what :func:`find_network` raises, :class:`UsageError` when the file
    upscales by another factor, :class:`WeightsError` when it is unusable, :class:`MissingPackageError` when it needs
    torch and there is none.
    """
    path = find_network(network, scale=scale)
    if path is None:
        return network, ZERO_LINES[network](scale)
    engine = _open(path, means or Means())
    require_scale(engine, path, scale)
    if self_ensemble:
        return path.stem, lambda lr: ensemble(engine, lr)
    tile = None if engine.stencil else WHOLE  # what ships is measured as it is used
    return path.stem, lambda lr: upscale(engine, lr, tile=tile)


def _open(path: Path, means: Means) -> Engine:
    name = engine_name(path, means)
    options = EngineOptions(engine=name, device=means.device, threads=means.threads, precision=means.precision)
    try:
        return open_engine(path, options)
    except MissingPackageError:
        if name != "torch":
            raise
        raise MissingPackageError(f"measuring {path} needs torch: pip install 'mafdn[train]'") from None


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
