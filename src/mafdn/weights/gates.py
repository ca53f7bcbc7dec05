"""Typical channel gates of the shipped networks, measured by `tools/plain_gates`."""

import json
from pathlib import Path
from typing import Any

from mafdn._support.atomic import sha256
from mafdn.weights.shipped import weights_folder

TYPICAL_GATES = "typical-gates.json"
"""In the folder of the shipped weights: for each file's stem its SHA-256, and gates as lists of one list a block."""


def stored_gates(weights: Path) -> list[list[float]] | None:
    """The typical gates of a shipped weights file; `None` if none are stored for a file with these bytes."""
    path = weights_folder() / TYPICAL_GATES
    if not path.is_file():
        return None
    table: dict[str, dict[str, Any]] = json.loads(path.read_text())
    digest = sha256(weights)
    return next((entry["gates"] for entry in table.values() if entry["sha256"] == digest), None)
