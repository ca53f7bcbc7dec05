"""Many pictures through one network, which never waits where it can be helped.

Public names: :class:`Pipeline`.

One thread decodes the next pictures, the calling one runs the network, and one waits for encoders and gives results
their names. Only the calling thread decides what is begun.
"""

import errno
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mafdn._support.atomic import DISK_ERRORS, sha256, shown
from mafdn._support.machine import available_mib
from mafdn.errors import EncodeError, MafdnError
from mafdn.pictures.formats import sniff
from mafdn.pictures.spill import LEAST_ROOM
from mafdn.pictures.writing import temporary_name
from mafdn.upscaling.folder.engines import Networks
from mafdn.upscaling.folder.manifest import Entry, Manifest
from mafdn.upscaling.folder.plan import Job, Request
from mafdn.upscaling.folder.report import Item, Standing
from mafdn.upscaling.picture import Pending, Prepared, prepare, run

AHEAD, BEHIND = 2, 2
"""Pictures that are decoded before their turn, and that are still written after it."""
IN_HAND = 800_000_000
"""The most pixels of results that are in hand together; a larger picture is alone."""
PIXEL = 12
"""Bytes that a pixel in hand may take, and half as many again."""
PLAIN = 3
"""Bytes of a result's pixel before it is encoded."""

Tell = Callable[[Standing], None]


@dataclass(frozen=True)
class _Begun:
    """What the manifest says of a picture in hand, and what it said before."""

    entry: Entry
    before: Entry | None


