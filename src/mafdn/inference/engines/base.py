"""The interface of an engine, and the header of a network file."""

import json
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mafdn._support.text import first_line
from mafdn.errors import UsageError, WeightsError
from mafdn.inference.options import BF16, FP16, FP32, INT8, PRECISIONS

Batch = NDArray[np.float32]
"""Pictures, (N, 3, H, W) RGB in [0, 1]."""
Gates = NDArray[np.float32]
"""The gates of every channel attention, (blocks, n)."""
GATES = "gates"
"""Name of the optional input for gates; the second output is the gates that were used."""
HEADER = "mafdn"
"""Key of the JSON header in a file's metadata."""
WEIGHTS_DIGEST = "weights_sha256"
"""Entry of the header: the digest of the weights that the file was made from (`mafdn.networks.weights_digest`)."""
LARGEST_RADIUS = 512
"""Largest receptive radius, in input pixels, that a header may declare."""
PROBE = 16
"""Side, in pixels, of the input from which a network's scale is determined."""
HALF_RANGE = 64
"""Largest magnitude of an int8 weight that is safe on every processor. x86 processors without VNNI add two products of
an 8-bit activation and a weight in 16 bits, with saturation: 2 * 255 * 64 fits, 2 * 255 * 127 does not."""


class FullRangeError(UsageError):
    """An int8 file has weights beyond `HALF_RANGE`, which this engine would compute wrongly on this processor."""


@dataclass(frozen=True, kw_only=True)
class Stencil:
    """A network that is a fixed stencil when its gates are fixed: outputs depend on nearby inputs only.

    Args:
        radius: Receptive radius of an output pixel, in input pixels.
        halo: Distance, in input pixels, beyond which no effect of an input was measured; at most `radius`.
        gates: Maps windows of a picture, (N, 3, h, w) float32 RGB in [0, 1], to the gates of that picture.
        run: Like `Engine.run`, with these gates.
    """

    radius: int
    halo: int
    gates: Callable[[Batch], Gates]
    run: Callable[[Batch, Gates], Batch]


class Engine(Protocol):
    """An engine with one network loaded. Several threads may call it.

    Attributes:
        name: Name of the engine, such as `openvino`.
        version: Version of the engine's package.
        device: Device that runs the network, in the engine's naming and in lower case.
        precision: Precision in which the network is computed.
        scale: The factor by which the network upscales.
        stencil: The network with separate gates, for exact tiles; `None` if its file declares no stencil.
    """

    name: str
    version: str
    device: str
    precision: str
    scale: int
    stencil: Stencil | None

    def run(self, x: Batch) -> Batch:
        """Upscale (1, 3, H, W) float32 RGB in [0, 1] to (1, 3, scale*H, scale*W), not clipped.

        Raises:
            UsageError: If the network cannot process the picture, which may be too small.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class ModelHeader:
    """The header of a network file: radius and halo of its stencil, 0 for none, and its precision."""

    radius: int
    halo: int
    precision: str

    def stencil(self, gates: Callable[[Batch], Gates], run: Callable[[Batch, Gates], Batch]) -> Stencil | None:
        """Return the stencil with these functions; `None` if the file declares none."""
        return Stencil(radius=self.radius, halo=self.halo, gates=gates, run=run) if self.radius else None


def parse_header(path: Path, header: str) -> ModelHeader:
    """Parse `header`, possibly empty, of the network file `path`; raises `WeightsError` if it is invalid."""
    try:
        table = json.loads(header) if header else {}
        stencil, precision = table.get("stencil"), table.get("precision", FP32)
        radius, halo = (stencil["radius"], stencil["halo"]) if stencil is not None else (0, 0)
        invalid = type(radius) is not int or type(halo) is not int or precision not in PRECISIONS
        if invalid or (stencil is not None and not 0 < halo <= radius <= LARGEST_RADIUS):
            raise ValueError
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise WeightsError(f"{path} has a damaged mafdn header; export it again") from None
    return ModelHeader(radius=radius, halo=halo, precision=precision)


def effective_precision(path: Path, requested: str, header: ModelHeader) -> str:
    """Return the precision in which the file `path` is computed: an int8 file stays int8, whatever is requested.

    The unquantized parts of an int8 file are computed in the requested precision. Raises `WeightsError` if int8 is
    requested and the file is not an int8 model.
    """
    if requested == INT8 != header.precision:
        raise WeightsError(f"{path} is not an int8 model; run 'mafdn quantize', or use another precision")
    if header.precision == INT8 and requested in (BF16, FP16):
        return f"{INT8}+{requested}"
    return header.precision if requested == FP32 else requested


def scale_of_output(path: Path, shape: tuple[int, ...]) -> int:
    """Return the scale of a network that maps (1, 3, PROBE, PROBE) to `shape`; raises `WeightsError`."""
    scale = shape[2] // PROBE if len(shape) == 4 else 0
    if scale < 1 or tuple(shape) != (1, 3, scale * PROBE, scale * PROBE):
        output = "x".join(map(str, shape))
        raise WeightsError(f"{path} is not an upscaling network: it maps 1x3x{PROBE}x{PROBE} to {output}")
    return scale


def too_small(path: Path, shape: tuple[int, ...]) -> UsageError:
    """Return the error for an input of `shape` that is too small for the network."""
    return UsageError(f"{path} cannot process a picture of {shape[3]}x{shape[2]}; try a larger one")


def cannot_process(path: Path, shape: tuple[int, ...], error: Exception) -> UsageError:
    """Return the error for an input of `shape` on which an engine failed, with the first line of its own message."""
    reason = first_line(error)
    return UsageError(f"{path} cannot process a picture of {shape[3]}x{shape[2]}: {reason}")


def require_precision_on(engine: str, device: str, precision: str, supported: AbstractSet[str]) -> None:
    """Raise `UsageError` unless `precision` is among those that a device supports."""
    if precision not in supported:
        available = ", ".join(p for p in PRECISIONS if p in supported)
        raise UsageError(f"{engine} on {device} does not support {precision} on this machine, only {available}")
