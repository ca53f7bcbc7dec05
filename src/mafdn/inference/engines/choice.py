"""Which engine and device run fastest here: measured once, then remembered.

Public names: :class:`Choice`, :class:`Trial`, :func:`remembered`, :func:`measure_engines`, :func:`remember`.

All engines give the same picture to within float32's rounding, so only time decides. It is measured on a small
tile of the network that ships, not of each file: which engine is fastest depends on the machine, not on the weights.
"""

import datetime
import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mafdn._support.cache import cache_folder, keep, load_kept
from mafdn._support.machine import installed_version, machine
from mafdn.errors import MafdnError
from mafdn.inference.engines.base import Engine
from mafdn.inference.engines.onnxruntime import OnnxRuntimeEngine
from mafdn.inference.engines.openvino import OpenVINOEngine

Kinds = Mapping[str, type[OpenVINOEngine] | type[OnnxRuntimeEngine]]
VERSION = 1
SIDE = 128
"""Of the tile that is timed, in pixels."""
ROUNDS = 3
CLEARLY = 0.95
"""A later engine must take less than this share of an earlier one's time: chance decides the rest."""
KEPT = 2**20
PACKAGES = ("openvino", "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """An engine on a device: the seconds it took for the tile, or the problem it had."""

    engine: str
    device: str
    seconds: float | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was measured, ``when`` (ISO 8601, UTC), with which network, and in which precision."""

    when: str
    network: str
    precision: str
    threads: int | None
    trials: tuple[Trial, ...]

    def best(self, *, engine: str = "auto", device: str = "auto") -> tuple[str, str] | None:
        """The fastest engine and its device among those asked for; ``None`` when none of these ran."""
        chosen: Trial | None = None
        for trial in self.trials:
            if engine not in ("auto", trial.engine) or device not in ("auto", trial.device) or not trial.seconds:
                continue
            if chosen is None or trial.seconds < CLEARLY * (chosen.seconds or 0):
                chosen = trial
        return (chosen.engine, chosen.device) if chosen else None


def remembered(*, threads: int | None, precision: str) -> Choice | None:
    """What was measured before on this machine with these packages; ``None`` when nothing was."""
    kept = load_kept(_place(threads, precision))
    with suppress(ValueError, KeyError, TypeError):
        table: dict[str, Any] = json.loads(kept or b"")
        table["trials"] = tuple(Trial(**trial) for trial in table["trials"])
        return Choice(**table)
    return None


def remember(choice: Choice) -> bool:
    """Keep ``choice`` for processes to come; whether that went well."""
    content = json.dumps(asdict(choice)).encode()
    return keep(_place(choice.threads, choice.precision), content, limit=KEPT)


def measure_engines(kinds: Kinds, path: Path, *, threads: int | None, precision: str) -> Choice:
    """Time every engine that is installed on every device it finds, in turns.

    Who cannot run the network ``path`` in this precision is told of in its trial.
    """
    opened: dict[tuple[str, str], Engine] = {}
    problems: dict[tuple[str, str], str] = {}
    for name, kind in kinds.items():
        with suppress(ImportError):  # not installed, or not for this platform
            for device, known in kind.devices().items():
                if precision not in known:
                    problems[name, device] = f"does not compute in {precision}"
                    continue
                try:
                    opened[name, device] = kind(path, device=device, threads=threads, precision=precision)
                except MafdnError as error:
                    problems[name, device] = str(error)
    x = np.random.default_rng(0).random((1, 3, SIDE, SIDE), np.float32)
    times: dict[tuple[str, str], list[float]] = {}
    for number in range(ROUNDS + 1):
        for which, engine in opened.items():
            if which in problems:
                continue
            began = time.perf_counter()
            try:
                engine.run(x)
            except Exception as error:  # a driver's own, of any kind: the others serve
                problems[which] = (str(error).strip().splitlines() or [type(error).__name__])[0]
                continue
            if number:  # the first run compiles and fetches memory
                times.setdefault(which, []).append(time.perf_counter() - began)
    trials = [Trial(engine=e, device=d, seconds=min(mine)) for (e, d), mine in times.items() if (e, d) not in problems]
    trials += [Trial(engine=e, device=d, problem=problem) for (e, d), problem in problems.items()]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Choice(when=now, network=path.name, precision=precision, threads=threads, trials=tuple(trials))


def _place(threads: int | None, precision: str) -> Path:
    """Where the choice for this machine, these packages, threads and precision is kept."""
    versions = {name: installed_version(name) for name in PACKAGES}
    parts = json.dumps([VERSION, asdict(machine()), versions, threads, precision], sort_keys=True)
    return cache_folder("engines") / f"{hashlib.sha256(parts.encode()).hexdigest()}.choice"
