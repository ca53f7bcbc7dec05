"""Settings of a training run, read from TOML.

Public names: :class:`TrainSettings` and its parts, :func:`read_config`, :func:`build_settings`,
:func:`relative`.
"""

import difflib
import os
import tomllib
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from mafdn.errors import ConfigError
from mafdn.networks.architectures import ARCHITECTURES, Settings
from mafdn.networks.mafdn import MAFDNSettings

OPEN_END = 10**9
"""``schedule.steps`` of a run without a planned end."""
PATHS = (
    ("data", "folders"),
    ("data", "exclude"),
    ("data", "bank"),
    ("data", "zoomed"),
    ("run", "folder"),
    ("run", "init"),
)
"""The settings that name files and folders."""


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
    """Flatter patches are drawn again; see :class:`mafdn.training.data.patches.PatchSampler`."""
    exclude: tuple[str, ...] = ()
    """Folders of pictures, such as bench sets, whose like must not get into the bank."""
    teacher: str = ""
    """A target that ``mafdn bank teach`` made, for ``loss.teacher``."""
    teacher_description: str = ""
    """One line on the teacher, its license and what it was trained on, for the card of the weights."""
    zoomed: str = ""
    """A bank of further pairs that ``mafdn bank zoom`` made; a teacher's results stand in for their HR pictures."""
    zoomed_share: float = 0.5
    """Share of the patches that are drawn from ``zoomed``."""
    candidates: int = 1
    """Hard-patch sampling: of this many patches drawn, the one with the largest gradient is taken."""
    description: str = ""
    """One line on the pictures and their licenses, for the card of the weights."""


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """``muon`` on convolution kernels with Adam at ``small_lr`` on the rest; ``adam`` or ``adamw`` at ``lr`` on all."""

    name: Literal["muon", "adam", "adamw"] = "muon"
    lr: float = 0.01
    small_lr: float = 1e-3
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    """Of ``adamw``: every weight shrinks by this times the rate at each step."""
    clip: float = 0.0
    """Longer gradients (Euclidean norm over all parameters) are shortened to this; 0 leaves them. Muon alone is
    blind to the length of a gradient; Adam's share of a Muon run is not."""


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """What is minimized: the mean over all values of a difference, plus a share of it in the Fourier domain."""

    name: Literal["l1", "charbonnier"] = "l1"
    epsilon: float = 1e-3
    """Of Charbonnier, ``sqrt(d**2 + epsilon**2)``, where white is 1."""
    fourier: float = 0.0
    """Weight of the L1 difference of the orthonormal 2-D Fourier transforms beside the pixels'."""
    teacher: float | tuple[float, float] = 0.0
    """Share in [0, 1] of the loss taken against ``data.teacher`` instead of HR (knowledge distillation). Two values
    are the shares at the start and from ``teacher_until`` on, with a linear change between (ECO, arXiv 2312.17526)."""
    teacher_until: float = 0.75
    """Progress in (0, 1] at which a changing share reaches its second value."""
    mse: float = 0.0
    """Last part of the run, as a share of its steps, in which squared differences replace ``name``."""

    @property
    def teacher_shares(self) -> tuple[float, float]:
        """The teacher's share at the start and from ``teacher_until`` on."""
        return self.teacher if isinstance(self.teacher, tuple) else (self.teacher, self.teacher)


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """The rate rises over ``warmup`` steps; then ``wsd`` (warm-up, stable, decay) holds it and lets it fall linearly
    over the last ``decay`` steps, and ``cosine`` lets it fall from there to the end."""

    kind: Literal["wsd", "cosine"] = "wsd"
    steps: int = 10_000
    warmup: int = 100
    decay: int = 2_000
    """Of ``wsd`` alone."""
    begin: int = 0
    """Step from which the progress of the loss schedules is counted, to 1 at ``steps``; set by forks."""


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
    """``auto`` times a step in both at the start and keeps what is faster."""
    compile: Literal["auto", "on", "off"] = "off"
    """torch.compile; ``auto`` compiles at the start, times a step and keeps what is faster."""
    resident: Literal["auto", "on", "off"] = "auto"
    """Whether the training pictures are held in the device's memory and patches are cut there; ``auto``: on a GPU."""
    spike: float = 3.0
    """A mean loss this many times the usual one sends the run back to its last checkpoint; 0 for never."""
    log_every: int = 50
    save_every: int = 250
    validate_every: int = 500


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Everything a run depends on."""

    data: DataSettings
    network: Settings = field(default_factory=MAFDNSettings)
    """In TOML the key ``architecture`` says whose settings these are, ``mafdn`` when it is not there."""
    loss: LossSettings = field(default_factory=LossSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    run: RunSettings = field(default_factory=RunSettings)


def read_config(path: Path) -> TrainSettings:
    """Read a run's settings; raises :class:`ConfigError` naming the file, the key and what would do.

    A file may say ``extends = "other.toml"`` and then only what differs. Paths are relative to the file
    they stand in; those of the settings returned, defaults too, are relative to ``path``'s folder (the file
    itself, not a link to it).
    """
    return build_settings(_table(path, ()), path=path)


def build_settings(table: dict[str, Any], *, path: Path) -> TrainSettings:
    """The settings that a parsed TOML or JSON ``table`` holds; raises :class:`ConfigError` naming ``path``."""
    settings: TrainSettings = _build(TrainSettings, table, where="", path=path)
    _check(settings, path)
    return settings


def _table(path: Path, extending: tuple[Path, ...]) -> dict[str, Any]:
    """What ``path`` says, over what the file that it extends says."""
    shown, path = path, path.resolve()
    if path in extending:
        raise ConfigError(f"{shown} extends itself")
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {shown}: {error.strerror}") from None
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
        if value:
            merged[part][key] = _moved(value, (path.parent / parent).resolve().parent, path.parent)
    for part, values in table.items():
        both_tables = isinstance(values, dict) and isinstance(merged.get(part), dict)
        merged[part] = merged[part] | values if both_tables else values
    return merged


def _moved(value: Any, old: Path, new: Path) -> Any:
    """A path relative to ``old``, or a list of such, as one relative to ``new``."""
    if isinstance(value, list):
        return [_moved(entry, old, new) for entry in cast(list[Any], value)]
    return relative(old / value, new) if isinstance(value, str) else value


def relative(path: Path, folder: Path) -> str:
    """``path`` as seen from ``folder``, with slashes; as it is where no way leads there (another drive)."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.as_posix()


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
    except ValueError as error:  # a value that the settings themselves refuse
        raise ConfigError(f"{path}: {where}{error}") from None


