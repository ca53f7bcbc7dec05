"""The settings of a training run, as dataclasses.

docs/configuration.md and configs/example.toml are generated from their docstrings (`python -m tools.figures`).
"""

from dataclasses import dataclass, field
from typing import Literal

from mafdn.networks.architectures import Settings
from mafdn.networks.mafdn import MAFDNSettings
from mafdn.training.data.degrade import DegradeSettings
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


def is_path(table: str, key: str, value: object) -> bool:
    """Whether a value is a path, or a list of paths; `run.init` may also name shipped weights."""
    named = key == "init" and isinstance(value, str) and is_name(value)
    return (table, key) in PATHS and not named


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Training pictures and patch sampling. Paths are relative to the TOML file."""

    folders: tuple[str, ...] = ()
    """Folders of pictures, searched recursively; needed to build the bank. If empty, an existing bank is used as it
    is; otherwise the bank must contain the pictures of these folders."""
    bank: str = "bank"
    """Folder of the bank (the dataset cache), which is built from `folders` on the first start."""
    scales: tuple[int, ...] = (2, 3, 4)
    """Downscaling factors stored in a new bank, among 2, 3 and 4."""
    held_out: tuple[str, ...] = ()
    """File name patterns of pictures used for validation and never for training, such as `gb82__*`. If empty, there is
    no validation."""
    patch: int = 48
    """Side length of an LR patch in pixels, at least 8."""
    min_gradient: float = 2.0
    """Patches with a smaller mean difference between neighboring LR pixels, in 8-bit levels, are drawn again, up to
    four times in total."""
    exclude: tuple[str, ...] = ()
    """Folders of benchmark datasets; pictures that look like one of theirs are left out of the bank. An existing bank
    must leave out at least these."""
    teacher: str = ""
    """Name of a teacher in the bank, created by `mafdn bank teach`, for `loss.teacher`."""
    teacher_description: str = ""
    """One line about the teacher, its license and its training data, for the card of the weights."""
    zoomed: str = ""
    """Folder of a bank of zoomed pairs, created by `mafdn bank zoom`; its HR pictures are a teacher's results."""
    zoomed_share: float = 0.5
    """Share of patches drawn from `zoomed`, in [0, 1]."""
    recolored: float = 0.0
    """Share of patches, in [0, 1], whose color channels are exchanged, inverted or set to 0 or 255 at random, alike in
    LR, HR and the teacher's results: photographs hardly contain the saturated colors of graphics."""
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
    """Maximum Euclidean norm of the gradient over all parameters (gradient clipping); 0 for no limit. A clipped
    gradient has less weight in the moments, and so in the directions of later steps. The length of an update of `muon`
    does not depend on it."""


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
    """Final share of the run, in [0, 1], in which the loss is the mean squared error alone."""

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
    """Number of warm-up steps, in which the learning rate rises to its peak. If the defaults of `warmup` and `decay` do
    not fit into `steps`, that of `warmup` is `steps // 20`."""
    decay: int = 2_000
    """Number of decay steps of `wsd`. If the defaults of `warmup` and `decay` do not fit into `steps`, that of `decay`
    is `steps // 2`."""
    begin: int = 0
    """Step at which the schedules of the loss begin; they end at `steps`. Set automatically in forks."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Initial weights, computation, reports and checkpoints."""

    folder: str = "run"
    """Folder of the run, for checkpoints, logs and settings, relative to the TOML file."""
    init: str = ""
    """Pretrained weights to start from, for this or another scale: a weights file (.safetensors, .pth, .pt, .ckpt), the
    folder of a run, or `x2`, `x3`, `x4`, `photo-x2`, `photo-x4`, `mafdn` or `photo` for the shipped weights; random
    weights if empty. At another scale, the last convolution is fitted to patches first, by least squares."""
    device: str = "auto"
    """Device to train on: `auto` (a GPU if torch finds one, else the CPU), `cpu`, `cuda`, or one GPU such as
    `cuda:1`."""
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

    data: DataSettings = field(default_factory=DataSettings)
    network: Settings = field(default_factory=MAFDNSettings)
    """The settings of the architecture that the key `architecture` names, by default `mafdn`."""
    degrade: DegradeSettings = field(default_factory=DegradeSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    run: RunSettings = field(default_factory=RunSettings)
