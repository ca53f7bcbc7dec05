"""Read the header of a weights file without torch."""

import hashlib
import json
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, deserialize, safe_open

from mafdn.errors import WeightsError
from mafdn.weights.run_files import AVERAGED_PREFIX, CHECKPOINT_ENTRY, read_run_network

Card = dict[str, Any]
"""What is known about weights: data, steps, scores, code revision."""
VERSION = 1
"""Version of the header's format."""
LARGEST_FILE = 256 * 2**20
"""Bytes; a larger file cannot be a lightweight network and is rejected unread."""
SCALES = (2, 3, 4)


def read_header(path: Path) -> tuple[dict[str, Any], Card]:
    """Read the header and the card of a safetensors file.

    Args:
        path: A weights file, or a checkpoint of a training run, whose header is made from the run's settings.

    Returns:
        The header, with `version`, `architecture`, `settings` and, for a checkpoint, `prefix`, the common
        prefix of its tensor names, and `folder`, that of the run's configuration; and the card, which is empty for
        a checkpoint.

    Raises:
        WeightsError: The file is missing, too large, damaged or has no such header.
    """
    try:
        reject_unreadable(path)
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
        if CHECKPOINT_ENTRY in metadata and "mafdn" not in metadata:
            run = read_run_network(path.parent)
            header = {"version": VERSION, "architecture": run.architecture, "settings": run.settings}
            return header | {"prefix": AVERAGED_PREFIX, "folder": str(run.base)}, {}
        header, card = json.loads(metadata["mafdn"]), json.loads(metadata.get("card", "{}"))
        if isinstance(header, dict):
            header.pop("folder", None)  # only a run has one; it permits imports
    except OSError as error:
        raise WeightsError.from_os_error(f"cannot read {path}", error) from None
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}") from None
    except (KeyError, ValueError, RecursionError):
        raise WeightsError(f"{path} has no mafdn header; export it with 'mafdn export'") from None
    if not isinstance(header, dict) or not isinstance(card, dict):
        raise WeightsError(f"{path} has a damaged mafdn header")
    return cast(dict[str, Any], header), cast(Card, card)


def read_tensors_digest(path: Path) -> str:
    """The `tensors_digest` of a weights file.

    Raises:
        WeightsError: The file is missing, too large or damaged.
    """
    try:
        reject_unreadable(path)
        return tensors_digest(path.read_bytes())
    except OSError as error:
        raise WeightsError.from_os_error(f"cannot read {path}", error) from None
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}") from None


def tensors_digest(content: bytes) -> str:
    """SHA-256 over the names, types, shapes and values of the tensors in the bytes of a safetensors file.

    Unlike that of the file, it does not depend on the card, and is known before there is a file.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(cast(list[tuple[str, dict[str, Any]]], deserialize(content)), key=itemgetter(0)):
        digest.update(json.dumps([name, tensor["dtype"], tensor["shape"]]).encode())
        digest.update(tensor["data"])
    return digest.hexdigest()


def reject_unreadable(path: Path) -> None:
    """Raise `WeightsError` for a missing, irregular or oversized file, without reading it."""
    try:
        if path.exists() and not path.is_file():
            raise WeightsError(f"{path} is not a regular file")
        if path.stat().st_size > LARGEST_FILE:
            raise WeightsError(f"{path} is larger than {LARGEST_FILE >> 20} MiB: not a lightweight network's weights")
    except OSError as error:
        raise WeightsError.from_os_error(f"cannot read {path}", error) from None
