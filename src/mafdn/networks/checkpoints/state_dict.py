"""Read the tensors in a checkpoint, wherever a trainer put them.

A pickle (.pth, .pt, .ckpt) is read with torch's `weights_only`, which builds tensors and containers and nothing else.
"""

import hashlib
import io
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from mafdn._support.memory import is_out_of_memory
from mafdn.errors import WeightsError
from mafdn.weights.header import LARGEST_FILE, reject_unreadable
from mafdn.weights.resolve import PICKLES

ENTRIES = (
    "params_ema",
    "ema_state_dict",
    "model_ema",
    "ema",
    "params",
    "state_dict",
    "model_state_dict",
    "model",
    "network",
    "net",
    "generator",
    "net_g",
    "netG",
    "weights",
)
"""Entries in which trainers store the tensors of the network; averaged weights come first."""
PREFIXES = ("module.", "_orig_mod.", "model.", "network.", "net.", "generator.", "net_g.", "netG.")
"""Prefixes that `DataParallel`, `torch.compile` and trainers add to every name."""
DEEPEST = 4
"""Largest number of entries within each other, and of prefixes of a name."""
GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
"""The class that torch refuses to build, in its message."""


@dataclass(frozen=True)
class StateDict:
    """The tensors of a checkpoint by name, without prefixes."""

    tensors: dict[str, Tensor]
    sha256: str
    """That of the file."""
    entry: str = ""
    """The entry they were in, such as `params_ema`; empty if they are the whole file."""
    passed_over: tuple[str, ...] = ()
    """Other entries that hold weights too."""

    @property
    def note(self) -> str:
        """Which of several entries was used; empty if there was no choice."""
        if not self.passed_over:
            return ""
        return f"uses its entry {self.entry}, not {' or '.join(self.passed_over)}"


def read_state_dict(path: Path) -> StateDict:
    """Read the tensors of a pickle or a safetensors file.

    Raises:
        WeightsError: The file is missing, damaged, holds objects other than tensors, or has no state dict.
    """
    reject_unreadable(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError.from_os_error(f"cannot read {path}", error) from None
    stored = _unpickled(path, content) if path.suffix in PICKLES else _safetensors(path, content)
    items, entry, passed_over = _unwrapped(stored)
    if not items:
        raise WeightsError(f"{path} does not contain a state dict, a table of tensors")
    for name, value in items.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise WeightsError(f"{path} does not contain a plain state dict: {name!r} is {type(value).__name__}")
    tensors = _without_prefixes(cast(Mapping[str, Tensor], items))
    return StateDict(tensors, hashlib.sha256(content).hexdigest(), entry, passed_over)


def _unpickled(path: Path, content: bytes) -> object:
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):  # it may unpack to a thousand times its size
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(member.file_size for member in archive.infolist()) > LARGEST_FILE:
                    raise ValueError(f"it unpacks to more than {LARGEST_FILE >> 20} MiB")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        if is_out_of_memory(error):
            raise
        raise WeightsError(f"{path} cannot be read safely: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Why a pickle was refused. torch's own text is not repeated: it advises to read the file unsafely."""
    found = GLOBAL.search(str(error))
    if found:
        return (
            f"it holds objects other than tensors ({found[1]}), which could run code; where it was made, save only "
            "the weights: torch.save(model.state_dict(), 'weights.pth')"
        )
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, pickle.UnpicklingError):
        return "it is damaged, no file of torch.save, or holds objects other than tensors"
    return "it is damaged, incomplete, or no file of torch.save"


def _safetensors(path: Path, content: bytes) -> dict[str, Tensor]:
    try:
        return load_safetensors(content)
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}") from None


def _unwrapped(stored: object) -> tuple[Mapping[Any, Any], str, tuple[str, ...]]:
    """The innermost table of tensors, the entry it was in, and the entries beside it that hold weights too."""
    entry, passed_over = "", tuple[str, ...]()
    for _ in range(DEEPEST):
        if not isinstance(stored, Mapping):
            break
        table = cast(Mapping[Any, Any], stored)
        found = [key for key in ENTRIES if isinstance(table.get(key), Mapping) and table[key]]
        if not found:
            return table, entry, passed_over
        passed_over += tuple(found[1:])
        entry = f"{entry}/{found[0]}" if entry else found[0]
        stored = table[found[0]]
    table = cast(Mapping[Any, Any], stored) if isinstance(stored, Mapping) else {}
    return table, entry, passed_over


def _without_prefixes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without the prefixes that all their names share."""
    plain = dict(tensors)
    for _ in range(DEEPEST):
        shared = next((prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in plain)), None)
        if shared is None:
            break
        plain = {name.removeprefix(shared): tensor for name, tensor in plain.items()}
    return plain
