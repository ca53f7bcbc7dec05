"""What became of many pictures.

Public names: :class:`Item`, :class:`BatchReport`, :class:`Standing`.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mafdn._support.machine import Machine

Status = Literal["done", "kept", "failed", "left"]
"""Made in this run; made before and still right; not made, with a reason; not reached."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """What became of one picture: sizes as (width, height) in pixels, times in seconds."""

    source: Path
    target: Path | None = None
    status: Status
    reason: str | None = None
    """Why it failed, or why it was to be made."""
    size: tuple[int, int] | None = None
    new_size: tuple[int, int] | None = None
    seconds: float | None = None
    """From its decoding to its name; those of several pictures overlap."""
    network_seconds: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far a run is."""

    phase: Literal["checking", "upscaling"]
    """Whether files and earlier results are looked at, or pictures made."""
    name: str
    """Of the picture in hand."""
    number: int
    """Of the picture in hand, from 1."""
    count: int
    done: int
    """Looks taken, or pixels of results made; a part of the picture in hand is counted."""
    total: int


@dataclass(frozen=True, kw_only=True)
class BatchReport:
    """What became of all pictures, in the order of their names."""

    items: tuple[Item, ...]
    folder: Path | None
    """Where results went; ``None`` for beside their sources."""
    seconds: float
    network_seconds: float = 0.0
    waited_seconds: float = 0.0
    """How long the network had nothing to do because a picture was not yet decoded or encoded."""
    stopped: str | None = None
    """Why the run ended before its last picture."""
    not_pictures: int = 0
    earlier_results: int = 0
    """Files that were found and left out as results of earlier runs."""
    links: int = 0
    """Links to folders, which were not followed."""
    folders: int = 0
    """Folders within folders that were not entered."""
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    engines: tuple[str, ...] = ()
    machine: Machine | None = None

    def with_status(self, status: Status) -> list[Item]:
        return [item for item in self.items if item.status == status]

    @property
    def failed(self) -> list[Item]:
        return self.with_status("failed")

    @property
    def counts(self) -> dict[str, int]:
        """How many pictures have each status."""
        found = Counter(item.status for item in self.items)
        return {status: found[status] for status in ("done", "kept", "failed", "left")}

    @property
    def notes(self) -> dict[str, int]:
        """Every note, and of how many pictures it was said."""
        return dict(Counter(note for item in self.items for note in item.notes).most_common())

    def for_programs(self) -> dict[str, Any]:
        """All of it as JSON can hold it, totals first."""
        parts = asdict(self)
        items = parts.pop("items")
        return {"counts": self.counts, **parts, "pictures": items}
