"""An engine process: upscales the pictures that the server hands it, as `mafdn upscale` does.

While the network runs on one picture, the next is decoded and the one before is encoded, each in a thread of its own.
"""

import gc
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mafdn.errors import MafdnError
from mafdn.inference import EngineOptions
from mafdn.inference.engines import describe
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import read_header
from mafdn.upscaling.arguments import network_set
from mafdn.upscaling.array import upscale_array
from mafdn.upscaling.folder.job import work_of
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet, Selection
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.picture import Pending, Prepared, Report, most_enlarged, prepare, run, select, with_verification
from mafdn.upscaling.size import Size
from mafdn.web.options import build_options
from mafdn.web.processes.channel import Channel, become_child, describe_failure

SAMPLE = 192
"""Side in pixels of the noise on which the speed is measured at the start."""
REPORT_SECONDS = 0.25
"""Least time between two reports of progress."""


class _CanceledError(Exception):
    """The server wants this picture no longer."""


@dataclass
class _Task:
    """One picture in this process."""

    id: str
    source: Path
    network: str
    requested: dict[str, Any]
    """Its options as they are stored, perhaps by another version."""
    canceled: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise `_CanceledError` if the server has canceled it."""
        if self.canceled.is_set():
            raise _CanceledError


@dataclass(frozen=True)
class _Decoded:
    """A decoded picture that waits for the network."""

    options: UpscaleOptions
    prepared: Prepared
    selection: Selection
    largest: tuple[int, int]
    """Width and height of the picture that is enlarged most."""
    since: float
    """When it was decoded, by `time.monotonic`."""

    def without_waiting(self) -> Prepared:
        """Return the picture with a time limit that does not count the time for which it has waited."""
        limits = self.prepared.options.limits
        waited = time.monotonic() - self.since
        options = replace(self.prepared.options, limits=replace(limits, began=limits.began + waited))
        return replace(self.prepared, options=options)


class EngineWorker:
    """Runs pictures until the server closes the channel.

    Args:
        channel: The way to the server.
        setup: The server's first message: `engine` (fields of `EngineOptions`), `limits` (of `Limits`), `network`.
    """

    def __init__(self, channel: Channel, setup: dict[str, Any]) -> None:
        self._channel = channel
        self._engine_options = EngineOptions(**setup["engine"])
        self._limits, self._network = Limits(**setup["limits"]), setup["network"]
        self._networks: dict[str, NetworkSet | AutomaticNetworks] = {}
        self._tasks: dict[str, _Task] = {}
        self._ready: queue.Queue[tuple[_Task, Future[_Decoded]]] = queue.Queue()
        self._preparer = ThreadPoolExecutor(1, "prepare")
        self._finisher = ThreadPoolExecutor(1, "finish")

    def run(self) -> None:
        """Say how fast the network is, and work."""
        try:
            self._channel.send("ready", **_measure(network_set(self._network, self._engine_options)))
        except Exception as error:
            self._channel.send("broken", failure=describe_failure(error))
            return
        gc.collect()  # the graphs that were compiled for the measurement are larger than a picture
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        while True:
            self._run_next(*self._ready.get())

    def _listen(self) -> None:
        """Receive what the server wants."""
        for message in self._channel.messages():
            if message["do"] == "cancel":
                task = self._tasks.get(message["id"])
                if task:
                    task.canceled.set()
                continue
            task = _Task(
                id=message["id"],
                source=Path(message["source"]),
                network=message["network"],
                requested=message["options"],
            )
            self._tasks[task.id] = task
            self._ready.put((task, self._preparer.submit(self._prepare, task)))
        os._exit(0)  # the server has ended, so nobody needs what is in progress

    def _prepare(self, task: _Task) -> "_Decoded":
        """Decode a picture and select its network; in a thread of its own."""
        task.check()
        options = build_options(task.requested, self._limits)
        header = read_header(task.source, limits=options.limits, number=options.frame)
        networks = self._networks_called(task.network)
        largest = most_enlarged(header, None, options)
        prepared = prepare(header, scale=networks.scale_for(options.requested_size, *largest), options=options)
        try:
            selection = select(networks, header, prepared)
        except BaseException:
            prepared.close()
            raise
        return _Decoded(options, prepared, selection, largest, time.monotonic())

    def _run_next(self, task: _Task, future: "Future[_Decoded]") -> None:
        """Run the network on a picture."""
        decoded: _Decoded | None = None
        try:
            decoded = future.result()
            task.check()
            engine = decoded.selection.engine(decoded.options.requested_size, *decoded.largest)
            prepared = decoded.without_waiting()
            pending = run(prepared, engine, selection=decoded.selection, on_progress=self._reporter(task))
        except BaseException as error:
            if decoded:
                decoded.prepared.close()
            self._end(task, error)
            return
        self._finisher.submit(self._finish, task, decoded.options, pending)

    def _finish(self, task: _Task, options: UpscaleOptions, pending: Pending) -> None:
        """Wait for the encoder and verify if that is wanted; in a thread of its own."""
        try:
            report = pending.finish()
            task.check()
            report = with_verification(report, options, on_progress=lambda _done, _total: task.check())
            task.check()
        except BaseException as error:
            pending.cancel()
            self._end(task, error)
            return
        del self._tasks[task.id]
        self._channel.send("done", id=task.id, report=_for_server(report))

    def _end(self, task: _Task, error: BaseException) -> None:
        """Tell the server that there will be no result."""
        del self._tasks[task.id]
        if task.canceled.is_set():
            self._channel.send("canceled", id=task.id)
        else:
            self._channel.send("failed", id=task.id, failure=describe_failure(error))

    def _networks_called(self, network: str) -> NetworkSet | AutomaticNetworks:
        if network not in self._networks:
            self._networks[network] = network_set(network, self._engine_options)
        return self._networks[network]

    def _reporter(self, task: _Task) -> Callable[[int, int], None]:
        reported = 0.0

        def report(done: int, total: int) -> None:
            nonlocal reported
            task.check()
            now = time.monotonic()
            if now - reported >= REPORT_SECONDS:
                reported = now
                self._channel.send("progress", id=task.id, progress=done / max(1, total))

        return report


def _measure(networks: NetworkSet | AutomaticNetworks) -> dict[str, Any]:
    """Open a network, and return its engine, scale and seconds per unit of work (`work_of`), measured on noise."""
    engine = networks.engine(networks.default_scale, bits=8)
    noise = np.random.default_rng(0).integers(0, 256, (SAMPLE, SAMPLE, 3), np.uint8)
    size = Size(scale=engine.scale)
    upscale_array(engine, noise, size=size)  # which compiles its graph
    began = time.perf_counter()
    upscale_array(engine, noise, size=size)
    seconds = time.perf_counter() - began
    work = work_of((SAMPLE, SAMPLE), (SAMPLE * engine.scale, SAMPLE * engine.scale))
    return {"engine": describe(engine), "scale": engine.scale, "seconds_per_work": seconds / work}


def _for_server(report: Report) -> dict[str, Any]:
    """Return a report as JSON, with the size of the result."""
    return {**asdict(report), "bytes": report.target.stat().st_size}


def _use_cores(cores: list[int]) -> None:
    """Restrict this process to a group of cores, where the system can."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def main() -> None:
    """Work until the server ends."""
    channel = become_child()
    setup = next(channel.messages(), None)
    if setup is None:
        return
    _use_cores(setup["cores"])
    try:
        worker = EngineWorker(channel, setup)
    except MafdnError as error:
        channel.send("broken", failure=describe_failure(error))
        return
    worker.run()


if __name__ == "__main__":
    main()
