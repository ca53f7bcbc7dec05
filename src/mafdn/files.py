"""Files that appear whole or not at all, what they hold in one number, and their names in messages.

Public names: :func:`replacing`, :func:`sha256`, :func:`shown`.
"""

import errno
import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


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


def shown(path: Path | str) -> str:
    """``path`` for a message: line breaks and other characters that steer a terminal are written as escapes."""
    return "".join(c if c.isprintable() or "\ud800" <= c <= "\udfff" else ascii(c)[1:-1] for c in str(path))
