"""The records of pictures in progress, and which failures end a run."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mafdn._support.atomic import DISK_ERRORS, printable, sha256, temporary_name
from mafdn._support.progress import ignore
from mafdn.errors import EncodeError, MafdnError
from mafdn.pictures.formats import sniff
from mafdn.pictures.spill import LEAST_ROOM
from mafdn.upscaling.folder.entries import Entry
from mafdn.upscaling.folder.job import Job
from mafdn.upscaling.folder.manifest import Manifest
from mafdn.upscaling.folder.report import FolderItem
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.picture import Pending, with_verification

RAW_PIXEL_BYTES = 3
"""Bytes of a pixel of a result before it is encoded."""


@dataclass(frozen=True)
class InFlight:
    """A picture in progress: its entry in the manifest, and the entry it replaced."""

    entry: Entry
    previous: Entry | None
    temporary: str
    """File name, beside the target, until the result is complete."""


def begin(job: Job, manifest: Manifest) -> InFlight:
    """Record that work on a picture begins; raises `MafdnError` if it cannot be read or its result not written."""
    if job.film_frames is None or not job.source.is_file():
        sniff(job.source)  # a file that became a FIFO must not be opened
    if not job.home.is_dir():
        raise MafdnError(f"cannot write {printable(job.target)}: the folder {printable(job.home)} is gone")
    try:
        digest = sha256(job.source)
    except OSError as error:
        raise MafdnError.from_os_error(f"cannot read {printable(job.source)}", error) from None
    try:
        _make_folders(job.home, job.target.parent)
        previous, temporary = manifest.find(job.target), temporary_name()
        entry = manifest.begin(
            job.target,
            source=job.source,
            source_sha256=digest,
            settings=job.settings,
            weights=job.weights,
            replaces=job.replaces,
            temporary=temporary,
        )
    except OSError as error:
        raise MafdnError.from_os_error(f"cannot write {printable(job.target)}", error) from None
    return InFlight(entry, previous, temporary)


def _make_folders(home: Path, folder: Path) -> None:
    """Create `folder` below `home`, but never `home` itself: if it is gone, so are the results in it."""
    for part in folder.relative_to(home).parts:
        home /= part
        home.mkdir(exist_ok=True)


def finish(
    job: Job,
    manifest: Manifest,
    in_flight: InFlight,
    pending: Pending,
    *,
    options: UpscaleOptions,
    on_progress: Callable[[int, int], None] = ignore,
) -> tuple[FolderItem, Exception | None]:
    """Wait for the encoder, verify the result if the options ask for it, and record it.

    Args:
        job: The picture.
        manifest: The manifest of its result.
        in_flight: Its record in the manifest.
        pending: The picture in the encoder.
        options: How it is upscaled.
        on_progress: Called during a verification, which ends if it raises `MafdnError`.

    Returns:
        The outcome and, if it failed, the error.
    """

    try:
        report = pending.finish(on_whole=partial(seal, job, manifest))
    except Exception as error:
        undo(manifest, in_flight)
        return job.item(status="failed", reason=describe_error(job, error)), error
    try:
        report = with_verification(report, options, on_progress=on_progress)
    except Exception as error:  # the result is complete all the same
        note = f"the result was not verified: {describe_error(job, error)}"
        report = replace(report, notes=(*report.notes, note))
    with suppress(OSError):  # its content is recorded, so the next run will recognize it
        manifest.finish(job.target, report.verification, report.weights)
    item = job.item(
        status="done",
        reason=job.reason,
        seconds=report.seconds,
        network_seconds=report.network_seconds,
        notes=(*job.notes, *report.notes),
        verification=report.verification,
        weights=report.weights,
    )
    return item, None


def seal(job: Job, manifest: Manifest, complete: Path) -> str:
    """Record the digest of a complete result, which is about to be renamed to its target, and return it.

    Raises:
        MafdnError: What it would replace was changed since the run began.
        OSError: The manifest cannot be written.
    """
    digest = sha256(complete)
    manifest.seal(job.target, digest)
    # Without a snapshot the file is only renamed to a free name.
    if job.snapshot is not None and not job.snapshot.still_holds(job.target):
        raise MafdnError(f"{printable(job.target)} was changed during this run and is kept; run the command again")
    return digest


def undo(manifest: Manifest, in_flight: InFlight) -> None:
    """Restore the previous entry: an old result, if there was one, is still at the target."""
    with suppress(OSError):  # such as a full disk: the picture stays recorded as begun, and is upscaled again
        manifest.undo(in_flight.entry, in_flight.previous)


def fault_of(job: Job, error: Exception) -> str | None:
    """Return why no further picture can be written after this error, or `None` if it concerns only this one."""
    return folder_fault(job.home, error, RAW_PIXEL_BYTES * job.pixels if isinstance(error, EncodeError) else LEAST_ROOM)


def folder_fault(folder: Path, error: Exception, least_room: int) -> str | None:
    """Return what is wrong with a folder of results, if anything is.

    Encoders do not always report that a disk is full: it is assumed to be with less than `least_room` bytes free.
    """
    if not folder.is_dir():
        return f"the folder {printable(folder)} is gone"
    number = error.errno if isinstance(error, (MafdnError, OSError)) else None
    if number in DISK_ERRORS:
        return f"cannot write in {printable(folder)}: {os.strerror(number)}"
    try:
        if shutil.disk_usage(folder).free < least_room:
            return f"cannot write in {printable(folder)}: {os.strerror(errno.ENOSPC)}"
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(LEAST_ROOM))
            file.flush()
    except OSError as fault:
        return f"cannot write in {printable(folder)}: {fault.strerror or fault}"
    return None


def describe_error(job: Job, error: Exception) -> str:
    """Return one line for an error; a bug is reported likewise and ends only its own picture."""
    if isinstance(error, MafdnError):
        return error.reason
    if isinstance(error, OSError):
        return f"cannot write {printable(job.target)}: {error.strerror or error}"
    return " ".join(f"{printable(job.source)}: internal error, {type(error).__name__}: {error}".split())
