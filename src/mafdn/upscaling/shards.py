"""Shares of the pictures of a folder, for several runs at the same time on one or many machines.

Each run writes a manifest of its own, so that none waits for another; a lock for each says which are at work.
"""

import hashlib
import os
import re
import unicodedata
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import filelock

from mafdn._support.atomic import printable
from mafdn.errors import MafdnError, UsageError

MANIFEST = ".mafdn-manifest.jsonl"
"""File name of the manifest of a run over all pictures."""
LOCK = ".mafdn-manifest.lock"
"""File name of its lock."""
NAMES = re.compile(r"\.mafdn-manifest(?:\.([1-9]\d{0,5})-of-([1-9]\d{0,5}))?\.(jsonl|lock)")
"""File names of manifests and locks, of all pictures or a share of them."""
MOST_SHARDS = 100_000
"""Most shares of a run."""
MOMENT = 0.5
"""Seconds to wait for a lock that another run may hold for a moment, to see whether it is free."""


@dataclass(frozen=True)
class Shard:
    """One of `count` shares of the pictures of a run; every picture is in exactly one, by its name.

    Args:
        number: Its number, from 1 to `count`.
        count: How many there are.

    Raises:
        UsageError: For numbers out of range.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= MOST_SHARDS:
            raise UsageError(
                f"shard {self} must be NUMBER/COUNT with a number from 1 to the count, at most {MOST_SHARDS:,}"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def has(self, relative: Path) -> bool:
        """Whether a picture is in this share, by its path relative to the folder in which it was found."""
        name = unicodedata.normalize("NFC", relative.as_posix())  # as one file may be called on several systems
        digest = hashlib.sha256(os.fsencode(name)).digest()
        return int.from_bytes(digest[:8]) % self.count == self.number - 1


def as_shard(value: object) -> Shard:
    """Convert a text such as `3/8`; raises `UsageError` for anything else but a `Shard`."""
    if isinstance(value, Shard):
        return value
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", value, re.ASCII) if isinstance(value, str) else None
    if not found:
        raise UsageError(f"shard must be NUMBER/COUNT such as 3/8, not {printable(str(value))!r}")
    return Shard(int(found[1]), int(found[2]))


def manifest_name(shard: Shard | None) -> str:
    """Return the file name of a manifest."""
    return MANIFEST if shard is None else f".mafdn-manifest.{shard.number}-of-{shard.count}.jsonl"


def lock_name(shard: Shard | None) -> str:
    """Return the file name of the lock of a manifest."""
    return LOCK if shard is None else f".mafdn-manifest.{shard.number}-of-{shard.count}.lock"


def manifests_in(folder: Path) -> list[Path]:
    """Return the manifests in a folder, that of all pictures first; none if it cannot be read."""
    return _named(folder, "jsonl")


def hold_folder(folder: Path, shard: Shard | None, stack: ExitStack) -> None:
    """Take the lock of a run, after which no other run on the same pictures of the folder can begin.

    Args:
        folder: Folder of the manifests.
        shard: The share of the run; `None` for all pictures.
        stack: Releases the lock.

    Raises:
        filelock.Timeout: Another run is working on all pictures or on the same share.
        MafdnError: Runs with another number of shares, or on any share if this one takes all pictures, are working.
        OSError: From the system.
    """
    stack.enter_context(filelock.FileLock(folder / lock_name(shard), timeout=MOMENT if shard is None else 0))
    for lock in _named(folder, "lock"):
        other = _shard_of(lock)
        if other == shard or (shard and other and other.count == shard.count):
            continue
        try:
            with filelock.FileLock(lock, timeout=MOMENT if other is None else 0):
                pass
        except filelock.Timeout:
            if other is None:
                raise
            raise MafdnError(
                f"a run on shard {other} is working in {printable(folder)}; wait for it or stop it"
            ) from None


def _named(folder: Path, ending: str) -> list[Path]:
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.startswith(".mafdn-manifest"))
    except OSError:  # there is no such folder, or it is not readable
        return []
    matching = [name for name in names if (found := NAMES.fullmatch(name)) and found[3] == ending and _is_valid(found)]
    return [folder / name for name in sorted(matching, key=lambda name: (len(name), name))]


def _is_valid(found: re.Match[str]) -> bool:
    return found[1] is None or int(found[1]) <= int(found[2]) <= MOST_SHARDS


def _shard_of(path: Path) -> Shard | None:
    found = NAMES.fullmatch(path.name)
    return Shard(int(found[1]), int(found[2])) if found and found[1] else None
