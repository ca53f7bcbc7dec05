"""The header of a weights file, read without torch.

Public names: :func:`read_header`, :func:`refuse_at_sight`, :data:`Card`, :data:`SCALES`.
"""

import json
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open

from mafdn.errors import WeightsError

Card = dict[str, Any]
LARGEST_FILE = 256 * 2**20
"""Bytes; a file beyond is no lightweight network and is refused unread."""
SCALES = (2, 3, 4)


def read_header(path: Path) -> tuple[dict[str, Any], Card]:
    """The ``mafdn`` entry (format version, architecture, settings) and the card of a safetensors file.

    Raises :class:`WeightsError` when the file is missing, too large, damaged or has no such header.
    """
    try:
        refuse_at_sight(path)
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
        header, card = json.loads(metadata["mafdn"]), json.loads(metadata.get("card", "{}"))
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}") from None
    except (KeyError, ValueError, RecursionError):
        raise WeightsError(f"{path} has no mafdn header; export it with this program") from None
    if not isinstance(header, dict) or not isinstance(card, dict):
        raise WeightsError(f"{path} has a damaged mafdn header")
    return cast(dict[str, Any], header), cast(Card, card)


def refuse_at_sight(path: Path) -> None:
    """Raise :class:`WeightsError` for a file that is missing, too large or none at all, without reading it."""
    try:
        if path.exists() and not path.is_file():
            raise WeightsError(f"{path} is not a regular file; give a weights file")
        if path.stat().st_size > LARGEST_FILE:
            raise WeightsError(f"{path} is larger than {LARGEST_FILE >> 20} MiB: not a lightweight network's weights")
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
