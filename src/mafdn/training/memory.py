"""Say which settings of a run need less memory."""

from contextlib import AbstractContextManager

import torch

from mafdn._support.memory import explain_memory
from mafdn.training.config import TrainSettings


def training_memory(settings: TrainSettings, device: torch.device) -> AbstractContextManager[None]:
    """A context in which an out-of-memory error names the settings to lower.

    Args:
        settings: The settings of the run.
        device: Where it trains.
    """
    batch, patch = settings.run.batch, settings.data.patch
    advice = "lower run.batch first, then data.patch"
    if device.type != "cpu":
        advice += ', or set run.resident = "off"'
    return explain_memory(f"training on {device} at run.batch = {batch} and data.patch = {patch}", advice)
