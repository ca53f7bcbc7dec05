"""A bounded, checksummed on-disk cache.

It is only an optimization: a folder that cannot be read or written is treated as empty.
"""

import contextlib
import hashlib
import os
import tempfile
import time
from pathlib import Path

DIGEST = 32
"""Length in bytes of the checksum (SHA-256) at the start of each entry; entries that do not match it are not used."""
ABANDONED = 3600.0
"""Seconds after which a temporary file counts as left over from a killed process."""
TEMPORARY = ".partial"
"""Suffix of entries that are being written."""


def cache_folder(part: str) -> Path:
    """The subfolder `part` of `$MAFDN_CACHE` if that is set, else of the user's cache folder."""
    override = os.environ.get("MAFDN_CACHE")
    if override:
        return Path(override) / part
    import platformdirs

    return platformdirs.user_cache_path("mafdn") / part


def load_kept(path: Path) -> bytes | None:
    """The content that `keep` wrote to `path`; `None` if it is missing or damaged, in which case it is removed."""
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
            with contextlib.suppress(OSError):
                os.utime(path)  # the least recently used are evicted first
            return content[DIGEST:]
        path.unlink()
    return None


def keep(path: Path, content: bytes, *, limit: int) -> bool:
    """Write `content` to `path` atomically, and evict old entries; safe for concurrent processes.

    Args:
        path: The entry; entries with the same suffix share a limit.
        content: The bytes to keep.
        limit: Maximum total size of the entries in bytes; the least recently used ones are removed beyond it.

    Returns:
        Whether the entry was written.
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
    """Remove abandoned temporary files, and the least recently used entries beyond `limit` bytes."""
    kept: list[tuple[float, int, Path]] = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process may have removed it
            status = path.stat()
            if path.suffix == TEMPORARY and status.st_mtime < time.time() - ABANDONED:
                path.unlink()
            elif path.suffix == suffix:
                kept.append((status.st_mtime, status.st_size, path))
    room = limit
    for _, size, path in sorted(kept, reverse=True):
        room -= size
        if room < 0:
            path.unlink(missing_ok=True)
