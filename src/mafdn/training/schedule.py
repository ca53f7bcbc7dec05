"""The learning rate and the progress of a run as functions of the step."""

import math

from mafdn.training.config import ScheduleSettings


def learning_rate(schedule: ScheduleSettings, step: int) -> float:
    """Return the learning rate at `step` (from 0) as a fraction of the peak rate.

    It rises linearly over `warmup` steps. After that, `wsd` (warm-up, stable, decay: Hu et al., MiniCPM, arXiv
    2404.06395) stays at 1, then falls linearly to nearly 0 over the last `decay` steps; its stable phase can be
    extended at any time. `cosine` falls from 1 to nearly 0 as half a cosine over all remaining steps.
    """
    rise = (step + 1) / (schedule.warmup + 1)
    if schedule.kind == "cosine":
        done = max(0, step - schedule.warmup) / (schedule.steps - schedule.warmup + 1)
        return min(1.0, rise) * (1 + math.cos(math.pi * done)) / 2
    return min(1.0, rise, (schedule.steps - step) / (schedule.decay + 1))


def progress(schedule: ScheduleSettings, step: int) -> float:
    """Return the share of the run that is done before `step`, in [0, 1), for the schedules of the loss."""
    return max(0, step - schedule.begin) / (schedule.steps - schedule.begin)
