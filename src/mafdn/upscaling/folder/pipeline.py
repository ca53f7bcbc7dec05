"""Many pictures through one network, which should never have to wait.

One thread or several decode the next pictures, the calling thread runs the network, and others wait for encoders and
rename results. Only the calling thread decides what is begun, and calls back.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from pathlib import Path

from mafdn._support.interrupts import undivided
from mafdn._support.machine import available_mib
from mafdn._support.progress import ignore
from mafdn.errors import MafdnError
from mafdn.inference import Engine
from mafdn.pictures.reading import read_header
from mafdn.upscaling.folder.bookkeeping import InFlight, begin, describe_error, fault_of, finish, undo
from mafdn.upscaling.folder.job import Job
from mafdn.upscaling.folder.manifest import Manifest
from mafdn.upscaling.folder.remaining import RemainingTime, clock
from mafdn.upscaling.folder.report import FolderItem, FolderProgress
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet, Selection
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.picture import Pending, Prepared, prepare, run, select

WAITING = 1
"""Most pictures that wait before or after the network, in addition to those being decoded or encoded."""
MOST_PIXELS = 800_000_000
"""Most pixels of results in memory together; a larger picture is processed alone."""
BYTES_PER_PIXEL = 12
"""Memory assumed for a pixel of a result; it may take half as much again."""


class _CallbackError(BaseException):
    """An error of a callback, which is no picture's failure."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Pipeline:
    """One run over many pictures.

    Args:
        jobs: The pictures.
        networks: The networks to use.
        manifests: The locked manifests by folder.
        options: How pictures are upscaled; `output` and `overwrite` are those of the jobs.
        jobs_at_once: How many pictures are decoded, and how many encoded, at the same time.
        later: What is done after these pictures, as part of the progress.
        on_progress: Called after every tile.
        on_item: Called with the outcome of every picture as soon as it is known. An error that it raises ends the run.

    Attributes:
        items: The outcome of every picture, filled by `run`.
        stopped: Why the run ended before its last picture; `None` if it did not.
        network_seconds: Time spent in the network.
        waited_seconds: Time during which the network waited for decoding or encoding.
    """

    def __init__(
        self,
        jobs: tuple[Job, ...],
        networks: NetworkSet | AutomaticNetworks,
        manifests: Mapping[Path, Manifest],
        options: UpscaleOptions,
        *,
        jobs_at_once: int = 1,
        later: Sequence[Job] = (),
        on_progress: Callable[[FolderProgress], None] = ignore,
        on_item: Callable[[FolderItem], None] = ignore,
    ) -> None:
        self.items: list[FolderItem] = []
        self.stopped: str | None = None
        self.network_seconds = self.waited_seconds = 0.0
        self._networks, self._manifests, self._options = networks, manifests, options
        self._on_progress, self._on_item = on_progress, on_item
        self._most = jobs_at_once + WAITING
        self._remaining = RemainingTime(job.work for job in (*jobs, *later))
        self._waiting = deque(jobs)
        self._ahead: deque[tuple[Job, Future[tuple[InFlight, Prepared, Selection]]]] = deque()
        self._behind: deque[tuple[Job, Pending, Future[tuple[FolderItem, Exception | None]]]] = deque()
        self._stopping = threading.Event()
        self._count = len(jobs) + len(later)
        self._number = self._pixels_done = 0
        self._pixels_total = sum(job.pixels for job in (*jobs, *later))
        self._preparer = ThreadPoolExecutor(jobs_at_once, "prepare")
        self._finisher = ThreadPoolExecutor(jobs_at_once, "finish")

    def run(self) -> None:
        """Upscale all pictures; a failure ends only its own, unless it concerns the folder or the network.

        Ctrl-C (`KeyboardInterrupt`) ends the run after the current tile. Results that are being written are finished
        first, or abandoned at a second Ctrl-C.

        Raises:
            MafdnError: If a network cannot be opened.
        """
        try:
            self._run()
        except _CallbackError as failed:
            raise failed.error from None

    def _run(self) -> None:
        try:
            while self.stopped is None and (self._waiting or self._ahead):
                self._decode_ahead()
                if self._ahead:
                    self._run_next()
                self._collect(self._most if self._ahead or not self._waiting else max(0, len(self._behind) - 1))
            self._collect(0)
        except BaseException:
            self._stopping.set()
            raise
        finally:
            try:
                left = self._release_ahead()
                self._collect(0)
                for item in left:
                    self._notify(item)
            except BaseException:
                for _, pending, future in self._behind:
                    if future.cancel():
                        pending.cancel()
                wait([future for *_, future in self._behind])  # the one that cannot be cancelled is nearly finished
                raise
            finally:
                self._preparer.shutdown(wait=False, cancel_futures=True)
                self._finisher.shutdown(wait=False, cancel_futures=True)

    def _run_next(self) -> None:
        """Run the network on the next picture, which stays the first of those ahead until it is among those behind."""
        job, future = self._ahead[0]
        # While the first picture is decoded, unless it decides which network that is.
        engine = None if self._networks.automatic else self._open(job)
        self._number += 1
        self._report(job, 0.0)
        began = time.perf_counter()
        try:
            in_flight, prepared, selection = future.result()
        except Exception as error:
            self._fail(job, error)
            return
        finally:
            self.waited_seconds += time.perf_counter() - began
        engine = engine or self._open(job, selection)

        def tick(done: int, total: int) -> None:
            self._decode_ahead(running=True)
            self._collect(len(self._behind))
            self._report(job, done / total)

        self._decode_ahead(running=True)
        manifest = self._manifests[job.home]
        finishing = partial(finish, options=self._options, on_progress=self._check_stopping)
        began = time.perf_counter()
        try:
            pending = run(prepared, engine, selection=selection, on_progress=tick)
            with undivided():
                self._behind.append((job, pending, self._finisher.submit(finishing, job, manifest, in_flight, pending)))
                self._ahead.popleft()
        except Exception as error:
            undo(manifest, in_flight)
            self._fail(job, error)
            return
        finally:
            self.network_seconds += time.perf_counter() - began
        self.network_seconds -= pending.waited_seconds
        self.waited_seconds += pending.waited_seconds
        self._pixels_done += job.pixels
        self._remaining.done(job.work)

    def _open(self, job: Job, selection: Selection | None = None) -> Engine:
        """Return the network for a picture; the time for opening it is not counted to any picture."""
        opening = clock()
        if selection is None:
            engine = self._networks.engine(job.scale, bits=job.bits)
        else:
            engine = selection.engine(self._options.requested_size, *job.sizes.most_enlarged)
        self._remaining.exclude(clock() - opening)
        return engine

    def _check_stopping(self, _done: int, _total: int) -> None:
        """Raise `MafdnError` in a thread that verifies a result if the run is ending early."""
        if self._stopping.is_set():
            raise MafdnError("the run was stopped")

    def _decode_ahead(self, *, running: bool = False) -> None:
        """Start decoding the next pictures, as far as memory allows beside those in progress.

        Args:
            running: Whether the first of those ahead is in the network.
        """
        limited = self._options.limits.seconds is not None  # then no picture must spend its time waiting
        if running and limited:
            return
        while self._waiting and len(self._ahead) - running < (1 if limited else self._most):
            in_memory = [job for job, *_ in self._ahead] + [job for job, _, future in self._behind if not future.done()]
            pixels = sum(job.pixels for job in in_memory) + self._waiting[0].pixels
            if in_memory and pixels > _pixel_budget():
                return
            with undivided():
                job = self._waiting.popleft()
                self._ahead.append((job, self._preparer.submit(self._prepare, job)))

    def _prepare(self, job: Job) -> tuple[InFlight, Prepared, Selection]:
        """Record that the picture is begun, decode it and select its network; runs in the preparing thread."""
        manifest = self._manifests[job.home]
        in_flight = begin(job, manifest)
        options = replace(self._options, output=job.output, overwrite=job.snapshot is not None)
        try:
            header = read_header(job.source, limits=options.limits, number=options.frame)  # it may have changed
            prepared = prepare(header, job.target, scale=job.scale, options=options, temporary=in_flight.temporary)
            try:
                selection = select(self._networks, header, prepared)
            except BaseException:
                prepared.close()
                raise
        except BaseException:
            undo(manifest, in_flight)
            raise
        return in_flight, prepared, selection

    def _collect(self, most: int) -> None:
        """Collect finished results, and wait until at most `most` are unfinished."""
        while self._behind and (len(self._behind) > most or self._behind[0][2].done()):
            job, _, future = self._behind[0]
            began = time.perf_counter()
            item, error = future.result()
            if self._ahead or self._waiting:
                self.waited_seconds += time.perf_counter() - began
            with undivided():
                self._behind.popleft()
                self._add(item)
            if error is not None:
                self._stop_if_all_would_fail(job, error)

    def _fail(self, job: Job, error: Exception) -> None:
        """Report the failure of the first picture ahead."""
        self._pixels_total -= job.pixels
        self._remaining.drop(job.work)
        with undivided():
            self._ahead.popleft()
            self._add(job.item(status="failed", reason=describe_error(job, error)))
        self._stop_if_all_would_fail(job, error)
        self._report(job, 0.0)

    def _add(self, item: FolderItem) -> None:
        self.items.append(item)
        self._notify(item)

    def _notify(self, item: FolderItem) -> None:
        try:
            self._on_item(item)
        except Exception as error:
            self._on_item = ignore
            raise _CallbackError(error) from None

    def _stop_if_all_would_fail(self, job: Job, error: Exception) -> None:
        self.stopped = self.stopped or fault_of(job, error)

    def _release_ahead(self) -> list[FolderItem]:
        """Release what was decoded but not run, and return the outcome of what is left."""
        for job, future in self._ahead:
            if not future.cancel():
                try:
                    in_flight, prepared, _ = future.result()
                except Exception:
                    continue  # it would have failed in its turn, and will do so in the next run
                prepared.close()
                undo(self._manifests[job.home], in_flight)
        left = [*(job for job, _ in self._ahead), *self._waiting]
        self._ahead.clear()
        self._waiting.clear()
        items = [job.item(status="left") for job in left]
        self.items += items
        return items

    def _report(self, job: Job, share: float) -> None:
        self._on_progress(
            FolderProgress(
                phase="upscaling",
                name=job.source.name,
                number=self._number,
                count=self._count,
                done=self._pixels_done + round(share * job.pixels),
                total=self._pixels_total,
                remaining_seconds=self._remaining.seconds(job.work, share),
            )
        )


def _pixel_budget() -> int:
    """Return how many pixels of results may be in memory together."""
    free = available_mib()
    return MOST_PIXELS if free is None else min(MOST_PIXELS, int(free * 2**20 / BYTES_PER_PIXEL))
