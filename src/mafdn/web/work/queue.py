"""The queue: hands pictures to engine processes, and takes their results.

Everything here runs in the server's event loop, one step at a time.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from mafdn._support.machine import available_mib
from mafdn.errors import UsageError
from mafdn.upscaling.folder.pipeline import BYTES_PER_PIXEL
from mafdn.web.metrics import Metrics
from mafdn.web.options import choose_network
from mafdn.web.processes.child import Message, ending
from mafdn.web.settings import ServerSettings
from mafdn.web.work.describe import describe, expires_at, no_room, take_result, worded
from mafdn.web.work.engines import EngineProcess
from mafdn.web.work.events import Events
from mafdn.web.work.jobs import Job, State
from mafdn.web.work.speed import Speed
from mafdn.web.work.store import JobStore

logger = logging.getLogger("mafdn.web")
MOST_ATTEMPTS = 2
"""Engine processes that end while they work on a picture, after which it counts as the reason."""


class Queue:
    """The pictures that wait and those in progress.

    Args:
        settings: The settings of the server.
        store: All jobs.
        metrics: Counts what is done.
    """

    def __init__(self, settings: ServerSettings, store: JobStore, metrics: Metrics) -> None:
        self._settings, self._store, self._metrics = settings, store, metrics
        self._waiting: deque[Job] = deque()
        self._done: dict[str, asyncio.Future[None]] = {}
        self._forgotten: set[str] = set()
        self.events = Events(self.snapshot)
        self.speed = Speed()
        self.engine: str | None = None
        self.default_scale: int | None = None
        self.closing = False
        self.processes = [
            EngineProcess(settings, number, on_message=self._received, on_lost=self._lost)
            for number in range(settings.processes)
        ]

    async def start(self, unfinished: Iterable[Job]) -> None:
        """Start the engine processes, and queue the jobs of an earlier run, which may have had another network."""
        settings = self._settings
        for job in unfinished:
            try:
                choose_network({"network": job.network}, settings.networks, settings.default_network)
            except UsageError as error:
                self._fail(job, str(error), "UsageError")
            else:
                self._waiting.append(job)
        for process in self.processes:
            await process.start()

    @property
    def is_ready(self) -> bool:
        """Whether an engine process has opened its network; also without engine processes."""
        return not self.processes or any(process.ready for process in self.processes)

    @property
    def queued(self) -> int:
        """Number of pictures that wait."""
        return len(self._waiting)

    @property
    def running(self) -> list[Job]:
        """The pictures in engine processes."""
        return [job for process in self.processes for job in process.jobs.values()]

    @property
    def pixels_in_flight(self) -> int:
        """Pixels of the results of pictures in engine processes."""
        return sum(job.pixels for job in self.running)

    def summary(self) -> dict[str, Any]:
        """Return the state of the queue for clients."""
        return {"queued": self.queued, "running": len(self.running), "seconds": self.seconds()}

    def seconds(self) -> float | None:
        """Return the estimated time until the queue is empty; `None` if the speed is not known."""
        seconds = self.speed.seconds(job.work_left for job in (*self.running, *self._waiting))
        return None if seconds is None else round(seconds / max(1, len(self.processes)), 2)

    def retry_after(self) -> float:
        """Return the seconds after which a full queue should have room."""
        seconds = self.seconds() or 10.0
        return min(600, max(1, math.ceil(seconds / max(1, self.queued))))

    def snapshot(self) -> dict[str, Any]:
        """Return all jobs and the state of the queue for clients."""
        etas = self._etas()
        return {
            "jobs": [self.describe(job, eta=etas.get(job.id)) for job in self._store.listed()],
            "queue": self.summary(),
        }

    def describe(self, job: Job, *, eta: float | None = None) -> dict[str, Any]:
        """Return a job for clients; `eta` are the seconds until it is done, if they are known already."""
        if eta is None and not job.is_finished:
            eta = self._etas().get(job.id)
        return describe(job, self._settings, eta=eta)

    def _etas(self) -> dict[str, float]:
        """Estimate the seconds until each unfinished job is done; empty if the speed is not known."""
        return self.speed.etas((*self.running, *self._waiting), len(self.processes))

    def submit(self, job: Job) -> None:
        """Queue a job of the store."""
        self._waiting.append(job)
        self._publish(job)
        self.dispatch()

    async def wait_for(self, job: Job) -> None:
        """Wait until a job is finished, or the server closes."""
        if not (job.is_finished or self.closing):
            future = self._done.setdefault(job.id, asyncio.get_running_loop().create_future())
            await asyncio.shield(future)

    def cancel(self, job: Job) -> None:
        """Cancel a job that is not finished."""
        if job in self._waiting:
            self._waiting.remove(job)
        for process in self.processes:
            if job.id in process.jobs:
                process.cancel(job)
        self._finish(job, "canceled")
        self.dispatch()

    def forget(self, job: Job) -> None:
        """Remove a job and its files, canceling it first if need be; files in use are removed when they are free."""
        listed = not job.ephemeral
        if not job.is_finished:
            self.cancel(job)
        if self.is_stopping(job):
            self._forgotten.add(job.id)
            self._store.hide(job)
        else:
            self._store.forget(job)
        self._done.pop(job.id, None)
        if listed:
            self.events.publish("removed", {"id": job.id})

    def make_room(self, count: int) -> bool:
        """Return whether there is disk space for so many bytes, if need be without delivered results."""
        while not self._store.has_room(count):
            delivered = self._delivered()
            if not delivered:
                return False
            self.forget(min(delivered, key=lambda job: job.delivered or 0))
        return True

    def could_make_room(self, count: int) -> bool:
        """Return whether `make_room` would find disk space for so many bytes; removes nothing."""
        return self._store.has_room(count - sum(job.disk_bytes for job in self._delivered()))

    def _delivered(self) -> list[Job]:
        """The jobs whose results were downloaded."""
        return [job for job in self._store if job.is_finished and job.delivered]

    def deliver(self, job: Job) -> None:
        """Record that a result was downloaded; it is removed some time after that."""
        if self._store.get(job.id) is not job or job.state != "done":
            return  # it was removed or is done again, while the last bytes were on their way
        job.delivered = time.time()
        self._publish(job)

    def is_stopping(self, job: Job) -> bool:
        """Whether an engine process has yet to let go of a job that was canceled."""
        return any(job.id in process.jobs for process in self.processes)

    def worded(self, job: Job, text: str) -> str:
        """Return a message with labels in place of the paths of this server."""
        return worded(job, self._store.folder_of(job), self._settings.folder, text)

    def dispatch(self) -> None:
        """Hand waiting pictures to engine processes, as far as these, memory and disk space allow."""
        while self._waiting and not self.closing:
            job = self._waiting[0]
            process = min(
                (p for p in self.processes if p.has_room and (not job.attempts or p.idle)),
                key=lambda p: len(p.jobs),
                default=None,
            )
            if process is None or (self.running and self.pixels_in_flight + job.pixels > self._pixel_budget()):
                return
            if not self.make_room(1):
                if self.running or self._store.is_receiving:  # there may be room when these have ended
                    return
                self._fail(self._waiting.popleft(), no_room(self._settings), "MafdnError")
                continue
            self._waiting.popleft()
            job.state, job.started = "running", time.time()
            process.run(job, str(self._store.source(job)))
            self._publish(job)

    def check(self) -> None:
        """Look after processes that hang and jobs that are too old; to be called every few seconds."""
        for process in self.processes:
            process.check()
        now = time.time()
        for job in list(self._store):
            expires = expires_at(job, self._settings)
            if expires is not None and now > expires:
                self.forget(job)
        self.dispatch()

    async def close(self, seconds: float | None) -> None:
        """Finish what runs, within this time, and end the processes; what waits stays in the folder."""
        self.begin_closing()
        running = [self.wait_for_end(job) for job in self.running]
        if running:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*running), seconds)
        for process in self.processes:
            await process.close()

    def begin_closing(self) -> None:
        """Hand over no further pictures, and release whoever waits for one that does not run."""
        self.closing = True
        running = {job.id for job in self.running}
        for name, future in list(self._done.items()):
            if name not in running and not future.done():
                future.set_result(None)

    def hurry(self) -> None:
        """End the processes at once; what they were doing is queued again by the next start."""
        self.closing = True
        for process in self.processes:
            process.abandon()
        self.begin_closing()

    async def wait_for_end(self, job: Job) -> None:
        """Wait until an engine process has let go of a job."""
        while self.is_stopping(job):
            await asyncio.sleep(0.05)

    def _pixel_budget(self) -> int:
        """How many pixels of results may be in the engine processes together."""
        free, most = available_mib(), self._settings.pixels_in_flight
        return most if free is None else min(most, int(free * 2**20 / BYTES_PER_PIXEL))

    def _received(self, process: EngineProcess, message: Message) -> None:
        """Handle a message of an engine process."""
        event = message["event"]
        if event == "ready":
            self.engine, self.default_scale = message["engine"], message["scale"]
            self.speed.measured(message["seconds_per_work"])
        elif event == "broken":
            logger.error("engine process: %s", message["failure"]["error"])
            self._fail_all(message["failure"])
        elif event == "progress":
            job = process.jobs.get(message["id"])
            if job and not job.is_finished:
                job.progress = min(1.0, message["progress"])
                if not job.ephemeral:
                    progress = {
                        "id": job.id,
                        "progress": round(job.progress, 4),
                        "eta_seconds": self._etas().get(job.id),
                    }
                    self.events.publish("progress", progress)
            return
        elif event in ("done", "failed", "canceled"):
            self._ended(process.jobs.pop(message["id"]), message)
        self.dispatch()

    def _ended(self, job: Job, message: Message) -> None:
        """Handle the end of a picture."""
        if job.is_finished:  # canceled in the meantime
            self._clean(job)
        elif message["event"] == "done":
            try:
                self._take(job, message["report"])
            except Exception:  # perhaps with the options of another version
                logger.exception("internal error at the result of the job %s", job.id)
                self._store.remove_results(job)
                job.result_file = job.result_bytes = None
                self._fail(job, "internal error; the log of the server says more", "internal")
            else:
                self._finish(job, "done")
        else:
            self._fail(job, self.worded(job, message["failure"]["error"]), message["failure"]["fault"])

    def _take(self, job: Job, report: dict[str, Any]) -> None:
        """Take over the result of a picture, and count it."""
        pixels = take_result(job, report, self._store.folder_of(job), self._settings)
        self.speed.done(job.work, report["network_seconds"] + report["waited_seconds"])
        self._metrics.picture_done(pixels=pixels, seconds=report["seconds"])

    def _lost(self, process: EngineProcess, jobs: list[Job], code: int, deliberate: bool) -> None:
        """Handle the end of an engine process: a picture that was alone in it is taken for the reason."""
        if not deliberate:
            logger.error("an engine process ended (%s) with %d pictures in it", ending(code), len(jobs))
            self._metrics.engine_lost()
        open_jobs = [job for job in jobs if not job.is_finished]
        for job in jobs:
            if job.is_finished:
                self._clean(job)
        again: list[Job] = []
        for job in open_jobs:
            job.attempts += not deliberate
            if job.attempts and (len(open_jobs) == 1 or job.attempts >= MOST_ATTEMPTS):
                error = f"{job.name}: the engine process ended ({ending(code)}), perhaps for lack of memory"
                self._fail(job, error, "PictureError")
            else:
                self._store.remove_results(job)
                job.reset()
                again.append(job)
                self._publish(job)
        self._waiting.extendleft(reversed(again))
        if process.broken is not None:
            self._fail_all({"error": process.broken, "fault": "internal"})
        self.dispatch()

    def _fail_all(self, failure: dict[str, str]) -> None:
        """Fail what waits if no engine process is left that could do it."""
        if all(process.broken is not None for process in self.processes):
            while self._waiting:
                self._fail(self._waiting.popleft(), failure["error"], failure["fault"])

    def _fail(self, job: Job, error: str, fault: str) -> None:
        """Record that a job failed, with the message and the class of the error."""
        job.error, job.fault = error, fault
        self._finish(job, "failed")

    def _finish(self, job: Job, state: State) -> None:
        """Record the end of a job and tell everyone."""
        job.state, job.finished = state, time.time()
        self._metrics.job_finished(state)
        self._publish(job)
        future = self._done.pop(job.id, None)
        if future and not future.done():
            future.set_result(None)

    def _clean(self, job: Job) -> None:
        """Remove what a canceled job has left behind."""
        if job.id in self._forgotten:
            self._forgotten.discard(job.id)
            self._store.forget(job)
        else:
            self._store.remove_results(job)

    def _publish(self, job: Job) -> None:
        try:
            if job.state != "running":  # which would be queued again by the next start
                self._store.save(job)
        except OSError:
            logger.exception("cannot record the job %s", job.id)
        if not job.ephemeral:
            self.events.publish("job", self.describe(job))
            self.events.publish("queue", self.summary())
