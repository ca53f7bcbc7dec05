"""What every engine is and does, and what a network's file says of itself.

Public names: :class:`Engine`, :class:`Stencil`, :class:`Said`, :func:`read_said`, :func:`read_scale`,
:func:`agreed_precision`, :func:`refuse_precision`, :func:`too_small`, :class:`FullRangeError`, :data:`PRECISIONS`,
:data:`HALF_RANGE`.
"""

import json
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import UsageError, WeightsError

Batch = NDArray[np.float32]
Gates = NDArray[np.float32]
"""The gates of every channel attention, (blocks, n)."""
GATES = "gates"
"""The name of the input; the output of the same content is the second."""
HEADER = "mafdn"
"""The entry of a file's metadata that holds what it says of itself, as JSON."""
LARGEST_RADIUS = 256
PROBE = 16
"""Side of the input by which a file's scale is found."""
HALF_RANGE = 64
"""The largest magnitude of an int8 weight that is safe on every processor. x86 processors without VNNI add two products
of an 8-bit activation and a weight in 16 bits, with saturation: 2 * 255 * 64 fits, 2 * 255 * 127 does not."""
FP32, BF16, FP16, INT8 = PRECISIONS = ("fp32", "bf16", "fp16", "int8")
"""What an engine computes in. ``int8`` is a file of its own; what it leaves in float is fp32."""


class FullRangeError(UsageError):
    """An int8 file has weights beyond :data:`HALF_RANGE`, which this engine and processor would compute wrongly."""


@dataclass(frozen=True, kw_only=True)
class Stencil:
    """A network that is a fixed stencil once its gates are given, and what to do with it.

    ``radius`` is how far a pixel of the result sees, in input pixels; beyond ``halo`` nothing was measured to matter.
    ``gates`` maps windows of a picture, (N, 3, h, w) float32 RGB in [0, 1], to the gates that hold for it; ``run`` is
    as :meth:`Engine.run` with these gates.
    """

    radius: int
    halo: int
    gates: Callable[[Batch], Gates]
    run: Callable[[Batch, Gates], Batch]


class Engine(Protocol):
    """Runs one network; ``scale`` is what its file turns out to do.

    ``device`` is the engine's name for what it runs on, in small letters, and ``precision`` what it computes in.
    ``stencil`` is for the files that say they have one; any other network can only be run on what it is given.
    """

    name: str
    version: str
    device: str
    precision: str
    scale: int
    stencil: Stencil | None

    def run(self, x: Batch) -> Batch:
        """(1, 3, H, W) float32 RGB in [0, 1] to (1, 3, scale*H, scale*W), not clipped.

        Raises :class:`UsageError` when the network cannot take so small a picture.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the header of a file says: its stencil's radius and halo, 0 for none, and its precision."""

    radius: int
    halo: int
    precision: str

    def stencil(self, gates: Callable[[Batch], Gates], run: Callable[[Batch, Gates], Batch]) -> Stencil | None:
        return Stencil(radius=self.radius, halo=self.halo, gates=gates, run=run) if self.radius else None


def read_said(path: Path, header: str) -> Said:
    """What the header of the file ``path`` says; raises :class:`WeightsError` where it makes no sense."""
    try:
        table = json.loads(header) if header else {}
        said, precision = table.get("stencil"), table.get("precision", FP32)
        radius, halo = (said["radius"], said["halo"]) if said is not None else (0, 0)
        wrong = type(radius) is not int or type(halo) is not int or precision not in PRECISIONS
        if wrong or (said is not None and not 0 < halo <= radius <= LARGEST_RADIUS):
            raise ValueError
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise WeightsError(f"{path} has a damaged mafdn header; export it again") from None
    return Said(radius=radius, halo=halo, precision=precision)


def agreed_precision(path: Path, asked: str, said: Said) -> str:
    """What the file ``path`` is computed in when ``asked``: an int8 file stays one, and has its rest in ``asked``.

    Raises :class:`WeightsError` when int8 is asked of a file that is none.
    """
    if asked == INT8 != said.precision:
        raise WeightsError(f"{path} is no int8 network; export it as one, or ask for another precision")
    if said.precision == INT8 and asked in (BF16, FP16):
        return f"{INT8}+{asked}"
    return said.precision if asked == FP32 else asked


def read_scale(path: Path, shape: tuple[int, ...]) -> int:
    """The scale of a network that gives ``shape`` for (1, 3, PROBE, PROBE); raises :class:`WeightsError`."""
    scale = shape[2] // PROBE if len(shape) == 4 else 0
    if scale < 1 or tuple(shape) != (1, 3, scale * PROBE, scale * PROBE):
        raise WeightsError(f"{path} maps 1x3x{PROBE}x{PROBE} to {'x'.join(map(str, shape))}: no upscaling network")
    return scale


def too_small(path: Path, shape: tuple[int, ...]) -> UsageError:
    return UsageError(f"{path} cannot take a picture of {shape[3]}x{shape[2]}: try a larger one")


def refuse_precision(engine: str, device: str, precision: str, known: AbstractSet[str]) -> None:
    """Raise :class:`UsageError` unless ``precision`` is among those ``known`` of a device."""
    if precision not in known:
        have = ", ".join(p for p in PRECISIONS if p in known)
        raise UsageError(f"{engine} on this machine's {device} does not compute in {precision}; it does in {have}")
