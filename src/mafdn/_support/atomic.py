"""Atomic file replacement, checksums of files, and file names in messages."""

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Error numbers (`errno`) that concern a whole disk, not one file."""


def temporary_name() -> str:
    """A new name for a file that is not yet complete."""
    return f".{secrets.token_hex(6)}.partial"


@contextmanager
def replacing(path: Path, *, resumed: bool = False) -> Generator[Path]:
    """Write a file atomically: an existing one stays until the new one is complete, which takes its mode.

    Args:
        path: The file; a link is written through.
        resumed: Whether the temporary file is named after `path`, so that the next run writes over what a killed one
            has left; only where no other process writes the same file.

    Yields:
        A temporary path beside the file, renamed to it on success and removed on failure.

    Raises:
        OSError: From the system, or because `path` is something other than a file, such as a device.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, "not a regular file", str(path))
    final = Path(os.path.realpath(path))
    temporary = final.with_name(final.name + ".partial" if resumed else temporary_name())
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        take_place(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)


def take_place(temporary: Path, final: Path) -> None:
    """Rename a complete file; it takes the mode of what it replaces. Raises `OSError`."""
    with suppress(OSError):  # nothing is replaced, or the file system has no modes
        temporary.chmod(stat.S_IMODE(final.stat().st_mode))
    temporary.replace(final)


def sha256(path: Path) -> str:
    """The SHA-256 of a file in 64 hexadecimal digits. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class FileSnapshot:
    """The content of a file at one moment, to detect later changes."""

    sha256: str
    status: tuple[int, ...]
    """Identity, size and times; while these are equal, so is the content."""

    @classmethod
    def take(cls, path: Path) -> "FileSnapshot":
        """Take a snapshot of a regular file. Raises `OSError`."""
        status = _status(path)  # before reading, so that a write in between is noticed
        return cls(sha256(path), status)

    def still_holds(self, path: Path) -> bool:
        """Whether `path` still is a regular file with this content, or has been removed. Raises `OSError`."""
        try:
            status = _status(path)
            return status == self.status or (stat.S_ISREG(status[0]) and sha256(path) == self.sha256)
        except FileNotFoundError:
            return True


def _status(path: Path) -> tuple[int, ...]:
    found = path.lstat()
    return found.st_mode, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def printable(path: Path | str) -> str:
    """`path` for a message: line breaks and other control characters are escaped."""
    return "".join(c if c.isprintable() or "\ud800" <= c <= "\udfff" else ascii(c)[1:-1] for c in str(path))
