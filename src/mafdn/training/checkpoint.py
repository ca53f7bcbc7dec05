"""Checkpoints of a run: every tensor that training needs to go on, and a JSON header, in one file.

Public names: :class:`Checkpoint`, :func:`save_checkpoint`, :func:`newest_checkpoint`.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mafdn.errors import ConfigError
from mafdn.files import replacing

KEPT = 2
PARTS = ("network", "ema", "optimizer")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a run after ``step`` steps, ``seconds`` of training and ``samples`` patches.

    ``bf16`` says whether it trains in bf16 autocast, which was measured when it began.
    """

    step: int
    seconds: float
    samples: int
    bf16: bool
    network: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimizer: dict[str, Tensor]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``step-NNNNNNNN.safetensors`` below ``folder``, atomically; the last two are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{checkpoint.step:08d}.safetensors"
    tensors = {f"{part}/{name}": t.contiguous() for part in PARTS for name, t in getattr(checkpoint, part).items()}
    header = {key: getattr(checkpoint, key) for key in ("step", "seconds", "samples", "bf16")}
    with replacing(path) as temporary:
        save_file(tensors, temporary, {"checkpoint": json.dumps(header)})
    for old in sorted(folder.glob("step-*.safetensors"))[:-KEPT]:
        old.unlink()
    return path


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest readable checkpoint below ``folder``; ``None`` when there is none.

    Raises :class:`ConfigError` when there are checkpoints and none can be read: a run must not begin anew
    over what is left of another.
    """
    paths = sorted(folder.glob("step-*.safetensors"), reverse=True)
    for path in paths:
        try:
            return _read(path)
        except (SafetensorError, OSError, KeyError, ValueError):
            continue  # a damaged file: the one before it serves
    if paths:
        raise ConfigError(f"no checkpoint in {folder} can be read; move them away to begin anew")
    return None


def _read(path: Path) -> Checkpoint:
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["checkpoint"])
        for key in file.keys():  # noqa: SIM118 - not a mapping
            part, _, name = key.partition("/")
            parts[part][name] = file.get_tensor(key)
    return Checkpoint(
        step=int(header["step"]),
        seconds=float(header["seconds"]),
        samples=int(header["samples"]),
        bf16=bool(header["bf16"]),
        **parts,
    )
