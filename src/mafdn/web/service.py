"""Everything a server consists of, behind its routes."""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Generator
from typing import Any

import filelock
from starlette.requests import Request

from mafdn._support.atomic import printable
from mafdn.errors import MafdnError
from mafdn.web.faults import ClosingError, RefusedError, storing
from mafdn.web.http.sessions import Sessions
from mafdn.web.http.uploads import Upload, body_chunks
from mafdn.web.metrics import Metrics
from mafdn.web.options import build_options, choose_network, parse_options
from mafdn.web.settings import ServerSettings
from mafdn.web.work.describe import no_room
from mafdn.web.work.jobs import Job
from mafdn.web.work.queue import Queue
from mafdn.web.work.store import JobStore
from mafdn.web.work.viewers import ViewerProcess
from mafdn.weights.resolve import resolve

logger = logging.getLogger("mafdn.web")
CHECK_SECONDS = 2.0
"""Time between two looks at old jobs and processes that hang."""
INSPECT_SECONDS = 30.0
"""Longest time for the header of a picture."""
VIEW_SECONDS = 120.0
"""Longest time for a preview, which may decode a large picture first."""
LOCK = "lock"
"""File that marks the folder of a server, and that one of them is running."""
MOST_UPLOADS = 32
"""Uploads at the same time."""


