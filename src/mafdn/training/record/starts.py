"""What a run is computed with: the records of its starts, in `settings.json` and in the card of its weights."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from mafdn._support.machine import machine, machine_text
from mafdn._version import __version__
from mafdn.training.data.bank import Bank
from mafdn.training.step_mode import StepMode
from mafdn.training.workers import Workers

Start = dict[str, Any]
"""The record of a start: its step, versions, device, processes, and digests of the pictures and of the teacher."""
REFUSED = ("step", "banks")
"""Entries of which no difference is reported: the step always differs, and other pictures are refused, as are other
networks of a teacher that kept its name."""


def describe_start(
    step: int, mode: StepMode, workers: Workers, banks: Mapping[str, Bank], *, teacher: str = ""
) -> Start:
    """Describe what a run is computed with from now on.

    Args:
        step: The step that it starts from.
        mode: How its steps are computed.
        workers: Its processes; the machine is that of this one.
        banks: Its banks by setting (`data.bank`, `data.zoomed`).
        teacher: The name of its teacher; empty for none.
    """
    device, taught = workers.device, teacher_digests(banks["data.bank"], teacher)
    start: Start = {
        "step": step,
        "mafdn": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": machine_text(asdict(machine())),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processes": workers.world,
        "precision": "bf16 autocast" if mode.bf16 else "fp32",
        "compiled": mode.compiled,
        "banks": {name: bank.digest for name, bank in banks.items()},
    }
    return start | ({"teacher": taught} if taught else {})


def teacher_digests(bank: Bank, name: str) -> dict[str, str]:
    """The SHA-256 of the networks that made a teacher of a bank, by file name; empty if it has none of that name."""
    teacher = bank.teachers.get(name)
    return {network.file: network.sha256 for network in teacher.networks} if teacher else {}


def changes(before: Iterable[Start], now: Start) -> str:
    """A message about what differs from the last of the starts before; empty if nothing does or there are none."""
    last = next(reversed([*before]), now)
    keys = [key for key in {**last, **now} if key not in REFUSED and last.get(key) != now.get(key)]
    listed = ", ".join(f"{key} {last.get(key)} -> {now.get(key)}" for key in keys)
    return f"computed with something else than at the last start: {listed}" if keys else ""


def distinct(starts: Iterable[Start]) -> list[Start]:
    """The first of every series of starts that differ in nothing but the step."""
    found: list[Start] = []
    for start in starts:
        if not found or start | {"step": 0} != found[-1] | {"step": 0}:
            found.append(start)
    return found
