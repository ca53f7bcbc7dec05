"""Options of upscaling many pictures."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn._support.validate import as_whole
from mafdn.errors import UsageError
from mafdn.upscaling.folder.selection import ONLY, ORDERS, Only, Order, as_moment
from mafdn.upscaling.pattern import Pattern
from mafdn.upscaling.shards import Shard, as_shard
from mafdn.upscaling.size import LARGEST

MOST_JOBS = 64
"""Most pictures that may be decoded or encoded at the same time; each takes memory."""


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """How pictures are found and their results named; `UpscaleOptions` says how they are upscaled.

    Args:
        folder: Folder for the results (default: next to each picture).
        recursive: Whether to enter subfolders, whose structure is kept.
        pattern: Pattern for the names of results.
        redo: Whether to re-create results that are already up to date.
        dry_run: Whether to only report what would be done.
        skip_larger_than: Pictures whose longest side has more pixels than this are skipped.
        since: Only pictures modified since are upscaled; also anything that `as_moment` takes.
        only: `pictures` or `films`, to leave out the others (default: both are upscaled).
        order: Which pictures come first; it does not affect results.
        jobs: How many pictures are decoded, and how many encoded, at the same time; it does not affect results.
        shard: Only this share of the pictures is upscaled; also a text such as `3/8`. All others are named as if they
            were, so that the results of all shards are those of one run over all pictures.

    Raises:
        UsageError: For a value of the wrong type or out of range.
    """

    folder: Path | None = None
    recursive: bool = False
    pattern: Pattern | None = None
    redo: bool = False
    dry_run: bool = False
    skip_larger_than: int | None = None
    since: datetime | None = None
    only: Only | None = None
    order: Order = "name"
    jobs: int = 1
    shard: Shard | None = None

    def __post_init__(self) -> None:
        if self.skip_larger_than is not None:
            object.__setattr__(
                self, "skip_larger_than", as_whole("skip_larger_than", self.skip_larger_than, least=1, most=LARGEST)
            )
        if self.since is not None:
            object.__setattr__(self, "since", as_moment(self.since))
        if self.order not in ORDERS:
            raise UsageError(f"unknown order {printable(str(self.order))!r}; choose from {', '.join(ORDERS)}")
        if self.only is not None and self.only not in ONLY:
            raise UsageError(f"only must be pictures or films, not {printable(str(self.only))!r}")
        object.__setattr__(self, "jobs", as_whole("jobs", self.jobs, least=1, most=MOST_JOBS))
        if self.shard is not None:
            object.__setattr__(self, "shard", as_shard(self.shard))
