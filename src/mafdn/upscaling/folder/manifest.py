"""What is known of results in a folder: a file of lines, one run at a time.

Public names: :class:`Manifest`, :class:`Entry`, :func:`settings_digest`, :data:`MANIFEST`, :data:`RESULTS`.

``.mafdn-manifest.jsonl`` holds a JSON object per line. The first names the version; every other is an :class:`Entry`,
and of two with one target the later holds. A line is written when work on a result begins, another when it is whole and
a third when it has its name: whatever the moment of a kill, they tell what is ours by its bytes. A torn line is left
out.
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

from mafdn._support.atomic import replacing, shown
from mafdn.errors import MafdnError
from mafdn.pictures.writing import TEMPORARY
from mafdn.upscaling.output import Output
from mafdn.upscaling.size import Size

MANIFEST = ".mafdn-manifest.jsonl"
LOCK = ".mafdn-manifest.lock"
VERSION = 1
RESULTS = 3
"""Raised whenever the same picture, settings and weights give another file than before: all are then made again."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One result and what it was made of."""

    target: str
    """Its path from the manifest's folder, with ``/``."""
    source: str
    """The source's path from the manifest's folder."""
    source_sha256: str
    settings: str
    """By :func:`settings_digest`."""
    weights: str
    """The SHA-256 of the network's file."""
    output: str | None = None
    """The SHA-256 of the result; ``None`` until it is whole."""
    temporary: str | None = None
    """The name beside ``target`` that the result has until it gets its own; then ``None``."""
    replaces: str | None = None
    """The SHA-256 of an earlier result that may be at ``target`` until then."""


NEEDED = {field.name for field in fields(Entry) if field.default is MISSING}
"""What every entry has."""


