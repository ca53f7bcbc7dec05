"""One picture's way through the server."""

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mafdn.pictures.formats import SUFFIXES, format_of_name
from mafdn.upscaling.folder.job import work_of

State = Literal["queued", "running", "done", "failed", "canceled"]
FINISHED: tuple[State, ...] = ("done", "failed", "canceled")
RECORD = "job.json"
"""Name of the file that describes a job, beside its pictures."""
SOURCE = "source"
"""Name of the uploaded file, before the ending."""
JOB_NAME = re.compile(r"[0-9a-f]{32}")
"""Identifiers of jobs, which are the names of their folders, too."""
MIME_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WebP": "image/webp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "GIF": "image/gif",
    "PPM": "image/x-portable-anymap",
    "JPEG XL": "image/jxl",
    "JPEG 2000": "image/jp2",
    "BMP": "image/bmp",
    "QOI": "image/qoi",
    "TGA": "image/x-tga",
}
"""Types of results by the name of their format."""


@dataclass(kw_only=True, eq=False)
class Job:
    """One picture to upscale.

    Attributes:
        id: Random; also the name of its folder.
        name: Label of the picture, a plain file name.
        folder: Folders of the label.
        source_name: File name of the upload on the server.
        bytes: Its size.
        options: The options of the request.
        network: Name of the network.
        ephemeral: Whether it belongs to a request that waits for the result; it is not listed and not kept.
        state: What became of it.
        progress: 0 to 1.
        format: Format of the picture.
        size: Width and height of the (first) picture.
        frames: Number of frames or pages that are upscaled.
        new_size: Width and height of its result; `None` before that is known.
        pixels: Pixels of all results.
        work: What its time is proportional to.
        report: The report of `mafdn upscale`.
        error: Why it failed, in the words of the command line.
        fault: Class of the error.
        result_file: File name of the result on the server.
        result_name: Name of the result for downloads.
        result_bytes: Its size.
        created: When it was uploaded, in seconds since 1970, as the other times.
        started: When an engine process began with it.
        finished: When it was done, failed or was canceled.
        delivered: When its result was last downloaded.
        attempts: How many engine processes ended while they worked on it.
        version: Grows whenever it is done again, so that what was drawn of an earlier result is not taken for it.
    """

    id: str
    name: str
    folder: str = ""
    source_name: str = SOURCE
    bytes: int = 0
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    network: str = "auto"
    ephemeral: bool = False
    state: State = "queued"
    progress: float = 0.0
    format: str | None = None
    size: tuple[int, int] | None = None
    frames: int = 1
    new_size: tuple[int, int] | None = None
    pixels: int = 0
    work: float = 0.0
    report: dict[str, Any] | None = None
    error: str | None = None
    fault: str | None = None
    result_file: str | None = None
    result_name: str | None = None
    result_bytes: int | None = None
    created: float = field(default_factory=time.time)
    started: float | None = None
    finished: float | None = None
    delivered: float | None = None
    attempts: int = 0
    version: int = 1

    @property
    def is_finished(self) -> bool:
        """Whether nothing happens to it any more."""
        return self.state in FINISHED

    @property
    def work_left(self) -> float:
        """Work that is still to be done."""
        return self.work * (1 - self.progress)

    @property
    def disk_bytes(self) -> int:
        """Bytes of its picture and its result."""
        return self.bytes + (self.result_bytes or 0)

    @property
    def result_type(self) -> str | None:
        """Media type of the result."""
        if self.result_file is None:
            return None
        suffix = Path(self.result_file).suffix.lower()
        kind = format_of_name(Path(self.result_file)).name if suffix in SUFFIXES else ""
        return MIME_TYPES.get(kind, "application/octet-stream")

    def reset(self) -> None:
        """Put it back to where it was when it had been uploaded."""
        self.state, self.progress = "queued", 0.0
        self.version += 1
        self.report = self.error = self.fault = None
        self.result_file = self.result_name = self.result_bytes = None
        self.started = self.finished = self.delivered = None

    def inspected(self, found: dict[str, Any]) -> None:
        """Take over what a viewer found in the header of the picture."""
        self.format, self.size, self.frames = found["format"], tuple(found["size"]), found["frames"]
        sizes = [(tuple(before), tuple(after)) for before, after in found["sizes"]]
        self.new_size = sizes[0][1] if sizes else None
        self.pixels = sum(width * height for _, (width, height) in sizes)
        self.work = sum(work_of(before, after) for before, after in sizes) * int(self.options.get("ensemble", 1))
