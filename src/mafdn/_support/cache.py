"""What can be made again, kept in the user's cache folder.

Public names: :func:`cache_folder`, :func:`load_kept`, :func:`keep`.

A cache is never needed: a folder that cannot be read or written is as good as none.
"""

import contextlib
import hashlib
import os
import tempfile
import time
from pathlib import Path

DIGEST = 32
"""Bytes of the SHA-256 that a kept file begins with; engines are given nothing that it does not fit."""
ABANDONED = 3600.0
"""Seconds after which a temporary file is what a killed process left."""
TEMPORARY = ".partial"


def cache_folder(part: str) -> Path:
    """The folder ``part`` in ``MAFDN_CACHE`` where that is set, else in the user's cache folder."""
    given = os.environ.get("MAFDN_CACHE")
    if given:
        return Path(given) / part
    import platformdirs

    return platformdirs.user_cache_path("mafdn") / part


def load_kept(path: Path) -> bytes | None:
    """What :func:`keep` wrote to ``path``; ``None`` when there is nothing, or nothing whole, which is then removed."""
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
            with contextlib.suppress(OSError):
                os.utime(path)  # the least recently used go first
            return content[DIGEST:]
        path.unlink()
    return None


def keep(path: Path, content: bytes, *, limit: int) -> bool:
    """Write ``content`` to ``path``, whole or not at all; whether that went well.

    Files of the same ending that were used least recently are removed while all of them together have more than
    ``limit`` bytes. Any number of processes may do so at once.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(suffix=TEMPORARY, prefix=path.stem, dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _trim(path.parent, path.suffix, limit)
    except OSError:
        return False
    return True


def _trim(folder: Path, suffix: str, limit: int) -> None:
    kept: list[tuple[float, int, Path]] = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process may have removed it
            about = path.stat()
            if path.suffix == TEMPORARY and about.st_mtime < time.time() - ABANDONED:
                path.unlink()
            elif path.suffix == suffix:
                kept.append((about.st_mtime, about.st_size, path))
    room = limit
    for _, size, path in sorted(kept, reverse=True):
        room -= size
        if room < 0:
            path.unlink(missing_ok=True)
