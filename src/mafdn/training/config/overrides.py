"""Settings given on the command line, as in `run.batch=4`, which replace those of a TOML file."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from mafdn.errors import ConfigError, UsageError
from mafdn.training.config.keys import KEYS, unknown_key
from mafdn.training.config.settings import TrainSettings, is_path

Overrides = Mapping[str, Any]
"""Values by table and key, such as `{"run.batch": 4}`; paths are relative to the current folder."""
BANK = "bank.json"
"""The file that makes a folder a bank."""


def parse_override(text: str) -> tuple[str, Any]:
    """Parse an override of the command line.

    Args:
        text: `TABLE.KEY=VALUE`. The value is written as in TOML; quotes around a string may be left out.

    Returns:
        The key and the value.

    Raises:
        UsageError: The text has another form, or the key does not exist.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key:
        raise UsageError(f"{text!r} is not a setting; write TABLE.KEY=VALUE, such as run.batch=4")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    _check_key(key)
    if _is_text(key) and not isinstance(parsed, str):
        parsed = value  # a folder may be called 2024
    return key, parsed


def data_overrides(folder: Path, *, run_folder: Path, held_out: Sequence[str] = ()) -> dict[str, Any]:
    """Make the overrides that train on the pictures in a folder, as `--data` does.

    Args:
        folder: A folder of pictures, or a bank.
        run_folder: The folder of the run. The bank of a folder of pictures is `bank-NAME` beside it.
        held_out: The file name patterns of the run, which are dropped if they match no picture.

    Raises:
        UsageError: The folder does not exist.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder of pictures or a bank")
    path = folder.resolve()
    if (folder / BANK).is_file():
        overrides: dict[str, Any] = {"data.folders": [], "data.bank": str(path)}
        names = _bank_names(folder / BANK)
    else:
        overrides = {"data.folders": [str(path)], "data.bank": str(run_folder.with_name(f"bank-{path.name}"))}
        names = (file.name for file in path.rglob("*"))
    if held_out and not any(fnmatch(name, pattern) for name in names for pattern in held_out):
        overrides["data.held_out"] = []
    return overrides


def apply_overrides(table: dict[str, Any], overrides: Overrides, *, base: Path) -> dict[str, Any]:
    """Return `table` with overrides.

    A description of the training pictures is dropped if these are replaced, as it would not apply.

    Args:
        table: The table of a TOML file.
        overrides: The overrides.
        base: The folder that paths in the table are relative to.

    Raises:
        ConfigError: A key does not exist.
    """
    merged = dict(table)
    if {"data.folders", "data.bank"} & overrides.keys() and "data.description" not in overrides:
        overrides = {**overrides, "data.description": ""}
    for key, value in overrides.items():
        _check_key(key)
        part, _, name = key.partition(".")
        if is_path(part, name, value):
            value = _moved(value, base)
        if isinstance(value, str | os.PathLike) and _is_list(key):
            value = [value]
        existing = merged.get(part, {})
        merged[part] = (cast(dict[str, Any], existing) if isinstance(existing, dict) else {}) | {name: value}
    return merged


def _bank_names(manifest: Path) -> Iterator[str]:
    """The file names of a bank's pictures; none if it is damaged, which is reported when it is opened."""
    try:
        entries = json.loads(manifest.read_text("utf-8"))["pictures"]
        return iter([str(entry["name"]).rpartition("/")[2] for entry in entries])
    except (OSError, ValueError, KeyError, TypeError):
        return iter([])


def _check_key(key: str) -> None:
    """Raise `ConfigError` if there is no such setting; keys of `network` are checked with its architecture."""
    part, _, name = key.partition(".")
    if part == "network" and name:
        return
    if part not in KEYS:
        tables = [*KEYS, "network"]
        raise ConfigError(unknown_key(key if name else part, table="", valid=tables) + "; write TABLE.KEY=VALUE")
    if name not in KEYS[part]:
        raise ConfigError(unknown_key(name, table=part, valid=KEYS[part]))


def _hint(key: str) -> Any:
    part, _, name = key.partition(".")
    return None if part == "network" else get_type_hints(get_type_hints(TrainSettings)[part])[name]


def _is_text(key: str) -> bool:
    """Whether the values of a setting are strings."""
    hint = _hint(key)
    return hint is str or (get_origin(hint) is Literal and isinstance(get_args(hint)[0], str))


def _is_list(key: str) -> bool:
    """Whether the values of a setting are lists of any length."""
    arguments = get_args(_hint(key))
    return bool(arguments) and arguments[-1] is Ellipsis


def _moved(value: Any, base: Path) -> Any:
    """Make a path, or a list of paths, that is relative to the current folder relative to `base`.

    On another drive of Windows than `base`, it becomes absolute.
    """
    if isinstance(value, list):
        return [_moved(entry, base) for entry in cast(list[Any], value)]
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        return value
    path = Path(os.fspath(value)).expanduser()
    if path.is_absolute():
        return str(path)
    try:
        return os.path.relpath(path.resolve(), base.resolve())
    except ValueError:
        return str(path.resolve())