class Service:
    """A server without its routes.

    Args:
        settings: The settings.

    Attributes:
        store: All jobs.
        queue: Those that wait and run.
        viewer: Draws previews.
        metrics: Figures for Prometheus.
        sessions: Checks the token.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.sessions = Sessions(settings.token, settings.port)
        self.store = JobStore(settings.folder, int(settings.disk_mb * 1e6))
        self.queue = Queue(settings, self.store, self.metrics)
        self.viewer = ViewerProcess(settings.folder, settings.limits, VIEW_SECONDS)
        self._inspector = ViewerProcess(settings.folder, settings.limits, INSPECT_SECONDS)
        self._lock = filelock.FileLock(settings.folder / LOCK, timeout=0)
        self._uploads = 0
        self._checking: asyncio.Task[None] | None = None
        self._watch()

    async def start(self) -> None:
        """Take the folder, go on with the jobs in it, and start the processes.

        Raises:
            MafdnError: If the folder cannot be used, or another server uses it.
        """
        folder = self.settings.folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (folder / LOCK).exists() and any(folder.iterdir()):
                raise MafdnError(f"{printable(folder)} is not empty and no folder of a server; give a new --folder")
            self._lock.acquire()
            self._remove_left_over()
            unfinished = self.store.load()
        except filelock.Timeout:
            raise MafdnError(f"another server uses {printable(folder)}; give this one another --folder") from None
        except OSError as error:
            raise MafdnError.from_os_error(f"cannot use {printable(folder)}", error) from None
        if unfinished:
            logger.warning("going on with %d pictures of an earlier run", len(unfinished))
        await self.queue.start(unfinished)
        self._checking = asyncio.create_task(self._check())

    async def close(self) -> None:
        """Finish what runs and end the processes; what waits stays in the folder for the next start."""
        if self._checking:
            self._checking.cancel()
        await self.queue.close(self.settings.limits.seconds)
        await self.viewer.close()
        await self._inspector.close()
        self._remove_left_over()
        for job in list(self.store):
            if job.ephemeral:
                self.store.forget(job)
        self._lock.release()

    def begin_closing(self) -> None:
        """Begin to close: nothing new is begun, and event streams end."""
        self.queue.begin_closing()
        self.queue.events.close()

    def hurry(self) -> None:
        """End at once: pictures in progress are queued again by the next start."""
        self.queue.hurry()

    @contextlib.contextmanager
    def upload_slot(self) -> Generator[None]:
        """Reserve a place in the queue for the time of an upload.

        Raises:
            RefusedError: With status 429 if the queue is full or too many uploads are in progress; 503 if the server
                closes or has no engine.
        """
        self.check_open()
        if self._uploads >= MOST_UPLOADS:
            raise RefusedError(429, "too many uploads at the same time; try again later", retry_after=2)
        most = self.settings.queue
        if self.queue.queued + self._uploads >= most:
            retry_after = self.queue.retry_after()
            raise RefusedError(429, f"the queue is full ({most} pictures); try again later", retry_after=retry_after)
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    def check_room(self, count: int) -> None:
        """Raise `RefusedError` with status 429 if there is no room for so many pictures of one upload."""
        most = self.settings.queue
        if self.queue.queued + self._uploads - 1 + count > most:
            retry_after = self.queue.retry_after()
            raise RefusedError(
                429, f"the queue has no room for {count} pictures ({most} in all)", retry_after=retry_after
            )

    def check_open(self) -> None:
        """Raise `RefusedError` with status 503 if nothing new is begun any more."""
        if self.queue.closing:
            raise ClosingError
        processes = self.queue.processes
        if processes and all(process.broken for process in processes):
            raise RefusedError(503, processes[0].broken or "no engine", retry_after=60)

    def check_disk(self, count: int) -> None:
        """Raise `RefusedError` with status 429 if there cannot be disk space for so many bytes; removes nothing."""
        if not self.queue.could_make_room(count):
            raise RefusedError(429, no_room(self.settings), retry_after=60)

    def reserve(self, count: int) -> None:
        """Reserve disk space; raises `RefusedError` with status 429 if there is none."""
        if not self.queue.make_room(count):
            raise RefusedError(429, no_room(self.settings), retry_after=60)
        self.store.reserve(count)

    async def make_job(self, upload: Upload, *, ephemeral: bool) -> Job:
        """Make a job of an upload: check its options, and read the header of its picture.

        Raises:
            MafdnError: What upscaling the picture would raise, as far as the header shows.
            RefusedError: If the server is closing, or the job cannot be stored.
        """
        job = Job(
            id=upload.folder.name,
            name=upload.label.name,
            folder=upload.label.folder,
            source_name=upload.source_name,
            bytes=upload.bytes,
            ephemeral=ephemeral,
        )
        await self.set_options(job, parse_options(upload.options))
        self.check_open()
        self.metrics.uploaded(upload.bytes)
        with storing():
            self.store.add(job)
        return job

    async def set_options(self, job: Job, given: dict[str, Any]) -> None:
        """Give a job its options, and find what follows from the header of its picture; raises `MafdnError`."""
        settings = self.settings
        network = choose_network(given, settings.networks, settings.default_network)
        build_options(given, settings.limits)
        source = self.store.source(job)
        with self._worded(job):
            answer, _ = await self._inspector.ask(
                "inspect", source=str(source), options=given, scale=self.default_scale(network)
            )
        job.options, job.network = given, network
        job.inspected(answer["found"])

    def default_scale(self, network: str) -> int | None:
        """Return the factor by which a network enlarges if no size is given; `None` before it has been opened."""
        source = resolve(self.settings.networks[network])
        if source.kind == "shipped":
            return source.scale or 4
        return self.queue.default_scale

    async def draw(self, request: Request, job: Job, do: str, **message: Any) -> bytes:
        """Draw a preview, if the client still wants it when its turn comes; raises `MafdnError` and `RefusedError`."""
        async for _ in body_chunks(request):  # only at its end can be seen whether the client has gone
            raise RefusedError(413, "the request must have no body")
        with self._worded(job):
            _, payload = await self.viewer.ask(do, is_unwanted=request.is_disconnected, **message)
        return payload

    async def crop(self, job: Job, width: int, height: int) -> None:
        """Crop the result of a job, a PNG file that covers this size, to its middle; raises `MafdnError`."""
        path = self.store.result(job)
        if path is None or job.new_size == (width, height):
            return
        with self._worded(job):
            await self.viewer.ask("crop", path=str(path), size=(width, height))
        job.new_size, job.result_bytes = (width, height), path.stat().st_size

    @contextlib.contextmanager
    def _worded(self, job: Job) -> Generator[None]:
        """Put labels in place of the paths of this server in errors about a job."""
        try:
            yield
        except MafdnError as error:
            error.args = (self.queue.worded(job, str(error)),)
            raise

    def _remove_left_over(self) -> None:
        """Remove the temporary folders of viewer processes that were killed."""
        for left in self.settings.folder.glob("viewer-*"):
            shutil.rmtree(left, ignore_errors=True)

    def _watch(self) -> None:
        queue, watch = self.queue, self.metrics.watch
        watch("queued", "Pictures that wait.", lambda: queue.queued)
        watch("running", "Pictures in engine processes.", lambda: len(queue.running))
        watch("pixels_in_flight", "Pixels of the results of these.", lambda: queue.pixels_in_flight)
        watch("uploads", "Uploads in progress.", lambda: self._uploads)
        watch("disk_bytes", "Bytes of uploads and results.", lambda: self.store.used_bytes)
        watch("engines", "Engine processes that are ready.", lambda: sum(p.ready for p in queue.processes))
        watch("event_streams", "Clients that listen to events.", lambda: queue.events.clients)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                self.queue.check()
            except Exception:
                logger.exception("cannot look after the jobs")
