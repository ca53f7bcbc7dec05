"""Files that appear whole or not at all.

Public names: :func:`replacing`.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A temporary name beside ``path`` to write to; flushed and renamed on success, removed on failure.

    What was at ``path`` stays until the new file is complete. Errors are the system's own.
    """
    temporary = path.with_name(path.name + ".partial")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
