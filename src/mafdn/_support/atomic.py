"""Files that appear whole or not at all, what they hold in one number, and their names in messages.

Public names: :func:`replacing`, :func:`sha256`, :class:`FileSnapshot`, :func:`shown`, :data:`DISK_ERRORS`.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Error numbers that concern a whole disk, not a file."""


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A temporary name beside ``path`` to write to; flushed and renamed on success, removed on failure.

    What was at ``path`` stays until the new file is complete. Errors are the system's own, and one where something
    other than a file is in the place: a device must not become a file.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, "not a regular file", str(path))
    temporary = path.with_name(path.name + ".partial")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits. Errors are the system's own."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class FileSnapshot:
    """The content of a file at one moment.

    Args:
        sha256: Digest of the content.
        status: What the file system reports; as long as it is unchanged, so is the content.
    """

    sha256: str
    status: tuple[int, ...]

    @classmethod
    def take(cls, path: Path) -> "FileSnapshot":
        """Take a snapshot of a regular file; raises `OSError`."""
        status = _status(path)  # read first, so that a write in the meantime is noticed
        return cls(sha256(path), status)

    def still_holds(self, path: Path) -> bool:
        """Whether `path` is still a regular file with this content, or does not exist any more."""
        try:
            status = _status(path)
            return status == self.status or (stat.S_ISREG(status[0]) and sha256(path) == self.sha256)
        except FileNotFoundError:
            return True


def _status(path: Path) -> tuple[int, ...]:
    found = path.lstat()
    return found.st_mode, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def shown(path: Path | str) -> str:
    """``path`` for a message: line breaks and other characters that steer a terminal are written as escapes."""
    return "".join(c if c.isprintable() or "\ud800" <= c <= "\udfff" else ascii(c)[1:-1] for c in str(path))
