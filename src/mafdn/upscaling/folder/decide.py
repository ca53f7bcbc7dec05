"""Whether a result is created, kept or refused, given what is at its target and in the manifest."""

import math
import os
import sys
from dataclasses import replace
from pathlib import Path

from mafdn._support.atomic import FileSnapshot, printable, sha256
from mafdn.errors import DamagedError, MafdnError
from mafdn.pictures.formats import format_of_name, sniff
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import read_header
from mafdn.upscaling.choice.weights import WeightsChoice
from mafdn.upscaling.folder.entries import Entry
from mafdn.upscaling.folder.job import Job
from mafdn.upscaling.folder.manifest import Manifest
from mafdn.upscaling.folder.report import FolderItem
from mafdn.verification.figures import Verification

CHANGED = "the result was changed since it was created and is kept; use the option overwrite to re-create it"
HINT = "use the option overwrite to replace it, or another folder or pattern"


def decide(job: Job, manifest: Manifest, *, overwrite: bool, redo: bool) -> Job | FolderItem:
    """Decide what to do about a picture.

    Args:
        job: The picture.
        manifest: The manifest that records its result.
        overwrite: Whether to replace a file that is not an unchanged result of an earlier run.
        redo: Whether to re-create a result that is up to date.

    Returns:
        The job, with the reason for creating the result, or the outcome if it is kept or refused.
    """
    target, entry = job.target, manifest.find(job.target)
    if not os.path.lexists(target):
        return replace(job, reason="missing", replaces=entry.output) if entry else job
    if target.is_symlink() or not target.is_file():
        return job.item(
            status="failed", reason=f"{printable(target)} exists and is not a regular file; use another folder"
        )
    if entry is None and not overwrite:
        return job.item(
            status="failed", reason=f"{printable(target)} exists and is not a result of an earlier run; {HINT}"
        )
    try:
        snapshot = FileSnapshot.take(target)
        foreign = replace(job, snapshot=snapshot, reason="replaced")
        if entry is None:
            return foreign
        own = replace(job, snapshot=snapshot, replaces=snapshot.sha256)
        difference = _difference(job, entry)
        if snapshot.sha256 == entry.output:
            if difference or redo:
                return replace(own, reason=difference or "redone")
            return job.item(
                status="kept",
                verification=Verification.parse(entry.verification),
                weights=WeightsChoice.parse(entry.choice),
            )
        if snapshot.sha256 == entry.replaces:
            return replace(own, reason="unfinished")
        if overwrite:
            return foreign
        if entry.output is not None and _is_damaged(target):
            return replace(own, reason="damaged")
    except OSError as error:
        reason = f"cannot read {printable(error.filename or job.source)}: {error.strerror or error}"
        return job.item(status="failed", reason=reason)
    if difference or entry.output is None:
        return job.item(status="failed", reason=f"{printable(target)} was changed since it was created; {HINT}")
    return job.item(status="kept", notes=(CHANGED,))


def _difference(job: Job, entry: Entry) -> str | None:
    """Return what differs between a recorded result and the one `job` would give; raises `OSError`."""
    if entry.settings != job.settings:
        return "other settings"
    if entry.weights != job.weights:
        return "other weights"
    return "changed" if entry.source_sha256 != sha256(job.source) else None


def _is_damaged(target: Path) -> bool:
    """Whether the result is corrupt; a valid file of another format belongs to the user."""
    try:
        if sniff(target) == format_of_name(target):
            header = read_header(target, limits=Limits(pixels=sys.maxsize, file_mb=math.inf))
            for _ in header.decode_all(scratch=target.parent):
                pass
    except MafdnError as error:
        return isinstance(error, DamagedError)
    return False
