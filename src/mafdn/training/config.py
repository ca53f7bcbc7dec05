"""Settings of a training run, read from TOML.

Public names: :class:`TrainSettings` and its parts, :func:`read_config`.
"""

import difflib
import tomllib
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mafdn.errors import ConfigError
from mafdn.networks.mafdn import MAFDNSettings


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Where pictures come from and how patches are drawn from them; paths are relative to the TOML file."""

    folders: tuple[str, ...]
    bank: str = "bank"
    scales: tuple[int, ...] = (2, 3, 4)
    held_out: tuple[str, ...] = ()
    """Patterns of file names kept for validation, never trained on."""
    patch: int = 48
    """Side of an LR patch in pixels."""
    min_gradient: float = 2.0
    """Flatter patches are drawn again; see :class:`mafdn.data.patches.PatchSampler`."""
    description: str = ""
    """One line on the pictures and their licenses, for the card of the weights."""


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """``muon`` on convolution kernels with Adam at ``small_lr`` on the rest, or ``adam`` at ``lr`` on all."""

    name: Literal["muon", "adam"] = "muon"
    lr: float = 0.01
    small_lr: float = 1e-3
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.99)


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """Warm-up, stable, decay: the rate rises for ``warmup`` steps, holds, and falls over the last ``decay``."""

    steps: int = 10_000
    warmup: int = 100
    decay: int = 2_000


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a run goes: where it starts, its batch over all processes, what is kept and how often."""

    folder: str = "run"
    init: str = ""
    """Weights to start from, training or folded form, of this or another scale; random when empty."""
    seed: int = 0
    batch: int = 8
    ema: float = 0.999
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    log_every: int = 50
    save_every: int = 250
    validate_every: int = 500


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Everything a run depends on."""

    data: DataSettings
    network: MAFDNSettings = field(default_factory=MAFDNSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    run: RunSettings = field(default_factory=RunSettings)


def read_config(path: Path) -> TrainSettings:
    """Read a run's settings; raises :class:`ConfigError` naming the file, the key and what would do."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    settings: TrainSettings = _build(TrainSettings, table, where="", path=path)
    _check(settings, path)
    return settings


def _build(kind: type[Any], table: dict[str, Any], *, where: str, path: Path) -> Any:
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1, cutoff=0)
            raise ConfigError(f"{path}: unknown key {where}{key}; did you mean {where}{near[0]}?")
    values: dict[str, Any] = {}
    for entry in fields(kind):
        name = where + entry.name
        if entry.name not in table:
            if entry.default is MISSING and entry.default_factory is MISSING:
                raise ConfigError(f"{path}: {name} is missing")
            continue
        value, hint = table[entry.name], hints[entry.name]
        if is_dataclass(hint):
            if not isinstance(value, dict):
                raise ConfigError(f"{path}: {name} must be a table, [{name}]")
            values[entry.name] = _build(hint, value, where=name + ".", path=path)  # type: ignore[arg-type]
        else:
            values[entry.name] = _value(hint, value, name=name, path=path)
    try:
        return kind(**values)
    except ValueError as error:  # a value that the settings themselves refuse
        raise ConfigError(f"{path}: {where}{error}") from None


def _value(hint: Any, value: Any, *, name: str, path: Path) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
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


def _check(settings: TrainSettings, path: Path) -> None:
    data, schedule, run = settings.data, settings.schedule, settings.run
    rules = {
        "data.folders must name at least one folder": bool(data.folders),
        "data.scales must be among 2, 3, 4": bool(data.scales) and set(data.scales) <= {2, 3, 4},
        "network.scale must be one of data.scales": settings.network.scale in data.scales,
        "data.patch must be at least 8": data.patch >= 8,
        "optimizer rates must be above 0": min(settings.optimizer.lr, settings.optimizer.small_lr) > 0,
        "schedule.warmup and schedule.decay must fit into schedule.steps": (
            schedule.warmup >= 0 and schedule.decay >= 0 and schedule.warmup + schedule.decay <= schedule.steps
        ),
        "run.batch must be at least 1": run.batch >= 1,
        "run.ema must be in [0, 1)": 0 <= run.ema < 1,
        "run.log_every, save_every and validate_every must be at least 1": (
            min(run.log_every, run.save_every, run.validate_every) >= 1
        ),
    }
    for rule, kept in rules.items():
        if not kept:
            raise ConfigError(f"{path}: {rule}")
