"""Find the fastest engine and device on this machine: measured once, then cached.

All engines give the same picture to within float32 rounding, so only time decides. It is measured on a small tile
with a shipped network, not for each file: which engine is fastest depends on the machine, not on the weights.
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
from mafdn._support.text import first_line
from mafdn.errors import MafdnError
from mafdn.inference.engines.base import Engine
from mafdn.inference.engines.onnxruntime import OnnxRuntimeEngine
from mafdn.inference.engines.openvino import OpenVINOEngine, openvino_core
from mafdn.inference.options import AUTO, EngineOptions

Kinds = Mapping[str, type[OpenVINOEngine] | type[OnnxRuntimeEngine]]
VERSION = 1
"""Incremented when cached timings become invalid."""
TILE_SIDE = 128
"""Side of the timed tile, in pixels."""
ROUNDS = 3
"""Number of timed runs of each engine; the fastest one counts."""
CLEARLY_FASTER = 0.95
"""Fraction of an earlier engine's time below which a later one is preferred; a smaller difference may be noise."""
CACHE_BYTES = 2**20
"""Maximum total size of the cached timings."""
INEXACT = ("coreml",)
"""Devices that compute in half precision whatever is asked for; they are never chosen unless they are named."""
PACKAGES_OF_DEVICES = ("onnxruntime-gpu", "onnxruntime-directml")
"""Packages that may run networks on another device than the CPU."""
PACKAGES = ("openvino", "onnxruntime", *PACKAGES_OF_DEVICES)
"""Packages whose versions determine whether cached timings are still valid."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One engine on one device: its time for the tile in seconds, or the reason why it failed."""

    engine: str
    device: str
    seconds: float | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The timings of all engines on this machine.

    Args:
        when: Time of the measurement, ISO 8601 in UTC.
        network: File name of the timed network.
        precision: Precision that was measured.
        threads: Threads that were used; `None` for all.
        trials: One entry per engine and device, in order of preference.
    """

    when: str
    network: str
    precision: str
    threads: int | None
    trials: tuple[Trial, ...]

    def best(self, options: EngineOptions | None = None) -> tuple[str, str] | None:
        """Return the fastest engine and its device among those allowed by `options`; `None` if none of them ran.

        Those of `INEXACT` count only if `options` name them.
        """
        options = options or EngineOptions()
        fastest: Trial | None = None
        for trial in self.trials:
            wanted = options.engine in (AUTO, trial.engine) and options.device in (AUTO, trial.device)
            inexact = options.device == AUTO and trial.device in INEXACT
            if not wanted or inexact or not trial.seconds:
                continue
            if fastest is None or trial.seconds < CLEARLY_FASTER * (fastest.seconds or 0):
                fastest = trial
        return (fastest.engine, fastest.device) if fastest else None


def remembered(options: EngineOptions) -> Choice | None:
    """Return the cached timings for this machine, its packages, and these options; `None` if there are none."""
    kept = load_kept(_cache_path(options.threads, options.precision))
    with suppress(ValueError, KeyError, TypeError):
        table: dict[str, Any] = json.loads(kept or b"")
        table["trials"] = tuple(Trial(**trial) for trial in table["trials"])
        return Choice(**table)
    return None


def remember(choice: Choice) -> bool:
    """Cache `choice` for later processes; returns whether that succeeded."""
    content = json.dumps(asdict(choice)).encode()
    return keep(_cache_path(choice.threads, choice.precision), content, limit=CACHE_BYTES)


def measure_engines(kinds: Kinds, path: Path, options: EngineOptions) -> Choice:
    """Time every installed engine on each of its devices, in interleaved rounds.

    Engines that cannot run the network are recorded as failed trials.

    Args:
        kinds: The engines by name, in order of preference.
        path: The network to run.
        options: Precision and threads to measure with; engine and device are ignored.
    """
    threads, precision = options.threads, options.precision
    opened: dict[tuple[str, str], Engine] = {}
    problems: dict[tuple[str, str], str] = {}
    for name, kind in kinds.items():
        with suppress(ImportError):  # not installed, or not for this platform
            for device, supported in kind.devices().items():
                if precision not in supported:
                    problems[name, device] = f"does not support {precision}"
                    continue
                try:
                    opened[name, device] = kind(path, device=device, threads=threads, precision=precision)
                except MafdnError as error:
                    problems[name, device] = str(error)
    x = np.random.default_rng(0).random((1, 3, TILE_SIDE, TILE_SIDE), np.float32)
    times: dict[tuple[str, str], list[float]] = {}
    for number in range(ROUNDS + 1):
        for key, engine in opened.items():
            if key in problems:
                continue
            began = time.perf_counter()
            try:
                engine.run(x)
            except Exception as error:  # drivers may raise any exception; the other engines are still timed
                problems[key] = first_line(error)
                continue
            if number:  # the first run compiles and allocates
                times.setdefault(key, []).append(time.perf_counter() - began)
    trials = [Trial(engine=e, device=d, seconds=min(runs)) for (e, d), runs in times.items() if (e, d) not in problems]
    trials += [Trial(engine=e, device=d, problem=problem) for (e, d), problem in problems.items()]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Choice(when=now, network=path.name, precision=precision, threads=threads, trials=tuple(trials))


def has_other_device() -> bool:
    """Whether networks could run on another device than the CPU, as found once and then cached.

    OpenVINO has to be installed. Its search for devices takes a tenth of a second.
    """
    if any(installed_version(package) for package in PACKAGES_OF_DEVICES):
        return True
    entry = _cache_path(suffix="devices")
    with suppress(ValueError):
        found: Any = json.loads(load_kept(entry) or b"")
        if isinstance(found, list):
            return found != ["CPU"]
    devices = list(openvino_core().available_devices)
    keep(entry, json.dumps(devices).encode(), limit=CACHE_BYTES)
    return devices != ["CPU"]


def _cache_path(*options: object, suffix: str = "choice") -> Path:
    """Return the cache entry of this machine, its packages and `options`."""
    versions = {name: installed_version(name) for name in PACKAGES}
    parts = json.dumps([VERSION, asdict(machine()), versions, *options], sort_keys=True)
    return cache_folder("engines") / f"{hashlib.sha256(parts.encode()).hexdigest()}.{suffix}"
