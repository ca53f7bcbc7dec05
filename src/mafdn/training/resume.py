"""What may change when a run is resumed."""

from collections.abc import Mapping
from typing import Any, cast

from mafdn.errors import ConfigError
from mafdn.training.config import OPEN_END, PATHS, toml_value
from mafdn.training.record.run_folder import RunFolder, SavedRun, to_json

FREE_TABLES = ("schedule",)
FREE = (
    *(f"{table}.{key}" for table, key in PATHS if (table, key) != ("run", "init")),
    "data.scales",
    "data.description",
    "data.teacher_description",
    "optimizer.lr",
    "optimizer.small_lr",
    "run.device",
    "run.precision",
    "run.compile",
    "run.resident",
    "run.spike",
    "run.log_every",
    "run.save_every",
    "run.validate_every",
)
"""Settings that overrides may change in a run that is resumed, beside those of `FREE_TABLES`."""


def check_resumed(folder: RunFolder, before: SavedRun, now: SavedRun) -> str:
    """Check that no override, given or left out, changes a run that is resumed.

    Args:
        folder: The folder of the run.
        before: The settings of its last start.
        now: The settings to resume with.

    Returns:
        A message about the settings that were edited in the TOML file; empty if there are none.

    Raises:
        ConfigError: An override would change the run.
    """
    old, new = _flat(before), _flat(now)
    edited: list[str] = []
    for key in sorted(key for key in new if new[key] != old.get(key)):
        was, is_now = (toml_value(values.get(key)) for values in (old, new))
        free = key in FREE or key.partition(".")[0] in FREE_TABLES
        if key in now.overrides and not free:
            raise ConfigError(
                f"{key}={is_now} would change the run in {folder.path}, which was started with {was}; choose another "
                "run.folder"
            )
        if key in before.overrides and key not in now.overrides and not free:
            raise ConfigError(
                f"the run in {folder.path} was started with {key}={was}; repeat that on the command line, or resume it "
                f"with 'mafdn train {folder.path}'"
            )
        named = tuple(key.split(".")) in PATHS or key.endswith("description")
        if not named and key not in now.overrides and old.get(key) != OPEN_END:
            edited.append(f"{key} {was} -> {is_now}")
    return f"changed since the last start: {', '.join(edited)}" if edited else ""


def check_banks(folder: RunFolder, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Check that a run is resumed on the training pictures that it was started with.

    Args:
        folder: The folder of the run.
        before: The fingerprints of its banks at the last start (`SavedRun.banks`), or their digests; without any,
            nothing is checked.
        now: Those of the banks to resume with.

    Raises:
        ConfigError: A bank differs.
    """
    different = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if before and different:
        raise ConfigError(
            f"{' and '.join(different)} would change the run in {folder.path}, which was started with other pictures; "
            "use those, or choose another run.folder"
        )


def check_teacher(folder: RunFolder, name: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Check that a run is resumed with the results of the teacher that it was started with.

    Args:
        folder: The folder of the run.
        name: The name of the teacher, which is the same.
        before: Its networks at the last start, SHA-256 by file name; without any, nothing is checked.
        now: Those in the bank to resume with.

    Raises:
        ConfigError: They are other networks.
    """
    if before and now and sorted(before.values()) != sorted(now.values()):
        was, is_now = (
            " and ".join(f"{file} (SHA-256 {digest[:12]})" for file, digest in networks.items())
            for networks in (before, now)
        )
        raise ConfigError(
            f"the teacher {name} would change the run in {folder.path}: it was made by {was} and is now made by "
            f"{is_now}; make it again by the former with 'mafdn bank teach', or choose another run.folder"
        )


def _flat(saved: SavedRun) -> dict[str, Any]:
    """The settings by table and key, with the value that `settings.json` holds."""
    tables = cast(dict[str, dict[str, Any]], to_json(saved.settings))
    return {f"{table}.{key}": value for table, values in tables.items() for key, value in values.items()}
