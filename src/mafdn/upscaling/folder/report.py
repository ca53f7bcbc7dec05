"""The progress and outcome of upscaling many pictures."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from mafdn.upscaling.choice.weights import WeightsChoice
from mafdn.verification.figures import Verification

Status = Literal["done", "kept", "failed", "left", "skipped"]
"""Created in this run; already up to date; not created, with a reason; not reached; not selected by the options."""
STATUSES: tuple[Status, ...] = get_args(Status)
"""All of them, in the order of reports."""


@dataclass(frozen=True, kw_only=True)
class FolderItem:
    """The outcome of one picture of a folder.

    Attributes:
        source: The picture.
        target: The result.
        status: `done` if created in this run, `kept` if already up to date, `failed`, `left` if not reached, or
            `skipped` by `skip_larger_than`, `since` or `only`, or as a kind of file that is not read.
        reason: Why it failed, was skipped, or was to be created.
        size: Width and height of the picture, in pixels.
        new_size: Width and height of the result, in pixels.
        seconds: Time from decoding to the finished file; pictures overlap.
        network_seconds: Time spent in the network.
        notes: What was not kept or not done as expected, one sentence each.
        frames: Number of frames or pages in the result; the sizes are those of the first.
        verification: How far the result is from the picture; `None` if it was not verified when it was created.
        weights: The variant of the shipped weights that the picture decided for, and why; `None` if the network was
            named, or not needed.
    """

    source: Path
    target: Path | None = None
    status: Status
    reason: str | None = None
    size: tuple[int, int] | None = None
    new_size: tuple[int, int] | None = None
    seconds: float | None = None
    network_seconds: float | None = None
    notes: tuple[str, ...] = ()
    frames: int = 1
    verification: Verification | None = None
    weights: WeightsChoice | None = None


@dataclass(frozen=True, kw_only=True)
class FolderProgress:
    """The progress of a run over many pictures.

    Attributes:
        phase: `checking` while headers and earlier results are read, then `upscaling`.
        name: File name of the current picture.
        number: Number of the current picture, from 1.
        count: Number of all pictures.
        done: Checks done, or pixels of results computed, including part of the current picture.
        total: All checks or pixels.
        remaining_seconds: Estimate of the remaining time; `None` while nothing is known.
    """

    phase: Literal["checking", "upscaling"]
    name: str
    number: int
    count: int
    done: int
    total: int
    remaining_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class FolderEstimate:
    """What a run would take, estimated by a dry run.

    Attributes:
        pixels: Pixels of all results, without those of films of unknown length.
        seconds: Time for them, rounded; `None` if it could not be measured.
        bytes: Size of all result files but films; `None` if it could not be measured.
        free_bytes: Free space on the disk of the results, the least if there are several; `None` if unknown.
        basis: How the figures were obtained, or why there are none.
    """

    pixels: int
    seconds: float | None = None
    bytes: int | None = None
    free_bytes: int | None = None
    basis: str


@dataclass(frozen=True, kw_only=True)
class FolderReport:
    """The outcome of a run over many pictures.

    Attributes:
        items: The pictures, in the order of their names.
        folder: Folder of the results; `None` if they are next to their pictures.
        seconds: Time for the whole run.
        network_seconds: Time spent in the network.
        waited_seconds: Time during which the network waited for pictures to be decoded or encoded.
        stopped: Why the run ended before the last picture; `None` if it did not.
        not_pictures: Number of files that are not pictures, without sidecars.
        sidecars: Number of files with metadata or edits beside pictures (.xmp, .aae), which are not copied.
        earlier_results: Number of files that were skipped as results of earlier runs.
        other_shards: Number of pictures that belong to other shards.
        links: Number of links to folders, which were not followed.
        folders: Number of subfolders that were not entered.
        settings: The options of the run.
        engines: Names, versions, devices and precisions of the engines used.
        machine: Processor, cores, memory and system.
        estimate: What the run would take; only of a dry run.
    """

    items: tuple[FolderItem, ...]
    folder: Path | None
    seconds: float
    network_seconds: float = 0.0
    waited_seconds: float = 0.0
    stopped: str | None = None
    not_pictures: int = 0
    sidecars: int = 0
    earlier_results: int = 0
    other_shards: int = 0
    links: int = 0
    folders: int = 0
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    engines: tuple[str, ...] = ()
    machine: dict[str, Any] = field(default_factory=dict[str, Any])
    estimate: FolderEstimate | None = None

    def with_status(self, status: Status) -> list[FolderItem]:
        """Return the pictures with this status."""
        return [item for item in self.items if item.status == status]

    @property
    def failed(self) -> list[FolderItem]:
        """The pictures that failed."""
        return self.with_status("failed")

    @property
    def counts(self) -> dict[str, int]:
        """The number of pictures by status."""
        found = Counter(item.status for item in self.items)
        return {status: found[status] for status in STATUSES}

    @property
    def notes(self) -> dict[str, int]:
        """Every note and the number of pictures it applies to, the most frequent first."""
        return dict(Counter(note for item in self.items for note in item.notes).most_common())

    def for_programs(self) -> dict[str, Any]:
        """Return everything as a dictionary for JSON, totals first."""
        parts = asdict(self)
        items = parts.pop("items")
        return {"counts": self.counts, **parts, "pictures": items}


class Stopped(KeyboardInterrupt):
    """Ctrl-C during a run over many pictures.

    Attributes:
        report: The outcome so far.
    """

    def __init__(self, report: FolderReport) -> None:
        super().__init__("stopped")
        self.report = report
