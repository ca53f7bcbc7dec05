"""Checkpoints: every tensor needed to resume a run, and a JSON header, in one safetensors file."""

import json
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mafdn._support.atomic import replacing
from mafdn.errors import ConfigError, MafdnError
from mafdn.networks.storing import storable
from mafdn.weights.run_files import CHECKPOINTS

KEPT = 2
"""Number of checkpoints kept in a run's folder."""
PARTS = ("network", "ema", "optimizer")
"""Fields of `Checkpoint` that hold tensors; their names are prefixes in the file."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a run after `step` steps."""

    step: int
    seconds: float
    """Time spent in steps."""
    samples: int
    """Patches trained on."""
    bf16: bool
    """Whether steps are computed in bfloat16 autocast; chosen when the run starts."""
    compiled: bool = False
    """Whether the network is compiled; chosen when the run starts."""
    detours: int = 0
    """Number of times that the run went back to a checkpoint and drew different patches."""
    usual_loss: float = 0.0
    """Running mean of the loss; 0 before the first."""
    started_from: str = ""
    """The weights that the run started from; empty for random ones."""
    network: dict[str, Tensor]
    ema: dict[str, Tensor]
    """The exponential moving average of `network`."""
    optimizer: dict[str, Tensor]
    """State tensors by `NAME_OF_PARAMETER/NAME_OF_STATE`."""


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write `step-NNNNNNNN.safetensors` in `folder` atomically, and remove all but the last two.

    Raises:
        MafdnError: The file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{checkpoint.step:08d}.safetensors"
    tensors = storable({f"{part}/{name}": t for part in PARTS for name, t in getattr(checkpoint, part).items()})
    header = {field.name: getattr(checkpoint, field.name) for field in fields(checkpoint) if field.name not in PARTS}
    try:
        with replacing(path, resumed=True) as temporary:
            # Not save_file, whose files only their owner may read.
            temporary.write_bytes(save(tensors, {"checkpoint": json.dumps(header)}))
    except (OSError, SafetensorError) as error:
        advice = "free some space and run the same command to resume"
        raise MafdnError.from_os_error(f"cannot write {path}", error, advice) from None
    for old in sorted(folder.glob(CHECKPOINTS))[:-KEPT]:
        with suppress(OSError):  # removed by someone else, or in use on Windows; the next one removes it
            old.unlink()
    return path


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest undamaged checkpoint in `folder`.

    Returns:
        The checkpoint, or `None` if there is none.

    Raises:
        ConfigError: There are checkpoints and none can be read: a new run must not overwrite an old one.
    """
    paths = sorted(folder.glob(CHECKPOINTS), reverse=True)
    for path in paths:
        try:
            return read_checkpoint(path)
        except (SafetensorError, OSError, KeyError, ValueError, TypeError):
            continue  # damaged; try the one before
    if paths:
        raise ConfigError(f"none of the checkpoints in {folder} can be read; move them away to start a new run")
    return None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint that is not damaged."""
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    with safe_open(path, "pt") as file:
        header = cast(dict[str, Any], json.loads(file.metadata()["checkpoint"]))
        for key in file.keys():  # noqa: SIM118 - not a mapping
            part, _, name = key.partition("/")
            parts[part][name] = file.get_tensor(key)
    return Checkpoint(**header, network=parts["network"], ema=parts["ema"], optimizer=parts["optimizer"])
