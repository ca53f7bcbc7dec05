"""What the name of a network stands for: one vocabulary for every command and for the Python interface.

Public names: :func:`resolve`, :func:`describe_vocabulary`, :class:`NetworkSource`, :data:`BASELINES`,
:data:`ARCHITECTURES`.

=================  ===================================================================================
``auto``           the shipped network whose scale fits the task
``x2 x3 x4``       the shipped network of that scale
``mafdn``          the shipped network of the scale asked for
``bicubic``        a baseline that is no network, as is ``lanczos``
``imdn`` ...       another architecture with random weights: it has costs, but no quality
a file             ``.onnx``, ``.safetensors``, or the ``.pth`` file of a known network
a run folder       the averaged weights of a training run
=================  ===================================================================================
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mafdn._support.atomic import shown
from mafdn.errors import UsageError, WeightsError
from mafdn.weights.header import SCALES
from mafdn.weights.shipped import shipped

BASELINES = ("bicubic", "lanczos")
ARCHITECTURES = ("imdn", "ddistill", "afan", "smfanet")
"""Known by name, without weights of their own here."""
SHIPPED_NAMES = ("auto", "mafdn")
FILE_TYPES = (".onnx", ".safetensors", ".pth")
SETTINGS = "settings.json"
"""A folder that holds this file is that of a training run."""

Kind = Literal["shipped", "baseline", "architecture", "file", "run"]


@dataclass(frozen=True, kw_only=True)
class NetworkSource:
    """Where a network comes from; made by :func:`resolve`."""

    given: str
    """The name as it was given."""
    kind: Kind
    scale: int | None = None
    """Of a shipped network the scale that its name or the task fixes; ``None`` where it is still open or unknown."""
    path: Path | None = None
    """Of a file or a run folder."""

    def file(self, suffix: str = ".onnx") -> Path:
        """The file of a shipped network (with this suffix) or a file; raises :class:`UsageError` for anything else."""
        if self.kind == "shipped" and self.scale is not None:
            return shipped(self.scale, suffix)
        if self.kind == "file" and self.path is not None:
            return self.path
        raise UsageError(f"{shown(self.given)} is {_called(self.kind)}, which has no weights file; give a weights file")


def resolve(given: str | os.PathLike[str], *, scale: int | None = None) -> NetworkSource:
    """What ``given`` stands for; ``scale`` is that of the task, where there is one.

    Raises :class:`UsageError` for an unknown name or a shipped network of another scale than asked for, and
    :class:`WeightsError` when a file is missing.
    """
    name = os.fspath(given)
    if name in BASELINES:
        return NetworkSource(given=name, kind="baseline", scale=scale)
    if name in SHIPPED_NAMES:
        return NetworkSource(given=name, kind="shipped", scale=scale)
    if name in tuple(f"x{s}" for s in SCALES):
        own = int(name[1:])
        if scale not in (None, own):
            raise UsageError(
                f"the network {name} upscales by {own}, not {scale}; give --scale {own} or another network"
            )
        return NetworkSource(given=name, kind="shipped", scale=own)
    if name in ARCHITECTURES:
        return NetworkSource(given=name, kind="architecture", scale=scale)
    path = Path(name)
    if path.is_dir():
        if (path / SETTINGS).is_file():
            return NetworkSource(given=name, kind="run", path=path)
        raise UsageError(f"{shown(name)} is a folder, but not that of a training run (it holds no {SETTINGS})")
    if not path.suffix and not path.exists():
        raise UsageError(f"unknown network {shown(name)!r}; {describe_vocabulary()}")
    if not path.is_file():
        raise WeightsError(f"cannot read {shown(name)}: {'not a regular file' if path.exists() else 'no such file'}")
    return NetworkSource(given=name, kind="file", path=path)


def describe_vocabulary() -> str:
    """The names that :func:`resolve` knows, for messages and help."""
    names = ", ".join([*SHIPPED_NAMES, *(f"x{s}" for s in SCALES), *BASELINES, *ARCHITECTURES])
    return f"known are {names}, files ({', '.join(FILE_TYPES)}) and folders of training runs"


def _called(kind: Kind) -> str:
    return {
        "shipped": "a shipped network",
        "baseline": "a baseline",
        "architecture": "an architecture without weights",
        "file": "a file",
        "run": "a training run",
    }[kind]
