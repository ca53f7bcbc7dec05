"""Jobs as clients see them: their fields, their names, and messages without the paths of this server."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from mafdn.pictures.formats import format_of_name
from mafdn.pictures.limits import Limits
from mafdn.upscaling.pattern import Pattern
from mafdn.web.labels import with_labels
from mafdn.web.options import build_options
from mafdn.web.settings import ServerSettings
from mafdn.web.work.jobs import SOURCE, Job

FIELDS = (
    *("id", "name", "folder", "state", "format", "size", "frames", "new_size", "bytes"),
    *("result_bytes", "result_name", "result_type", "network", "options", "version"),
    *("created", "started", "finished", "error", "report"),
)
"""Fields of a job that clients see as they are."""
EPHEMERAL_SECONDS = 3_600.0
"""Time after which a result is removed that a client waited for, should it not have been removed at once."""
SERVER_FOLDER = "the folder of the server"
"""What messages call the place of uploads and results."""


def describe(job: Job, settings: ServerSettings, *, eta: float | None) -> dict[str, Any]:
    """Return a job for clients; `eta` are the seconds until it is done, if they are known."""
    return {
        **{name: getattr(job, name) for name in FIELDS},
        "progress": round(job.progress, 4),
        "seconds": job.report and job.report["seconds"],
        "eta_seconds": eta,
        "retryable": job.state in ("failed", "canceled"),
        "delivered": job.delivered is not None,
        "expires": expires_at(job, settings),
    }


def expires_at(job: Job, settings: ServerSettings) -> float | None:
    """When a job is removed, in seconds since 1970; `None` if it is not finished."""
    if job.finished is None:
        return None
    if job.ephemeral:
        return job.finished + EPHEMERAL_SECONDS
    until = job.finished + settings.keep_seconds
    return until if job.delivered is None else min(until, job.delivered + settings.keep_delivered_seconds)


def take_result(job: Job, report: dict[str, Any], folder: Path, settings: ServerSettings) -> int:
    """Take over what an engine process reports of a result.

    Args:
        job: The job, which gets the file, its sizes, its name and the report.
        report: The report of the engine process; what clients must not see is removed from it.
        folder: The folder of the job.
        settings: The settings of the server.

    Returns:
        Pixels of the result, all frames together.
    """
    target = Path(report.pop("target"))
    del report["source"], report["peak_mib"]
    job.result_file, job.result_bytes = target.name, report.pop("bytes")
    job.size, job.new_size = tuple(report.pop("size")), tuple(report.pop("new_size"))
    job.frames = report.pop("frames")
    job.result_name = result_name(job, report["scale"], target, settings.limits)
    notes = [worded(job, folder, settings.folder, note) for note in report["notes"]]
    job.report, job.progress = finite({**report, "notes": notes}), 1.0
    return job.new_size[0] * job.new_size[1] * job.frames


def no_room(settings: ServerSettings) -> str:
    """Return the message that the disk space of the server is used up."""
    return f"the {settings.disk_mb:,g} MB for uploads and results are full; remove some or try again later"


def result_name(job: Job, scale: int, target: Path, limits: Limits) -> str:
    """Return the name of a result for downloads, as `mafdn upscale` would give it.

    Args:
        job: A job whose sizes are known.
        scale: The scale of its network.
        target: The result on this server, whose ending is that of the result.
        limits: The limits of the server.
    """
    assert job.new_size is not None
    label, ending = Path(job.name), target.suffix
    ending = label.suffix if label.suffix.lower() == ending.lower() else ending
    kind = replace(format_of_name(target), suffixes=(ending.lower(),))
    size = build_options(job.options, limits).effective_size(scale)
    return Pattern.default(size).name(Path(label.stem + ending), size, job.new_size, kind)


def worded(job: Job, folder: Path, server_folder: Path, text: str) -> str:
    """Return a message with labels in place of the paths of this server.

    Args:
        job: The job that it is about.
        folder: The folder of the job.
        server_folder: The folder of the server.
        text: The message.
    """
    label = Path(job.folder, job.name)
    text = with_labels(text, {folder / job.source_name: str(label)})
    text = with_labels(text, {folder / SOURCE: str(label.with_suffix(""))})  # with which names of results begin
    return with_labels(text, {folder: SERVER_FOLDER, server_folder: SERVER_FOLDER})


def finite(value: Any) -> Any:
    """Return a value for JSON, which has no infinity: such numbers become null."""
    return json.loads(json.dumps(value, default=str), parse_constant=lambda _: None)
