"""The segments of a film that is being upscaled: what is whole is kept, whatever ends the process.

They are in a folder beside the result, `.NAME.mafdn`, until that is complete. A segment is encoded under a temporary
name, renamed when it is whole, and then recorded in the folder's manifest with its SHA-256. The manifest states all
that the segments depend on; the next run with the same settings continues with what is recorded and undamaged, and one
with other settings begins anew. Whatever is in the folder by another name is left alone.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import filelock

from mafdn._support.atomic import printable, replacing, sha256
from mafdn.errors import EncodeError, MafdnError, PictureError
from mafdn.film.names import name_beside

FOLDER = ".{}.mafdn"
"""Name of the folder, made from that of the result."""
MANIFEST, LOCK = "manifest.json", "lock"
"""Names of the files in the folder, beside the segments."""
VERSION = 1
"""Version of the manifest."""
SUFFIX, TEMPORARY = ".nut", ".partial"
"""Endings of segments, and of what is not complete."""
RESULT = "result"
"""Name of the complete film until it gets its own."""
OURS = re.compile(rf"(\d{{6,}}\{SUFFIX}|{RESULT}|{re.escape(MANIFEST)}(?=\{TEMPORARY}))(\{TEMPORARY})?")
"""Names of the files that are removed when a run begins anew or is complete; the manifest and lock go last."""
WHOLE_FILE = 2**30
"""Bytes up to which the source is identified by its whole content."""
SAMPLES, SAMPLE = 512, 2**16
"""Number and size of the parts, spread over a larger source, by which it is identified, beside its size and time."""


@dataclass(frozen=True)
class Segment:
    """A segment that is whole.

    Attributes:
        number: From 0.
        frames: Number of frames.
        sha256: Of the file.
    """

    number: int
    frames: int
    sha256: str


@dataclass(frozen=True)
class Gap:
    """Consecutive segments that are not whole.

    Attributes:
        first: The first of them.
        stop: The next one that is whole; `None` if there is none, up to the end of the film.
    """

    first: int
    stop: int | None


class Segments:
    """The segments of one result, of which only one process can make any at a time; use it in a `with` statement.

    Attributes:
        folder: Where they are.
        notes: What a user should know about earlier runs; one line each.
    """

    def __init__(self, target: Path, settings: Mapping[str, Any], *, length: int) -> None:
        """Prepare; nothing is read or written before `__enter__`.

        Args:
            target: The result.
            settings: All that segments depend on, as JSON; the keys name it in notes.
            length: Frames of a segment, part of what they depend on.
        """
        self.folder = target.with_name(name_beside(FOLDER, target.name))
        self.notes: list[str] = []
        self._target, self._length = target, length
        self._settings = json.loads(json.dumps({**settings, "segment length": length}))
        self._lock = filelock.FileLock(self.folder / LOCK, timeout=0)
        self._segments: dict[int, Segment] = {}
        self._frames: int | None = None
        self._removed = False
        self._film_notes: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        """Create the folder, take the lock, and find what is whole. Without any segment, the folder goes at the end.

        Raises:
            MafdnError: If another process works on the same result, or the folder is not one of this program or cannot
                be written.
        """
        try:
            self._acquire()
            try:
                self._read()
                self._remove_unrecorded()
                self._write()
            except BaseException:
                self._lock.release()
                raise
        except filelock.Timeout:
            name = printable(self._target)
            raise MafdnError(f"another run is working on {name}; wait for it or stop it") from None
        except OSError as error:
            raise EncodeError.from_os_error(f"cannot write in {printable(self.folder)}", error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not (self._segments or self._removed):  # nothing is lost with it
            self.remove()
        self._lock.release()
        if self._removed:  # on Windows, the lock, and so the folder, can only be removed now
            with suppress(OSError):
                self.folder.rmdir()

    @property
    def frames(self) -> int:
        """Number of frames in whole segments."""
        return sum(segment.frames for segment in self._segments.values())

    @property
    def film_notes(self) -> tuple[str, ...]:
        """What was noted when the last frame had been decoded."""
        return self._film_notes

    def next_gap(self) -> Gap | None:
        """Return the first segments that are not whole; `None` if the film is complete."""
        first = next(number for number in range(len(self._segments) + 1) if number not in self._segments)
        later = [number for number in self._segments if number > first]
        if later:
            return Gap(first, min(later))
        return None if self._frames is not None and self._frames == self.frames else Gap(first, None)

    def temporary(self, number: int) -> Path:
        """Return the name under which a segment is to be written."""
        path = self._path(number)
        return path.with_name(path.name + TEMPORARY)

    def add(self, number: int, frames: int, *, last: bool = False, notes: tuple[str, ...] = ()) -> None:
        """Keep the segment that has been written under its temporary name.

        Args:
            number: Its number.
            frames: Its number of frames.
            last: Whether the film ends with it.
            notes: If it does, what was noted while the film was decoded.

        Raises:
            EncodeError: If it cannot be written.
        """
        temporary = self.temporary(number)
        try:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            segment = Segment(number, frames, sha256(temporary))
            temporary.replace(self._path(number))
            self._segments[number] = segment
            if last:
                self._frames, self._film_notes = self.frames, notes
            self._write()
        except OSError as error:
            raise EncodeError.from_os_error(f"cannot write in {printable(self.folder)}", error) from None

    def paths(self) -> list[Path]:
        """Return the files of all segments in order."""
        return [self._path(number) for number in sorted(self._segments)]

    @property
    def result(self) -> Path:
        """The name of the complete film until it gets its own."""
        return self.folder / RESULT

    def remove(self) -> None:
        """Remove all segments and the folder; what cannot be removed stays. The lock is released afterwards."""
        self._removed = True  # from now on, a folder of this name may be that of another process
        with suppress(OSError):
            self._remove(keep=frozenset())
            for name in (MANIFEST, LOCK):
                (self.folder / name).unlink(missing_ok=True)
            self.folder.rmdir()

    def _acquire(self) -> None:
        """Lock the folder, created if it does not exist."""
        while True:
            if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
                raise MafdnError(f"{printable(self.folder)} is not a folder of mafdn; remove it or rename the result")
            self.folder.mkdir(exist_ok=True)
            try:
                self._lock.acquire()
            except FileNotFoundError:  # the folder of a run that has just ended
                continue
            if (self.folder / LOCK).exists():
                return
            self._lock.release()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}{SUFFIX}"

    def _read(self) -> None:
        """Read the manifest, and forget what is damaged or was made with other settings."""
        self._segments, self._frames, self._film_notes = {}, None, ()
        try:
            text = (self.folder / MANIFEST).read_bytes()
        except FileNotFoundError:
            self._check_new()
            return
        try:
            found = json.loads(text)
            version, settings = found["mafdn-film"], found["settings"]
            segments = [Segment(**entry) for entry in found["segments"]]
            frames, notes = found["frames"], tuple(str(note) for note in found["notes"])
            valid = all(type(s.number) is int and type(s.frames) is int and s.frames > 0 for s in segments)
            if not (valid and isinstance(settings, dict) and (frames is None or type(frames) is int)):
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            self.notes.append("the record of an earlier run was damaged: all frames are upscaled again")
            return
        if version != VERSION:
            raise MafdnError(
                f"{printable(self.folder)} was written by another version of mafdn; use that one, or remove the folder"
            )
        if isinstance(settings.get("source"), dict):
            settings["source"].pop("path", None)  # earlier versions took a film elsewhere for another one
        other = [name for name in {**settings, **self._settings} if settings.get(name) != self._settings.get(name)]
        if other:
            if segments:
                self.notes.append(f"an earlier run had another {' and '.join(other)}: all frames are upscaled again")
            return
        for segment in segments:
            if self._is_whole(segment):
                self._segments[segment.number] = segment
            else:
                self.notes.append(f"segment {segment.number} was damaged: its frames are upscaled again")
        self._frames, self._film_notes = frames, notes

    def _check_new(self) -> None:
        """Raise `MafdnError` if a folder without a manifest is not one that a run has just created."""
        strange = sorted(p.name for p in self.folder.iterdir() if p.name not in (LOCK, MANIFEST + TEMPORARY))
        if strange:
            raise MafdnError(
                f"{printable(self.folder)} holds {printable(strange[0])} but no record of a run; "
                "remove the folder or rename the result"
            )

    def _is_whole(self, segment: Segment) -> bool:
        path = self._path(segment.number)
        return path.is_file() and not path.is_symlink() and sha256(path) == segment.sha256

    def _remove_unrecorded(self) -> None:
        self._remove(keep=frozenset(path.name for path in self.paths()))

    def _remove(self, *, keep: frozenset[str]) -> None:
        for path in list(self.folder.iterdir()):
            if OURS.fullmatch(path.name) and path.name not in keep:
                path.unlink()

    def _write(self) -> None:
        segments = [asdict(self._segments[number]) for number in sorted(self._segments)]
        value = {
            "mafdn-film": VERSION,
            "settings": self._settings,
            "frames": self._frames,
            "notes": self._film_notes,
            "segments": segments,
        }
        with replacing(self.folder / MANIFEST, resumed=True) as temporary:
            temporary.write_text(json.dumps(value, indent=1) + "\n", "utf-8")


def identify(source: Path) -> dict[str, Any]:
    """Return what identifies the content of a film, as JSON.

    That is the SHA-256 of the whole file up to `WHOLE_FILE`, beyond that of parts of it, with its time.

    Raises:
        PictureError: If it cannot be read.
    """
    try:
        with source.open("rb") as file:
            status = os.fstat(file.fileno())
            size = status.st_size
            if size <= WHOLE_FILE:
                return {"bytes": size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
            digest = hashlib.sha256()
            for number in range(SAMPLES):
                file.seek((size - SAMPLE) * number // (SAMPLES - 1))
                digest.update(file.read(SAMPLE))
            return {"bytes": size, "modified": status.st_mtime_ns, "sha256 of parts": digest.hexdigest()}
    except OSError as error:
        raise PictureError.from_os_error(f"cannot read {printable(source)}", error) from None
