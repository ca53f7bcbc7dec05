"""The entries of a results manifest, and how they are read from its lines."""

import json
import os
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from mafdn.pictures.writing import TEMPORARY


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One result and its inputs.

    Args:
        target: Path of the result, relative to the manifest's folder, with `/`.
        source: Path of the picture, relative to the manifest's folder.
        source_sha256: SHA-256 of the picture's file.
        settings: Digest of the settings, from `settings_digest`.
        weights: Digest of the network.
        output: SHA-256 of the result; `None` until it is complete.
        temporary: File name, beside the target, of the result until it is renamed; then `None`.
        replaces: SHA-256 of an earlier result that may be at the target until then.
        verification: How far the result is from the picture, as `Verification.for_programs` returns it.
        choice: Which weights the picture decided for, as `WeightsChoice.for_programs` returns it.
        written: When it was recorded, as ISO 8601 in UTC; of entries in several manifests the last is valid.
    """

    target: str
    source: str
    source_sha256: str
    settings: str
    weights: str
    output: str | None = None
    temporary: str | None = None
    replaces: str | None = None
    verification: dict[str, Any] | None = None
    choice: dict[str, Any] | None = None
    written: str | None = None


RECORDS = ("verification", "choice")
"""The fields that hold an object, all others a text."""
REQUIRED = {field.name for field in fields(Entry) if field.default is MISSING}
"""The fields that every entry has."""


def parsed(line: bytes) -> dict[str, Any] | None:
    """Return the object in a line; `None` for an empty or torn one."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def as_entry(value: dict[str, Any]) -> Entry | None:
    """Return the entry in a line's object; `None` for a deletion or an invalid record."""
    known: dict[str, Any] = {field.name: value.get(field.name) for field in fields(Entry)}
    known |= {name: None for name in RECORDS if not isinstance(known[name], dict)}
    texts = {name: text for name, text in known.items() if name not in RECORDS and text is not None}
    if not (texts.keys() >= REQUIRED and all(_is_text(text) for text in texts.values())):
        return None
    target, temporary = known["target"], known["temporary"]
    if Path(target).is_absolute() or ".." in Path(target).parts:  # results are inside the folder
        return None
    if temporary is not None and not TEMPORARY.fullmatch(temporary):  # it would be deleted
        return None
    return Entry(**known)


def _is_text(value: object) -> bool:
    """Whether a value can be a file name."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False