def _architecture(table: dict[str, Any], *, where: str, path: Path) -> tuple[type[Settings], dict[str, Any]]:
    """The kind of settings that a network's table holds, and the settings themselves."""
    name = table.get("architecture", "mafdn")
    if name not in ARCHITECTURES:
        raise ConfigError(f"{path}: {where}architecture must be one of {', '.join(ARCHITECTURES)}, not {name!r}")
    return ARCHITECTURES[name][1], {key: value for key, value in table.items() if key != "architecture"}


def _value(hint: Any, value: Any, *, name: str, path: Path) -> Any:
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


def _check(settings: TrainSettings, path: Path) -> None:
    data, schedule, run = settings.data, settings.schedule, settings.run
    rules = {
        "data.folders must name at least one folder": bool(data.folders),
        "data.scales must be among 2, 3, 4": bool(data.scales) and set(data.scales) <= {2, 3, 4},
        "network.scale must be one of data.scales": settings.network.scale in data.scales,
        "data.patch must be at least 8": data.patch >= 8,
        "data.candidates must be at least 1": data.candidates >= 1,
        "loss.epsilon must be above 0": settings.loss.epsilon > 0,
        "loss.fourier must be at least 0": settings.loss.fourier >= 0,
        "loss.teacher must be in [0, 1]": all(0 <= share <= 1 for share in settings.loss.teacher_shares),
        "loss.teacher_until must be in (0, 1]": 0 < settings.loss.teacher_until <= 1,
        "loss.mse must be in [0, 1]": 0 <= settings.loss.mse <= 1,
        "loss.teacher needs data.teacher, a target that 'mafdn bank teach' made": (
            max(settings.loss.teacher_shares) == 0 or bool(data.teacher)
        ),
        "data.zoomed needs data.teacher, as a teacher makes its pairs": not data.zoomed or bool(data.teacher),
        "data.zoomed_share must be in [0, 1]": 0 <= data.zoomed_share <= 1,
        "optimizer.weight_decay and optimizer.clip must be at least 0": (
            min(settings.optimizer.weight_decay, settings.optimizer.clip) >= 0
        ),
        "optimizer.weight_decay is for adamw": settings.optimizer.weight_decay == 0
        or settings.optimizer.name == "adamw",
        "optimizer rates must be above 0": min(settings.optimizer.lr, settings.optimizer.small_lr) > 0,
        "schedule.warmup and schedule.decay must fit into schedule.steps": (
            min(schedule.warmup, schedule.decay) >= 0
            and schedule.warmup + schedule.decay * (schedule.kind == "wsd") <= schedule.steps
        ),
        "schedule.begin must be at least 0 and below schedule.steps": 0 <= schedule.begin < max(1, schedule.steps),
        "run.batch must be at least 1": run.batch >= 1,
        "run.seed must be at least 0": run.seed >= 0,
        "run.spike must be 0 or above 1": run.spike == 0 or run.spike > 1,
        "run.ema must be in [0, 1)": 0 <= run.ema < 1,
        "run.log_every, save_every and validate_every must be at least 1": (
            min(run.log_every, run.save_every, run.validate_every) >= 1
        ),
    }
    for rule, kept in rules.items():
        if not kept:
            raise ConfigError(f"{path}: {rule}")
