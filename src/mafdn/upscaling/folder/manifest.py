"""The results manifest: an append-only JSON-lines file with a lock.

The first line of `.mafdn-manifest.jsonl` holds the version; every other is an `Entry`, and of several for the same
target the last is valid. A line is written when work on a result begins, another when the file is complete, and a third
when it has been renamed. Whenever a run is killed, they therefore identify our results by their content. A torn line is
ignored.
"""

import errno
import hashlib
import json
import os
import threading
from contextlib import suppress
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import filelock

from mafdn._support.atomic import printable, replacing
from mafdn.errors import MafdnError
from mafdn.pictures.writing import TEMPORARY, part_of
from mafdn.upscaling.folder.discover import Source
from mafdn.upscaling.output import Output
from mafdn.upscaling.size import Size

MANIFEST = ".mafdn-manifest.jsonl"
"""File name of a manifest."""
LOCK = ".mafdn-manifest.lock"
"""File name of its lock."""
VERSION = 1
"""Version of the file format."""
RESULT_VERSION = 3
"""Raised whenever the same picture, settings and weights give another file than before: all are then re-created."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One result and its inputs.

    Args:
        target: Path of the result, relative to the manifest's folder, with `/`.
        source: Path of the picture, relative to the manifest's folder.
        source_sha256: SHA-256 of the picture's file.
        settings: Digest of the settings, from `settings_digest`.
        weights: Digest of the network.
        output: SHA-256 of the result; `None` until it is complete.
        temporary: File name, beside the target, of the result until it is renamed; then `None`.
        replaces: SHA-256 of an earlier result that may be at the target until then.
    """

    target: str
    source: str
    source_sha256: str
    settings: str
    weights: str
    output: str | None = None
    temporary: str | None = None
    replaces: str | None = None


REQUIRED = {field.name for field in fields(Entry) if field.default is MISSING}
"""The fields that every entry has."""


def settings_digest(
    size: Size, strength: float, output: Output, *, exact: bool, ending: str, frame: int | None = None, count: int = 1
) -> str:
    """Return a digest of all settings that affect a result: also its `ending` (the format), but not the tile.

    `frame` is the number of the chosen frame or page, `count` how many pictures are written.
    """
    parts = [RESULT_VERSION, asdict(size), strength, asdict(output), exact, ending.lower()]
    if frame is not None:
        parts.append(f"frame {frame}")
    elif count > 1:  # a single picture has the digest that it had before there were several
        parts.append("all frames")
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Manifest:
    """The manifest of one folder; as a context manager it is locked and can be written to from any thread."""

    def __init__(self, folder: Path) -> None:
        """Read the manifest; raises `MafdnError` if it is unreadable or of a later version."""
        self.folder = folder
        self._path = folder / MANIFEST
        self._adding = threading.Lock()
        self._lock = filelock.FileLock(folder / LOCK, timeout=0)
        self._file: int | None = None
        self._entries: dict[str, Entry] = {}
        self._lines = 0
        """Number of lines in the file; 0 if the last one is incomplete."""
        self._read()

    def __enter__(self) -> "Manifest":
        """Create the folder, take the lock, and clean up after a run that was killed.

        Raises:
            MafdnError: If another run is working in the folder, or has since this was read, or if the folder is not
                writable.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
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
                self._lock.release()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._lock.release()

    @property
    def unfinished(self) -> bool:
        """Whether a run was killed and may have left files, or is still working."""
        return any(entry.temporary is not None for entry in self._entries.values())

    def find(self, target: Path) -> Entry | None:
        """Return the entry of the result at `target`, if there is one."""
        return self._entries.get(self.name_of(target))

    def results(self) -> dict[Path, Path]:
        """Return the source of every recorded result; neither needs to exist."""
        return {self.folder / target: self.folder / entry.source for target, entry in self._entries.items()}

    def by_source(self) -> dict[str, set[Path]]:
        """Return the results of every source, by its `name_of`."""
        found: dict[str, set[Path]] = {}
        for target, entry in self._entries.items():
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

    def finish(self, target: Path) -> None:
        """Record that the result has been renamed. Raises `OSError`."""
        self._add(replace(self._entries[self.name_of(target)], temporary=None, replaces=None))

    def undo(self, entry: Entry, before: Entry | None) -> None:
        """Record that `entry` came to nothing: the entry `before` of its target is valid again. Raises `OSError`."""
        if before is not None:
            self._add(before)
            return
        with self._adding:
            self._entries.pop(entry.target, None)
            self._write({"target": entry.target})

    def _add(self, entry: Entry) -> None:
        with self._adding:
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
        self._entries, self._lines = {}, 0
        try:
            if self._path.exists() and not self._path.is_file():  # reading a FIFO would block
                raise MafdnError(f"{printable(self._path)} is not a regular file; remove it, or use another folder")
            lines = self._path.read_bytes().split(b"\n")  # a complete file ends with a newline
        except FileNotFoundError:
            return
        except OSError as error:
            raise MafdnError.from_os_error(f"cannot read {printable(self._path)}", error) from None
        self._lines = len(lines) - 1 if lines[-1] == b"" else 0
        for line in lines:
            value = _parsed(line)
            if value is None:
                continue
            if value.get("mafdn-manifest", VERSION) != VERSION:
                raise MafdnError(
                    f"{printable(self._path)} was written by a later version; use that one, or another folder"
                )
            target = value.get("target")
            if isinstance(target, str):
                self._entries.pop(target, None)
                entry = _entry(value)
                if entry is not None:
                    self._entries[target] = entry

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


class Manifests:
    """The manifests of a run; a result's is in the output folder, else in the nearest folder that has one."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
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
            self._nearest[folder] = next((home for home in above if _is_file(home / MANIFEST)), None)
        return self._nearest[folder]

    def manifest(self, home: Path) -> Manifest:
        """Return the manifest in `home`, read the first time; raises `MafdnError` as `Manifest`."""
        if home not in self._read:
            self._read[home] = Manifest(home)
        return self._read[home]

    @property
    def unfinished(self) -> set[Path]:
        """The folders, among those read, in which a run was killed or is still working."""
        return {home for home, manifest in self._read.items() if manifest.unfinished}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder without permission
        return False


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the object in a line; `None` for an empty or torn one."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _entry(value: dict[str, Any]) -> Entry | None:
    """Return the entry in a line's object; `None` for a deletion or an invalid record."""
    known: dict[str, Any] = {field.name: value.get(field.name) for field in fields(Entry)}
    texts = {name: text for name, text in known.items() if text is not None}
    if not (texts.keys() >= REQUIRED and all(_is_text(text) for text in texts.values())):
        return None
    target, temporary = known["target"], known["temporary"]
    if Path(target).is_absolute() or ".." in Path(target).parts:  # results are inside the folder
        return None
    if temporary is not None and not TEMPORARY.fullmatch(temporary):  # it would be deleted
        return None
    return Entry(**known)


def _is_text(value: object) -> bool:
    """Whether a value can be a file name."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False
