"""Read the header of a weights file without torch."""

import json
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open

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


def reject_unreadable(path: Path) -> None:
    """Raise `WeightsError` for a missing, irregular or oversized file, without reading it."""
    try:
        if path.exists() and not path.is_file():
            raise WeightsError(f"{path} is not a regular file")
        if path.stat().st_size > LARGEST_FILE:
            raise WeightsError(f"{path} is larger than {LARGEST_FILE >> 20} MiB: not a lightweight network's weights")
    except OSError as error:
        raise WeightsError.from_os_error(f"cannot read {path}", error) from None