def settings_digest(size: Size, strength: float, output: Output, *, exact: bool, ending: str) -> str:
    """A SHA-256 of all settings that change a result; its tile does not, ``ending`` (its format) does."""
    parts = [RESULTS, asdict(size), strength, asdict(output), exact, ending.lower()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Manifest:
    """The manifest of one folder; as a context it is this process's alone, and can be added to from any thread."""

    def __init__(self, folder: Path) -> None:
        """Read what is there. Raises :class:`MafdnError` when it cannot be, or is of a later version."""
        self.folder = folder
        self._path = folder / MANIFEST
        self._adding = threading.Lock()
        self._lock = filelock.FileLock(folder / LOCK, timeout=0)
        self._file: int | None = None
        self._entries: dict[str, Entry] = {}
        self._lines = 0
        """Lines of the file; 0 when it does not end as it should."""
        self._read()

    def __enter__(self) -> "Manifest":
        """Make the folder, take the lock, and tidy up after a run that was killed.

        Raises :class:`MafdnError` when another run works in the folder, or did since this was read, or when the folder
        cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            known = dict(self._entries)
            self._read()
            if self._entries != known:
                raise MafdnError(f"another run has just worked in {shown(self.folder)}; run the same command again")
            tidied = self._remove_temporaries()
            if tidied or self._lines != len(self._entries) + 1:
                self._rewrite()
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
        except filelock.Timeout:
            raise MafdnError(f"another run is working in {shown(self.folder)}; wait for it, or stop it first") from None
        except OSError as error:
            raise MafdnError.from_os_error(f"cannot write in {shown(self.folder)}", error) from None
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
        """Whether a run was killed and may have left files, or works at present."""
        return any(entry.temporary is not None for entry in self._entries.values())

    def find(self, target: Path) -> Entry | None:
        """What is known of the result at ``target``."""
        return self._entries.get(self.name_of(target))

    def results(self) -> dict[Path, Path]:
        """The source of every result that is known, both there or not."""
        return {self.folder / target: self.folder / entry.source for target, entry in self._entries.items()}

    def by_source(self) -> dict[str, set[Path]]:
        """The results of every source, which is named as by :meth:`name_of`."""
        found: dict[str, set[Path]] = {}
        for target, entry in self._entries.items():
            found.setdefault(entry.source, set()).add(self.folder / target)
        return found

    def name_of(self, path: Path) -> str:
        """``path`` as seen from the folder, with ``/``; as it is where no such way leads there."""
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
        """Note that work on ``target`` begins. Errors are the system's own, as for the two that follow."""
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
        """Note that the result is whole, with this SHA-256, and about to get its name."""
        self._add(replace(self._entries[self.name_of(target)], output=output))

    def finish(self, target: Path) -> None:
        """Note that the result has its name."""
        self._add(replace(self._entries[self.name_of(target)], temporary=None, replaces=None))

    def undo(self, entry: Entry, before: Entry | None) -> None:
        """Note that nothing came of ``entry``: what was known of its target ``before`` holds again."""
        if before is not None:
            self._add(before)
            return
        with self._adding:
            self._entries.pop(entry.target, None)
            self._write({"target": entry.target})

    def _add(self, entry: Entry) -> None:
        with self._adding:
            self._entries.pop(entry.target, None)  # so that the order is that of the work
            self._entries[entry.target] = entry
            self._write(asdict(entry))

    def _write(self, value: dict[str, Any]) -> None:
        assert self._file is not None, "the manifest is not open"
        data = (json.dumps(value) + "\n").encode()
        before = os.fstat(self._file).st_size
        if os.write(self._file, data) != len(data):  # the disk took a part of it
            os.ftruncate(self._file, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        os.fsync(self._file)

    def _read(self) -> None:
        self._entries, self._lines = {}, 0
        try:
            if self._path.exists() and not self._path.is_file():  # reading a FIFO would wait for ever
                raise MafdnError(f"{shown(self._path)} is no regular file; remove it, or give another folder")
            lines = self._path.read_bytes().split(b"\n")  # the last is what follows the last line's end: nothing
        except FileNotFoundError:
            return
        except OSError as error:
            raise MafdnError.from_os_error(f"cannot read {shown(self._path)}", error) from None
        self._lines = len(lines) - 1 if lines[-1] == b"" else 0
        for line in lines:
            value = _parsed(line)
            if value is None:
                continue
            if value.get("mafdn-manifest", VERSION) != VERSION:
                raise MafdnError(f"{shown(self._path)} was written by a later version; use that, or another folder")
            target = value.get("target")
            if isinstance(target, str):
                self._entries.pop(target, None)
                entry = _entry(value)
                if entry is not None:
                    self._entries[target] = entry

    def _rewrite(self) -> None:
        """Write what holds, and nothing else."""
        values = [{"mafdn-manifest": VERSION}, *(asdict(entry) for entry in self._entries.values())]
        with replacing(self._path) as temporary:
            temporary.write_text("".join(json.dumps(value) + "\n" for value in values), "utf-8")

    def _remove_temporaries(self) -> bool:
        """Remove what a killed run was writing, and nobody else; returns whether it was writing anything."""
        tidied = False
        for target, entry in self._entries.items():
            if entry.temporary is not None:
                with suppress(OSError):  # it stays noted, and is tried again by the next run
                    (self.folder / target).with_name(entry.temporary).unlink(missing_ok=True)
                    self._entries[target] = replace(entry, temporary=None)
                    tidied = True
        return tidied


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The object in a line; ``None`` for an empty or torn one."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _entry(value: dict[str, Any]) -> Entry | None:
    """The entry in a line's object; ``None`` when it says no more than that there is none, or is damaged."""
    known: dict[str, Any] = {field.name: value.get(field.name) for field in fields(Entry)}
    texts = {name: text for name, text in known.items() if text is not None}
    if not (texts.keys() >= NEEDED and all(_is_text(text) for text in texts.values())):
        return None
    target, temporary = known["target"], known["temporary"]
    if Path(target).is_absolute() or ".." in Path(target).parts:  # results lie in the folder
        return None
    if temporary is not None and not TEMPORARY.fullmatch(temporary):  # it will be removed
        return None
    return Entry(**known)


def _is_text(value: object) -> bool:
    """Whether a value can be a file's name."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False