class Pipeline:
    """One run over ``jobs``; :meth:`run` fills ``items``, ``stopped`` and the times in seconds.

    ``network_seconds`` is what the network took, ``waited_seconds`` how long it had nothing to do.
    """

    def __init__(
        self,
        jobs: tuple[Job, ...],
        request: Request,
        networks: Networks,
        manifests: Mapping[Path, Manifest],
        *,
        on_progress: Tell = lambda _: None,
    ) -> None:
        self.items: list[Item] = []
        self.stopped: str | None = None
        self.network_seconds = self.waited_seconds = 0.0
        self._request, self._networks, self._manifests, self._tell = request, networks, manifests, on_progress
        self._waiting = deque(jobs)
        self._ahead: deque[tuple[Job, Future[tuple[_Begun, Prepared]]]] = deque()
        self._behind: deque[tuple[Job, Pending, Future[tuple[Item, Exception | None]]]] = deque()
        self._count = len(jobs)
        self._number = self._done = 0
        self._total = sum(job.pixels for job in jobs)
        self._preparer = ThreadPoolExecutor(1, "prepare")
        self._finisher = ThreadPoolExecutor(1, "finish")

    def run(self) -> None:
        """Make all pictures; a failure ends only its own, unless it concerns the folder or the network.

        Ctrl-C (``KeyboardInterrupt``) ends it after the tile in hand; results that are being written are finished
        first, or given up at a second Ctrl-C. Raises :class:`MafdnError` where a network cannot be opened.
        """
        try:
            while self.stopped is None and (self._waiting or self._ahead):
                self._begin_ahead(None)
                if self._ahead:
                    self._one()
                self._collect(BEHIND if self._ahead or not self._waiting else max(0, len(self._behind) - 1))
            self._collect(0)
        finally:
            try:
                self._give_back()
                self._collect(0)
            except BaseException:
                for _, pending, future in self._behind:
                    if future.cancel():
                        pending.cancel()
                wait([future for *_, future in self._behind])  # the one that cannot be cancelled is near its end
                raise
            finally:
                self._preparer.shutdown(wait=False, cancel_futures=True)
                self._finisher.shutdown(wait=False, cancel_futures=True)

    def _one(self) -> None:
        """The next picture through the network."""
        job, future = self._ahead[0]
        engine = self._networks.engine(job.scale)
        self._number += 1
        self._say(job, 0.0)
        began = time.perf_counter()
        try:
            begun, prepared = future.result()
        except Exception as error:
            self._ahead.popleft()
            self._fail(job, error)
            return
        finally:
            self.waited_seconds += time.perf_counter() - began
        self._ahead.popleft()

        def tick(done: int, total: int) -> None:
            self._begin_ahead(job)
            self._say(job, done / total)

        self._begin_ahead(job)
        working = time.perf_counter()
        try:
            pending = run(prepared, engine, tile=self._request.tile, exact=self._request.exact, on_progress=tick)
        except BaseException as error:
            self._undo(job, begun)
            if not isinstance(error, Exception):
                self._waiting.appendleft(job)
                raise
            self._fail(job, error)
            return
        finally:
            self.network_seconds += time.perf_counter() - working
        self.network_seconds -= pending.waited_seconds
        self.waited_seconds += pending.waited_seconds
        self._done += job.pixels
        self._behind.append((job, pending, self._finisher.submit(self._finish, job, begun, pending)))

    def _begin_ahead(self, current: Job | None) -> None:
        """Have the next pictures decoded, as far as memory allows beside those in hand."""
        most = AHEAD if self._request.limits.seconds is None else 1  # so that none spends its time with waiting
        if current is not None and self._request.limits.seconds is not None:
            return
        while self._waiting and len(self._ahead) < most:
            in_hand = [job for job, *_ in self._ahead] + [job for job, _, future in self._behind if not future.done()]
            in_hand += [current] if current else []
            if in_hand and sum(job.pixels for job in in_hand) + self._waiting[0].pixels > _room():
                return
            job = self._waiting.popleft()
            self._ahead.append((job, self._preparer.submit(self._prepare, job)))

    def _collect(self, most: int) -> None:
        """Take what is written, and wait until at most ``most`` are not."""
        while self._behind and (len(self._behind) > most or self._behind[0][2].done()):
            job, _, future = self._behind[0]
            began = time.perf_counter()
            item, error = future.result()
            if self._ahead or self._waiting:
                self.waited_seconds += time.perf_counter() - began
            self._behind.popleft()
            self.items.append(item)
            if error is not None:
                self._see_folder(job, error)

    def _prepare(self, job: Job) -> tuple[_Begun, Prepared]:
        """In the preparing thread: note what is begun, and decode."""
        manifest, request = self._manifests[job.home], self._request
        sniff(job.source)  # a file that became a FIFO must not be opened
        if not job.home.is_dir():  # it is not made again: what was in it would be missing
            raise MafdnError(f"cannot write {shown(job.target)}: the folder {shown(job.home)} is gone")
        try:
            digest = sha256(job.source)
        except OSError as error:
            raise MafdnError.from_os_error(f"cannot read {shown(job.source)}", error) from None
        try:
            job.target.parent.mkdir(parents=True, exist_ok=True)
            before, temporary = manifest.find(job.target), temporary_name()
            entry = manifest.begin(
                job.target,
                source=job.source,
                source_sha256=digest,
                settings=job.settings,
                weights=job.weights,
                replaces=job.replaces,
                temporary=temporary,
            )
            begun = _Begun(entry, before)
        except OSError as error:
            raise MafdnError.from_os_error(f"cannot write {shown(job.target)}", error) from None
        try:
            prepared = prepare(
                job.source,
                job.target,
                scale=job.scale,
                size=request.size,
                strength=request.strength,
                output=job.output,
                limits=replace(request.limits, began=time.monotonic()),
                overwrite=job.seen is not None,
                temporary=temporary,
            )
        except BaseException:
            self._undo(job, begun)
            raise
        return begun, prepared

    def _finish(self, job: Job, begun: _Begun, pending: Pending) -> tuple[Item, Exception | None]:
        """In the finishing thread: wait for the encoder, and note what is there; with the error of what failed."""
        manifest = self._manifests[job.home]

        def seal(whole: Path) -> None:
            manifest.seal(job.target, sha256(whole))
            if job.seen is not None and not job.seen.still_holds(job.target):  # and without, only a free name is taken
                raise MafdnError(f"{shown(job.target)} was changed during this run and is left as it is; run it again")

        try:
            report = pending.finish(on_whole=seal)
        except Exception as error:
            self._undo(job, begun)
            return job.item(status="failed", reason=_reason(job, error)), error
        with suppress(OSError):  # its bytes are known: the next run will see that it has its name
            manifest.finish(job.target)
        item = job.item(
            status="done",
            reason=job.why,
            seconds=report.seconds,
            network_seconds=report.network_seconds,
            notes=report.notes,
        )
        return item, None

    def _undo(self, job: Job, begun: _Begun) -> None:
        """Have the manifest say what it said before: the old result, if there was one, is still there."""
        try:
            self._manifests[job.home].undo(begun.entry, begun.before)
        except OSError:
            return  # the disk is full, say: what was begun stays noted as such, and is made again

    def _fail(self, job: Job, error: Exception) -> None:
        self._total -= job.pixels
        self.items.append(job.item(status="failed", reason=_reason(job, error)))
        self._see_folder(job, error)
        self._say(job, 0.0)

    def _see_folder(self, job: Job, error: Exception) -> None:
        """End the run when what failed would fail for all others too."""
        room = PLAIN * job.pixels if isinstance(error, EncodeError) else LEAST_ROOM
        self.stopped = self.stopped or _trouble(job.home, error, room)

    def _give_back(self) -> None:
        """Free what was decoded and is not run."""
        for job, future in self._ahead:
            if not future.cancel():
                try:
                    begun, prepared = future.result()
                except Exception:
                    continue  # it would have failed in its turn, and will the next time
                prepared.close()
                self._undo(job, begun)
        left = [*(job for job, _ in self._ahead), *self._waiting]
        self._ahead.clear()
        self._waiting.clear()
        self.items += [job.item(status="left") for job in left]

    def _say(self, job: Job, share: float) -> None:
        done = self._done + round(share * job.pixels)
        self._tell(
            Standing(
                phase="upscaling",
                name=job.source.name,
                number=self._number,
                count=self._count,
                done=done,
                total=self._total,
            )
        )


def _room() -> int:
    """The most pixels that may be in hand."""
    free = available_mib()
    return IN_HAND if free is None else min(IN_HAND, int(free * 2**20 / PIXEL))


def _trouble(folder: Path, error: Exception, room: int) -> str | None:
    """What is wrong with a folder of results, if anything is.

    Encoders do not always tell that a disk is full: it is taken to be with less than ``room`` bytes left.
    """
    if not folder.is_dir():
        return f"the folder {shown(folder)} is gone"
    number = error.errno if isinstance(error, (MafdnError, OSError)) else None
    if number in DISK_ERRORS:
        return f"cannot write in {shown(folder)}: {os.strerror(number)}"
    try:
        if shutil.disk_usage(folder).free < room:
            return f"cannot write in {shown(folder)}: {os.strerror(errno.ENOSPC)}"
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(LEAST_ROOM))
            file.flush()
    except OSError as problem:
        return f"cannot write in {shown(folder)}: {problem.strerror or problem}"
    return None


def _reason(job: Job, error: Exception) -> str:
    """One line for what went wrong; a bug is one, too, and ends only its own picture."""
    if isinstance(error, MafdnError):
        return str(error)
    if isinstance(error, OSError):
        return f"cannot write {shown(job.target)}: {error.strerror or error}"
    return " ".join(f"{shown(job.source)}: internal error, {type(error).__name__}: {error}".split())
