"""How the learning rate and the loss change over a run.

Public names: :func:`learning_rate`, :func:`progress`.
"""

import math

from mafdn.training.config import ScheduleSettings


def learning_rate(schedule: ScheduleSettings, step: int) -> float:
    """The fraction of the top rate at ``step`` (from 0): a linear rise over ``warmup`` steps, then

    ``wsd``: 1, and a linear fall to nearly 0 over the last ``decay`` steps (warm-up, stable, decay: Hu et al.,
    MiniCPM, arXiv 2404.06395). The stable part has no end of its own, so a run can always be made longer.
    ``cosine``: half a cosine from 1 to nearly 0 over all steps after the rise.
    """
    rise = (step + 1) / (schedule.warmup + 1)
    if schedule.kind == "cosine":
        done = max(0, step - schedule.warmup) / (schedule.steps - schedule.warmup + 1)
        return min(1.0, rise) * (1 + math.cos(math.pi * done)) / 2
    return min(1.0, rise, (schedule.steps - step) / (schedule.decay + 1))


def progress(schedule: ScheduleSettings, step: int) -> float:
    """How much of the run is done before ``step``, in [0, 1): what the schedules of the loss depend on."""
    return max(0, step - schedule.begin) / (schedule.steps - schedule.begin)
