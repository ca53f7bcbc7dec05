"""The results manifest: an append-only JSON-lines file with a lock.

The first line of `.mafdn-manifest.jsonl` holds the version; every other is an `Entry`, and of several for the same
target the last is valid. A line is written when work on a result begins, another when the file is complete, and a third
when it has been renamed. Whenever a run is killed, they therefore identify our results by their content. A torn line is
ignored.

Of several runs that each take a share of the pictures (`--shard`), each has a manifest of its own beside this one. All
are read; of entries for the same target the last is valid.
"""

import errno
import hashlib
import json
import os
import threading
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import filelock

from mafdn._support.atomic import printable, replacing
from mafdn.errors import MafdnError
from mafdn.pictures.writing import part_of
from mafdn.upscaling.choice.weights import WeightsChoice
from mafdn.upscaling.folder.discover import Source
from mafdn.upscaling.folder.entries import Entry, as_entry, parsed
from mafdn.upscaling.output import Output
from mafdn.upscaling.shards import Shard, hold_folder, manifest_name, manifests_in
from mafdn.upscaling.size import Size
from mafdn.verification.figures import Verification

VERSION = 1
"""Version of the file format."""
RESULT_VERSION = 5
"""Raised whenever the same picture, settings and weights give another file than before: all are then re-created."""


