"""The settings of a training run, read from TOML.

docs/configuration.md is generated from the docstrings of the settings (`python -m tools.figures`).
"""

import difflib
import os
import tomllib
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from mafdn.errors import ConfigError
from mafdn.networks.architectures import Settings, find_architecture
from mafdn.networks.mafdn import MAFDNSettings
from mafdn.weights.resolve import is_name

OPEN_END = 10**9
"""`schedule.steps` of a run without a planned end."""
PATHS = (
    ("data", "folders"),
    ("data", "exclude"),
    ("data", "bank"),
    ("data", "zoomed"),
    ("run", "folder"),
    ("run", "init"),
)
"""Settings that name files and folders, as table and key."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Training pictures and patch sampling. Paths are relative to the TOML file."""

    folders: tuple[str, ...]
    """Folders of pictures, searched recursively. No longer needed once the bank is complete."""
    bank: str = "bank"
    """Folder of the bank (the dataset cache), which is built from `folders` on the first start."""
    scales: tuple[int, ...] = (2, 3, 4)
    """Downscaling factors stored in the bank, among 2, 3 and 4."""
    held_out: tuple[str, ...] = ()
    """File name patterns of pictures used for validation and never for training, such as `gb82__*`."""
    patch: int = 48
    """Side length of an LR patch in pixels, at least 8."""
    min_gradient: float = 2.0
    """Patches with a smaller mean difference between neighboring LR pixels, in 8-bit levels, are drawn again, up to
    four times in total."""
    exclude: tuple[str, ...] = ()
    """Folders of benchmark datasets; pictures that look like one of theirs are left out of the bank."""
    teacher: str = ""
    """Name of a teacher in the bank, created by `mafdn bank teach`, for `loss.teacher`."""
    teacher_description: str = ""
    """One line about the teacher, its license and its training data, for the card of the weights."""
    zoomed: str = ""
    """Folder of a bank of zoomed pairs, created by `mafdn bank zoom`; its HR pictures are a teacher's results."""
    zoomed_share: float = 0.5
    """Share of patches drawn from `zoomed`, in [0, 1]."""
    candidates: int = 1
    """Hard-patch sampling: number of patches drawn, of which the one with the largest gradient is used."""
    description: str = ""
    """One line about the pictures and their licenses, for the card of the weights."""


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """The optimizer."""

    name: Literal["muon", "adam", "adamw"] = "muon"
    """`muon` for convolution kernels and Adam for other parameters, or `adam` or `adamw` for all parameters."""
    lr: float = 0.01
    """Peak learning rate of the optimizer `name`; about 0.001 is typical for `adam` and `adamw`."""
    small_lr: float = 1e-3
    """Peak learning rate of Adam for the parameters that `muon` does not optimize."""
    momentum: float = 0.95
    """Momentum of `muon`."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Decay rates of Adam's moments."""
    weight_decay: float = 0.0
    """Weight decay of `adamw`: at each step, every weight shrinks by this factor times the learning rate."""
    clip: float = 0.0
    """Maximum Euclidean norm of the gradient over all parameters (gradient clipping); 0 for no limit. Updates of `muon`
    do not depend on the norm; those of Adam do."""


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """The training loss."""

    name: Literal["l1", "charbonnier"] = "l1"
    """Pixel loss: the mean absolute difference, or Charbonnier's `sqrt(d**2 + epsilon**2)`."""
    epsilon: float = 1e-3
    """Epsilon of `charbonnier`, for values in [0, 1]."""
    fourier: float = 0.0
    """Weight of the L1 loss of the orthonormal 2-D Fourier transforms, which is added to the pixel loss."""
    teacher: float | tuple[float, float] = 0.0
    """Share of the loss, in [0, 1], computed against the results of `data.teacher` instead of HR (knowledge
    distillation). Two values are the shares at the start and from `teacher_until` on, with linear interpolation between
    them (ECO, arXiv 2312.17526)."""
    teacher_until: float = 0.75
    """Share of the run, in (0, 1], after which `teacher` has its second value."""
    mse: float = 0.0
    """Final share of the run, in [0, 1], in which the mean squared error replaces the pixel loss."""

    @property
    def teacher_shares(self) -> tuple[float, float]:
        """The teacher's share at the start and from `teacher_until` on."""
        return self.teacher if isinstance(self.teacher, tuple) else (self.teacher, self.teacher)


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """The learning rate over the run."""

    kind: Literal["wsd", "cosine"] = "wsd"
    """`wsd` (warm-up, stable, decay) holds the peak rate after the warm-up, then decreases linearly to 0 over the last
    `decay` steps; `cosine` decreases to 0 from the end of the warm-up to the end of the run."""
    steps: int = 10_000
    """Total number of steps."""
    warmup: int = 100
    """Number of warm-up steps, in which the learning rate rises to its peak."""
    decay: int = 2_000
    """Number of decay steps of `wsd`."""
    begin: int = 0
    """Step at which the schedules of the loss begin; they end at `steps`. Set automatically in forks."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Initial weights, computation, reports and checkpoints."""

    folder: str = "run"
    """Folder of the run, for checkpoints, logs and settings, relative to the TOML file."""
    init: str = ""
    """Pretrained weights to start from, for this or another scale: a weights file (.safetensors, .pth, .pt, .ckpt), the
    folder of a run, or `x2`, `x3`, `x4` or `mafdn` for the shipped weights; random weights if empty."""
    seed: int = 0
    """Random seed of the initial weights and of patch sampling."""
    batch: int = 8
    """Batch size: patches per step over all processes; a multiple of the number of processes."""
    ema: float = 0.999
    """Decay of the exponential moving average of the weights, in [0, 1); the average is validated and exported."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of forward and backward passes; `auto` times both at the start and uses the faster one."""
    compile: Literal["auto", "on", "off"] = "off"
    """Whether to use torch.compile; `auto` times both at the start and uses the faster one."""
    resident: Literal["auto", "on", "off"] = "auto"
    """Whether to keep all training pictures in device memory and cut patches there; `auto`: only on a GPU."""
    spike: float = 3.0
    """The run returns to its last checkpoint if the mean loss exceeds its running mean by this factor; 0 for never."""
    log_every: int = 50
    """Number of steps between reports."""
    save_every: int = 250
    """Number of steps between checkpoints."""
    validate_every: int = 500
    """Number of steps between validations."""


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """All settings of a run, by table of the TOML file."""

    data: DataSettings
    network: Settings = field(default_factory=MAFDNSettings)
    """The settings of the architecture that the key `architecture` names, by default `mafdn`."""
    loss: LossSettings = field(default_factory=LossSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    run: RunSettings = field(default_factory=RunSettings)


def read_config(path: Path) -> TrainSettings:
    """Read the settings of a run.

    A file may have `extends = "other.toml"` and then only what differs. Paths in a file are relative to it.

    Args:
        path: A TOML file.

    Returns:
        The settings. Their paths, defaults too, are relative to the folder of `path` (of the file itself, not of a link
        to it).

    Raises:
        ConfigError: The file cannot be read, or has an unknown key or an invalid value.
    """
    return build_settings(_table(path, ()), path=path)


def build_settings(table: dict[str, Any], *, path: Path) -> TrainSettings:
    """Build settings from a parsed TOML or JSON table.

    Args:
        table: The table.
        path: The file it is from, for messages.

    Raises:
        ConfigError: The table has an unknown key or an invalid value.
    """
    settings: TrainSettings = _build(TrainSettings, table, where="", path=path)
    _check(settings, path)
    return settings


def _table(path: Path, extending: tuple[Path, ...]) -> dict[str, Any]:
    """Parse a TOML file, merged over the one that it extends."""
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
        named = (
            (part, key) == ("run", "init") and isinstance(value, str) and is_name(value)
        )  # no path, but shipped weights
        if value and not named:
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


def _check(settings: TrainSettings, path: Path) -> None:
    """Raise `ConfigError` for values out of range or that contradict each other."""
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
        "loss.teacher needs data.teacher, the name of a teacher that 'mafdn bank teach' made": (
            max(settings.loss.teacher_shares) == 0 or bool(data.teacher)
        ),
        "data.zoomed needs data.teacher": not data.zoomed or bool(data.teacher),
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
