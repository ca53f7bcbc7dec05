"""Checks of settings: values out of range, or that contradict each other."""

import math
import re
from pathlib import Path

from mafdn.errors import ConfigError
from mafdn.networks.architectures import LARGEST
from mafdn.networks.own import OwnSettings
from mafdn.training.config.settings import TrainSettings

DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
"""Valid values of `run.device`."""


def check(settings: TrainSettings, path: Path) -> None:
    """Raise `ConfigError` for values out of range or that contradict each other."""
    data, optimizer, schedule, run = settings.data, settings.optimizer, settings.schedule, settings.run
    rules = {
        "data.scales must be among 2, 3, 4": bool(data.scales) and set(data.scales) <= {2, 3, 4},
        "network.scale must be one of data.scales": settings.network.scale in data.scales,
        "data.patch must be at least 8": data.patch >= 8,
        "data.min_gradient must be finite": math.isfinite(data.min_gradient),
        "data.candidates must be at least 1": data.candidates >= 1,
        "loss.epsilon must be above 0 and finite": 0 < settings.loss.epsilon < math.inf,
        "loss.fourier must be at least 0 and finite": 0 <= settings.loss.fourier < math.inf,
        "loss.teacher must be in [0, 1]": all(0 <= share <= 1 for share in settings.loss.teacher_shares),
        "loss.teacher_until must be in (0, 1]": 0 < settings.loss.teacher_until <= 1,
        "loss.mse must be in [0, 1]": 0 <= settings.loss.mse <= 1,
        "loss.teacher needs data.teacher, the name of a teacher that 'mafdn bank teach' made": (
            max(settings.loss.teacher_shares) == 0 or bool(data.teacher)
        ),
        "data.zoomed needs data.teacher": not data.zoomed or bool(data.teacher),
        "data.zoomed_share must be in [0, 1]": 0 <= data.zoomed_share <= 1,
        "data.recolored must be in [0, 1]": 0 <= data.recolored <= 1,
        "optimizer.weight_decay must be at least 0 and finite": 0 <= optimizer.weight_decay < math.inf,
        'optimizer.weight_decay needs optimizer.name = "adamw"': optimizer.weight_decay == 0
        or optimizer.name == "adamw",
        "optimizer.clip must be at least 0": optimizer.clip >= 0,
        "optimizer.lr must be above 0 and finite": 0 < optimizer.lr < math.inf,
        "optimizer.small_lr must be above 0 and finite": 0 < optimizer.small_lr < math.inf,
        "optimizer.momentum must be in [0, 1)": 0 <= optimizer.momentum < 1,
        "optimizer.betas must be in [0, 1)": all(0 <= beta < 1 for beta in optimizer.betas),
        f"schedule.warmup ({schedule.warmup}) and schedule.decay ({schedule.decay}) must fit into schedule.steps "
        f"({schedule.steps})": (
            min(schedule.warmup, schedule.decay) >= 0
            and schedule.warmup + schedule.decay * (schedule.kind == "wsd") <= schedule.steps
        ),
        "schedule.begin must be at least 0 and below schedule.steps": 0 <= schedule.begin < max(1, schedule.steps),
        'run.device must be "auto", "cpu", "cuda" or a GPU such as "cuda:1"': bool(DEVICE.fullmatch(run.device)),
        "run.batch must be at least 1": run.batch >= 1,
        'run.resident = "on" is not possible with degrade.share': run.resident != "on" or settings.degrade.share == 0,
        "run.seed must be at least 0": run.seed >= 0,
        "run.spike must be 0 or above 1": run.spike == 0 or run.spike > 1,
        "run.ema must be in [0, 1)": 0 <= run.ema < 1,
        "run.log_every, save_every and validate_every must be at least 1": (
            min(run.log_every, run.save_every, run.validate_every) >= 1
        ),
    }
    if not isinstance(settings.network, OwnSettings):  # as a weights file could not be loaded
        rules |= {
            f"network.{key} must be at most {most}": getattr(settings.network, key) <= most
            for key, most in LARGEST.items()
        }
    for rule, kept in rules.items():
        if not kept:
            raise ConfigError(f"{path}: {rule}")