def settings_digest(
    size: Size,
    strength: float,
    output: Output,
    *,
    exact: bool,
    ending: str,
    ensemble: int = 1,
    frame: int | None = None,
    count: int = 1,
) -> str:
    """Return a digest of all settings that affect a result: also its `ending` (the format), but not the tile.

    `frame` is the number of the chosen frame or page, `count` how many pictures are written.
    """
    parts = [RESULT_VERSION, asdict(size), strength, asdict(output), exact, ending.lower()]
    if frame is not None:
        parts.append(f"frame {frame}")
    elif count > 1:  # a single picture has the digest that it had before there were several
        parts.append("all frames")
    if ensemble > 1:
        parts.append(f"ensemble {ensemble}")
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Manifest:
    """The manifest of one folder; as a context manager it is locked and can be written to from any thread.

    Args:
        folder: The folder.
        shard: The share of the pictures whose manifest is written; those of all others are read as well.
    """

    def __init__(self, folder: Path, shard: Shard | None = None) -> None:
        """Read the manifest; raises `MafdnError` if it is unreadable or of a later version."""
        self.folder, self.shard = folder, shard
        self._path = folder / manifest_name(shard)
        self._adding = threading.Lock()
        self._locks = ExitStack()
        self._file: int | None = None
        self._entries: dict[str, Entry] = {}
        self._others: dict[str, Entry] = {}
        """The entries of the other manifests of the folder that are newer than one's own."""
        self._lines = 0
        """Number of lines in the file; 0 if the last one is incomplete."""
        self._read()
        for path in manifests_in(folder):
            if path != self._path:
                self._add_others(_read_entries(path)[0])

    def __enter__(self) -> "Manifest":
        """Create the folder, take the lock, and clean up after a run that was killed.

        Raises:
            MafdnError: If another run is working in the folder, or has since this was read, or if the folder is not
                writable.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            hold_folder(self.folder, self.shard, self._locks)
            known = dict(self._entries)
            self._read()
            if self._entries != known:
                raise MafdnError(f"another run has just changed {printable(self.folder)}; run the same command again")
            removed = self._remove_temporaries()
            if removed or self._lines != len(self._entries) + 1:
                self._rewrite()
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
        except filelock.Timeout:
            raise MafdnError(f"another run is working in {printable(self.folder)}; wait for it or stop it") from None
        except OSError as error:
            raise MafdnError.from_os_error(f"cannot write in {printable(self.folder)}", error) from None
        finally:
            if self._file is None:
                self._locks.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._locks.close()

    @property
    def unfinished(self) -> bool:
        """Whether a run was killed and may have left files, or is still working."""
        return any(entry.temporary is not None for entry in self._entries.values())

    @property
    def entries(self) -> dict[str, Entry]:
        """The valid entries of all manifests of the folder, by their targets."""
        return self._entries | self._others

    def find(self, target: Path) -> Entry | None:
        """Return the entry of the result at `target`, if there is one."""
        name = self.name_of(target)
        return self._others.get(name) or self._entries.get(name)

    def results(self) -> dict[Path, Path]:
        """Return the source of every recorded result; neither needs to exist."""
        return {self.folder / target: self.folder / entry.source for target, entry in self.entries.items()}

    def by_source(self) -> dict[str, set[Path]]:
        """Return the results of every source, by its `name_of`."""
        found: dict[str, set[Path]] = {}
        for target, entry in self.entries.items():
            found.setdefault(entry.source, set()).add(self.folder / target)
        return found

    def name_of(self, path: Path) -> str:
        """Return `path` relative to the folder, with `/`; unchanged if there is no relative path."""
        try:
            return os.path.relpath(path, self.folder).replace(os.sep, "/")
        except ValueError:  # on another drive
            return str(path)

    def begin(
        self,
        target: Path,
        *,
        source: Path,
        source_sha256: str,
        settings: str,
        weights: str,
        replaces: str | None,
        temporary: str,
    ) -> Entry:
        """Record that work on `target` begins; the fields are those of `Entry`. Raises `OSError`."""
        entry = Entry(
            target=self.name_of(target),
            source=self.name_of(source),
            source_sha256=source_sha256,
            settings=settings,
            weights=weights,
            temporary=temporary,
            replaces=replaces,
        )
        self._add(entry)
        return entry

    def seal(self, target: Path, output: str) -> None:
        """Record that the result is complete, with this SHA-256, and about to be renamed. Raises `OSError`."""
        self._add(replace(self._entries[self.name_of(target)], output=output))

    def finish(
        self, target: Path, verification: Verification | None = None, weights: WeightsChoice | None = None
    ) -> None:
        """Record that the result has been renamed, how it was verified and with which weights. Raises `OSError`."""
        entry = self._entries[self.name_of(target)]
        figures = verification.for_programs() if verification else None
        choice = weights.for_programs() if weights else None
        self._add(replace(entry, temporary=None, replaces=None, verification=figures, choice=choice))

    def undo(self, entry: Entry, before: Entry | None) -> None:
        """Record that `entry` came to nothing: the entry `before` of its target is valid again. Raises `OSError`."""
        if before is not None:
            self._add(before)
            return
        with self._adding:
            self._entries.pop(entry.target, None)
            self._write({"target": entry.target})

    def absorb(self, other: Path) -> None:
        """Add the entries of another manifest of this folder that are newer; raises `MafdnError` and `OSError`."""
        for target, entry in _read_entries(other)[0].items():
            if _is_newer(entry, self._entries.get(target)):
                self._entries[target] = entry
        self._rewrite()

    def _add_others(self, entries: dict[str, Entry]) -> None:
        for target, entry in entries.items():
            if _is_newer(entry, self._others.get(target) or self._entries.get(target)):
                self._others[target] = entry

    def _add(self, entry: Entry) -> None:
        with self._adding:
            entry = replace(entry, written=datetime.now(UTC).isoformat())
            self._others.pop(entry.target, None)
            self._entries.pop(entry.target, None)  # keeps entries in the order of the work
            self._entries[entry.target] = entry
            self._write(asdict(entry))

    def _write(self, value: dict[str, Any]) -> None:
        assert self._file is not None, "the manifest is not open"
        data = (json.dumps(value) + "\n").encode()
        before = os.fstat(self._file).st_size
        if os.write(self._file, data) != len(data):  # the disk is full
            os.ftruncate(self._file, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        os.fsync(self._file)

    def _read(self) -> None:
        self._entries, self._lines = _read_entries(self._path)

    def _rewrite(self) -> None:
        """Replace the file by one with the valid entries only."""
        values = [{"mafdn-manifest": VERSION}, *(asdict(entry) for entry in self._entries.values())]
        with replacing(self._path) as temporary:
            temporary.write_text("".join(json.dumps(value) + "\n" for value in values), "utf-8")

    def _remove_temporaries(self) -> bool:
        """Remove the temporary files of a killed run; returns whether there were any."""
        removed = False
        for target, entry in self._entries.items():
            if entry.temporary is not None:
                with suppress(OSError):  # it stays recorded, and the next run tries again
                    temporary = (self.folder / target).with_name(entry.temporary)
                    for file in (temporary, part_of(temporary)):
                        file.unlink(missing_ok=True)
                    self._entries[target] = replace(entry, temporary=None)
                    removed = True
        return removed


def _read_entries(path: Path) -> tuple[dict[str, Entry], int]:
    """Return the entries of a manifest by target, and its number of lines; 0 if the last one is incomplete.

    Raises:
        MafdnError: If it is unreadable or of a later version.
    """
    entries: dict[str, Entry] = {}
    try:
        if path.exists() and not path.is_file():  # reading a FIFO would block
            raise MafdnError(f"{printable(path)} is not a regular file; remove it, or use another folder")
        lines = path.read_bytes().split(b"\n")  # a complete file ends with a newline
    except FileNotFoundError:
        return entries, 0
    except OSError as error:
        raise MafdnError.from_os_error(f"cannot read {printable(path)}", error) from None
    for line in lines:
        value = parsed(line)
        if value is None:
            continue
        if value.get("mafdn-manifest", VERSION) != VERSION:
            raise MafdnError(f"{printable(path)} was written by a later version; use that one, or another folder")
        target = value.get("target")
        if isinstance(target, str):
            entries.pop(target, None)
            entry = as_entry(value)
            if entry is not None:
                entries[target] = entry
    return entries, len(lines) - 1 if lines[-1] == b"" else 0


def _is_newer(entry: Entry, other: Entry | None) -> bool:
    return other is None or (entry.written or "") > (other.written or "")


class Manifests:
    """The manifests of a run; a result's is in the output folder, else in the nearest folder that has one."""

    def __init__(self, folder: Path | None, shard: Shard | None = None) -> None:
        self.folder, self._shard = folder, shard
        self._read: dict[Path, Manifest] = {}
        self._nearest: dict[Path, Path | None] = {}

    def home_of(self, source: Source) -> Path:
        """Return the folder of the manifest for this source's result."""
        return self.folder or self.nearest(source) or source.root

    def nearest(self, source: Source) -> Path | None:
        """Return the nearest folder at or above this source that has a manifest, if there is one."""
        folder = source.path.parent
        if folder not in self._nearest:
            above = (folder, *folder.parents)
            self._nearest[folder] = next((home for home in above if manifests_in(home)), None)
        return self._nearest[folder]

    def manifest(self, home: Path) -> Manifest:
        """Return the manifest in `home`, read the first time; raises `MafdnError` as `Manifest`."""
        if home not in self._read:
            self._read[home] = Manifest(home, self._shard)
        return self._read[home]

    @property
    def unfinished(self) -> set[Path]:
        """The folders, among those read, in which a run was killed or is still working."""
        return {home for home, manifest in self._read.items() if manifest.unfinished}
