"""Read settings from TOML files and JSON tables."""

import os
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from mafdn._support.text import read_text_file
from mafdn.errors import ConfigError
from mafdn.networks.architectures import Settings, find_architecture
from mafdn.training.config.keys import unknown_key
from mafdn.training.config.overrides import Overrides, apply_overrides
from mafdn.training.config.rules import check
from mafdn.training.config.settings import PATHS, ScheduleSettings, TrainSettings, is_path


def read_config(
    path: Path, overrides: Overrides | None = None, *, on_note: Callable[[str], None] | None = None
) -> TrainSettings:
    """Read the settings of a run.

    A file may have `extends = "other.toml"` and then only what differs. Paths in a file are relative to it.

    Args:
        path: A TOML file.
        overrides: Settings that replace those of the file.
        on_note: Called with a message if the schedule's defaults were shortened to fit into a short run.

    Returns:
        The settings. Their paths, defaults too, are relative to the folder of `path` (of the file itself, not of a link
        to it).

    Raises:
        ConfigError: The file cannot be read, or has an unknown key or an invalid value.
    """
    table = apply_overrides(_table(path, ()), overrides or {}, base=path.resolve().parent)
    fitted = _fit_schedule(table)
    if fitted and on_note:
        values = ", ".join(f"schedule.{key} = {value}" for key, value in fitted.items())
        on_note(f"{values}: the default does not fit into schedule.steps = {table['schedule']['steps']}")
    return build_settings(table | {"schedule": table["schedule"] | fitted} if fitted else table, path=path)


def build_settings(table: dict[str, Any], *, path: Path) -> TrainSettings:
    """Build settings from a parsed TOML or JSON table.

    Args:
        table: The table.
        path: The file it is from, for messages.

    Raises:
        ConfigError: The table has an unknown key or an invalid value.
    """
    settings: TrainSettings = _build(TrainSettings, table, where="", path=path)
    check(settings, path)
    return settings


def _fit_schedule(table: dict[str, Any]) -> dict[str, int]:
    """Return shorter values for the warm-up and the decay if their defaults do not fit into a run's steps."""
    schedule, default = table.get("schedule"), ScheduleSettings()
    if not isinstance(schedule, dict):
        return {}
    given = {"steps": default.steps, "warmup": default.warmup, "decay": default.decay} | cast(dict[str, Any], schedule)
    steps, warmup, decay = (given[key] for key in ("steps", "warmup", "decay"))
    if not all(type(number) is int for number in (steps, warmup, decay)):
        return {}  # rejected later
    if given.get("kind") == "cosine":
        decay = 0
    if steps < 1 or warmup + decay <= steps:
        return {}
    fitted: dict[str, int] = {}
    if "warmup" not in schedule:
        fitted["warmup"] = warmup = max(0, min(warmup, steps // 20, steps - decay if "decay" in schedule else steps))
    if "decay" not in schedule and decay:
        fitted["decay"] = max(0, min(decay, steps // 2, steps - warmup))
    return fitted


def _table(path: Path, extending: tuple[Path, ...]) -> dict[str, Any]:
    """Parse a TOML file, merged over the one that it extends."""
    shown, path = path, path.resolve()
    if path in extending:
        raise ConfigError(f"{shown} extends itself")
    try:
        table = tomllib.loads(read_text_file(path))
    except OSError as error:
        raise ConfigError.from_os_error(f"cannot read {shown}", error) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown} is not valid TOML: {error}") from None
    parent = table.pop("extends", None)
    if parent is None:
        return table
    if not isinstance(parent, str):
        raise ConfigError(f"{shown}: extends must be the name of a TOML file, not {parent!r}")
    merged = _table(path.parent / parent, (*extending, path))
    for part, key in PATHS:
        value = merged.get(part, {}).get(key) if isinstance(merged.get(part), dict) else None
        if value and is_path(part, key, value):
            merged[part][key] = _moved(value, (path.parent / parent).resolve().parent, path.parent)
    for part, values in table.items():
        both_tables = isinstance(values, dict) and isinstance(merged.get(part), dict)
        merged[part] = merged[part] | values if both_tables else values
    return merged


def _moved(value: Any, old: Path, new: Path) -> Any:
    """Make a path, or a list of paths, relative to `new` instead of `old`."""
    if isinstance(value, list):
        return [_moved(entry, old, new) for entry in cast(list[Any], value)]
    return relative(old / value, new) if isinstance(value, str) else value


def relative(path: Path, folder: Path) -> str:
    """Return `path` relative to `folder`, with slashes; unchanged if it is on another drive."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.as_posix()


def _build(kind: type[Any], table: dict[str, Any], *, where: str, path: Path) -> Any:
    """Build a dataclass from a table; `where` is the prefix of its keys in messages."""
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            valid = ["architecture", *hints] if where == "network." else list(hints)
            raise ConfigError(f"{path}: {unknown_key(key, table=where.removesuffix('.'), valid=valid)}")
    values: dict[str, Any] = {}
    for entry in fields(kind):
        name = where + entry.name
        if entry.name not in table:
            if entry.default is MISSING and entry.default_factory is MISSING:
                raise ConfigError(f"{path}: {name} is missing")
            continue
        value, hint = table[entry.name], hints[entry.name]
        if is_dataclass(hint) or hint == Settings:
            if not isinstance(value, dict):
                raise ConfigError(f"{path}: {name} must be a table, [{name}]")
            inner, part = cast(type[Any], hint), cast(dict[str, Any], value)
            if hint == Settings:
                inner, part = _architecture(part, where=name + ".", path=path)
            values[entry.name] = _build(inner, part, where=name + ".", path=path)
        else:
            values[entry.name] = _value(hint, value, name=name, path=path)
    try:
        return kind(**values)
    except ValueError as error:  # rejected by the settings themselves
        raise ConfigError(f"{path}: {where}{error}") from None


def _architecture(table: dict[str, Any], *, where: str, path: Path) -> tuple[type[Settings], dict[str, Any]]:
    """Return the settings class of the architecture that a network's table names, and the rest of the table."""
    name = table.get("architecture", "mafdn")
    try:
        kind = find_architecture(str(name), folder=path.resolve().parent).settings
    except ConfigError as error:
        raise ConfigError(f"{path}: {where}{error}") from error
    return kind, {key: value for key, value in table.items() if key != "architecture"}


def _value(hint: Any, value: Any, *, name: str, path: Path) -> Any:
    """Convert a TOML value to the type of its setting."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        tuples = [kind for kind in arguments if get_origin(kind) is tuple]
        return _value(tuples[0] if isinstance(value, list) else arguments[0], value, name=name, path=path)
    if origin is Literal:
        if value in arguments:
            return value
        raise ConfigError(f"{path}: {name} must be one of {', '.join(map(str, arguments))}, not {value!r}")
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis and isinstance(value, list) else arguments
        if isinstance(value, list) and len(value) == len(kinds):
            return tuple(_value(k, v, name=name, path=path) for k, v in zip(kinds, value, strict=True))
        raise ConfigError(f"{path}: {name} must be a list, not {value!r}")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise ConfigError(f"{path}: {name} must be {hint.__name__}, not {value!r}")
    return value
