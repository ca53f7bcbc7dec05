"""Checkpoints of a run: every tensor that training needs to go on, and a JSON header, in one file.

Public names: :class:`Checkpoint`, :func:`save_checkpoint`, :func:`newest_checkpoint`.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mafdn._support.atomic import replacing
from mafdn.errors import ConfigError, MafdnError
from mafdn.weights.run_files import CHECKPOINTS

KEPT = 2
PARTS = ("network", "ema", "optimizer")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a run after ``step`` steps, ``seconds`` of training and ``samples`` patches.

    ``bf16`` and ``compiled`` were settled when it began. ``detours`` counts how often it went back to a
    checkpoint and on with other patches, ``usual_loss`` is the running mean (0 before the first),
    ``started_from`` names the weights it began with.
    """

    step: int
    seconds: float
    samples: int
    bf16: bool
    compiled: bool = False
    detours: int = 0
    usual_loss: float = 0.0
    started_from: str = ""
    network: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimizer: dict[str, Tensor]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``step-NNNNNNNN.safetensors`` below ``folder``, atomically; the last two are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{checkpoint.step:08d}.safetensors"
    tensors = {f"{part}/{name}": t.contiguous() for part in PARTS for name, t in getattr(checkpoint, part).items()}
    header = {field.name: getattr(checkpoint, field.name) for field in fields(checkpoint) if field.name not in PARTS}
    try:
        with replacing(path) as temporary:
            save_file(tensors, temporary, {"checkpoint": json.dumps(header)})
    except (OSError, SafetensorError) as error:
        raise MafdnError(f"cannot write {path} ({error}); make room and start again: the run goes on") from None
    for old in sorted(folder.glob(CHECKPOINTS))[:-KEPT]:
        old.unlink()
    return path


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest readable checkpoint below ``folder``; ``None`` when there is none.

    Raises :class:`ConfigError` when there are checkpoints and none can be read: a run must not begin anew
    over what is left of another.
    """
    paths = sorted(folder.glob(CHECKPOINTS), reverse=True)
    for path in paths:
        try:
            return _read(path)
        except (SafetensorError, OSError, KeyError, ValueError, TypeError):
            continue  # a damaged file: the one before it serves
    if paths:
        raise ConfigError(f"no checkpoint in {folder} can be read; move them away to begin anew")
    return None


def _read(path: Path) -> Checkpoint:
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    with safe_open(path, "pt") as file:
        header = cast(dict[str, Any], json.loads(file.metadata()["checkpoint"]))
        for key in file.keys():  # noqa: SIM118 - not a mapping
            part, _, name = key.partition("/")
            parts[part][name] = file.get_tensor(key)
    return Checkpoint(**header, network=parts["network"], ema=parts["ema"], optimizer=parts["optimizer"])
