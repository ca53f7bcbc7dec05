"""The server's side of one engine process: what it works on, and whether it still does."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from mafdn._support.machine import usable_cores
from mafdn.web.processes.child import Child, Message
from mafdn.web.settings import ServerSettings
from mafdn.web.work.jobs import Job
from mafdn.web.work.viewers import limits_of

logger = logging.getLogger("mafdn.web")
AT_ONCE = 3
"""Pictures in a process: one is decoded, one is in the network, one is encoded."""
CANCEL_SECONDS = 10.0
"""Time after which a process that does not stop a picture is ended."""
GRACE_SECONDS = 30.0
"""Time beyond the limit of a picture after which a process that says nothing is ended."""
RETRY_SECONDS = 5.0
"""Time until another try if the system cannot start a process."""
MOST_FAILED_STARTS = 3
"""Starts that fail one after the other before the process is given up."""


class EngineProcess:
    """One engine process, which is started again if it ends.

    Args:
        settings: The settings of the server.
        number: Its number, from 0.
        on_message: Called as `on_message(process, message)`.
        on_lost: Called as `on_lost(process, jobs, code, deliberate)` when it has ended with these jobs; on purpose
            if one of them was canceled and did not stop.
    """

    def __init__(
        self,
        settings: ServerSettings,
        number: int,
        *,
        on_message: "Callable[[EngineProcess, Message], None]",
        on_lost: "Callable[[EngineProcess, list[Job], int, bool], None]",
    ) -> None:
        self._settings, self._number = settings, number
        self._on_message, self._on_lost = on_message, on_lost
        self._child: Child | None = None
        self._closing = False
        self._failed_starts = 0
        self._heard = time.monotonic()
        self._starting: asyncio.Task[None] | None = None
        self.jobs: dict[str, Job] = {}
        self.canceling: dict[str, float] = {}
        self.ready = False
        self.broken: str | None = None
        """Why the process cannot be started; `None` if it can."""
        self.restarts = 0

    async def start(self) -> None:
        """Start the process; it reports when its network is open."""
        settings, cores = self._settings, core_group(self._number, self._settings.processes)
        threads = settings.engine.threads or thread_share(cores, settings.processes)
        setup = {
            "engine": asdict(replace(settings.engine, threads=threads)),
            "limits": limits_of(settings.limits),
            "network": settings.networks[settings.default_network],
            "cores": cores,
        }
        self._heard = time.monotonic()
        self._child = await Child.start("engine", setup, on_message=self._received, on_end=self._ended)

    @property
    def idle(self) -> bool:
        """Whether it works on nothing."""
        return not self.jobs

    @property
    def has_room(self) -> bool:
        """Whether it takes another picture; one that may have ended a process before is alone."""
        alone = any(job.attempts for job in self.jobs.values())
        return self.broken is None and self.ready and len(self.jobs) < AT_ONCE and not alone

    def run(self, job: Job, source: str) -> None:
        """Hand over a picture."""
        assert self._child is not None
        if not self.jobs:
            self._heard = time.monotonic()
        network = self._settings.networks[job.network]
        self.jobs[job.id] = job
        self._child.send({"do": "run", "id": job.id, "source": source, "network": network, "options": job.options})

    def cancel(self, job: Job) -> None:
        """Ask it to stop a picture."""
        assert self._child is not None
        self.canceling[job.id] = time.monotonic() + CANCEL_SECONDS
        self._child.send({"do": "cancel", "id": job.id})

    def check(self) -> None:
        """End the process if it does not do what it should; to be called now and then."""
        now = time.monotonic()
        seconds = self._settings.limits.seconds
        stuck = self.jobs and seconds is not None and now - self._heard > seconds + GRACE_SECONDS
        if self._child and (stuck or any(now > until for until in self.canceling.values())):
            self._child.kill()

    def abandon(self) -> None:
        """End the process for good, whatever it does."""
        self._closing = True
        self.jobs.clear()
        if self._starting:
            self._starting.cancel()
        if self._child:
            self._child.kill()

    async def close(self) -> None:
        """End the process for good, and wait for that."""
        self.abandon()
        if self._child:
            await self._child.wait()

    def _received(self, message: Message, payload: bytes) -> None:
        del payload
        self._heard = time.monotonic()
        event = message["event"]
        if event == "ready":
            self.ready, self._failed_starts = True, 0
        elif event == "broken":
            self.broken = message["failure"]["error"]
        elif event in ("done", "failed", "canceled"):
            self.canceling.pop(message["id"], None)
        self._on_message(self, message)

    def _ended(self, code: int) -> None:
        jobs, self.jobs = list(self.jobs.values()), {}
        deliberate = bool(self.canceling)
        self.canceling.clear()
        was_ready, self.ready = self.ready, False
        self._failed_starts = 0 if was_ready else self._failed_starts + 1
        if self._closing:
            return
        if self.broken is None and self._failed_starts >= MOST_FAILED_STARTS:
            self.broken = f"the engine process ends at its start (exit code {code}); see the log of the server"
        if self.broken is None:
            self.restarts += 1
            self._starting = asyncio.get_running_loop().create_task(self._start_again())
        self._on_lost(self, jobs, code, deliberate)

    async def _start_again(self) -> None:
        """Start the process, as soon as the system lets it: often it has ended because memory has run out."""
        while True:
            try:
                await self.start()
            except OSError as error:
                logger.error("cannot start an engine process: %s", error.strerror or error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return


def core_group(number: int, groups: int) -> list[int]:
    """Return the cores of one of several groups of equal size.

    It is empty for all cores: with one group or too few cores, where the system does not tie processes to cores, and
    under a CPU quota, which is used up on any cores.
    """
    if groups < 2 or not hasattr(os, "sched_getaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < groups or usable_cores() < len(cores):
        return []
    return cores[len(cores) * number // groups : len(cores) * (number + 1) // groups]


def thread_share(cores: Sequence[int], processes: int) -> int | None:
    """Return the threads of one of several processes that is tied to these cores, if any; `None` for all cores."""
    if processes < 2:
        return None
    return len(cores) or max(1, usable_cores() // processes)
