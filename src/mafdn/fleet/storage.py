"""Folders and object stores, through fsspec: listing, reading, and files that appear whole or not at all."""

import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from mafdn._support.atomic import printable, replacing, temporary_name
from mafdn._support.validate import URL
from mafdn.errors import MafdnError, MissingPackageError, UsageError

STATE = ".mafdn-fleet"
"""Folder, in that of the results, of what a run keeps: plans, tables of results, and unfinished files."""
WHOLE_PUTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hf", "memory"})
"""Protocols of stores in which a new object is visible only once it is complete."""
MARKS = ("ETag", "etag", "generation", "md5", "blob_id", "mtime", "LastModified", "last_modified", "modified")
"""Fields by which file systems tell one version of a file from another, the most reliable first."""
TRIES = 4
"""How often a transfer is tried, with growing pauses, beside what the store's own library does."""
PAUSE = 0.5
"""Seconds before the second try; each pause is three times as long as the one before."""


@dataclass(frozen=True)
class Entry:
    """A file or object.

    Args:
        name: Its path relative to the folder, with `/`.
        size: Its size in bytes.
        mark: A text that changes with its content; empty if the file system has none.
    """

    name: str
    size: int
    mark: str


class StorageError(MafdnError):
    """A folder or object store cannot be used: likely none of its files can."""


class Store:
    """A folder, local or in an object store; it can be pickled.

    Args:
        url: A path or a URL that fsspec understands, such as `s3://bucket/folder`.

    Raises:
        UsageError: If the scheme is unknown.
        MissingPackageError: If the scheme needs another package.
        StorageError: If it cannot be used, such as without credentials.
    """

    def __init__(self, url: str) -> None:
        self.fs: Any = None
        self.root, self.local, self._whole_puts = "", False, False
        self.url = url if URL.match(url) else os.path.abspath(os.path.expanduser(url))  # noqa: PTH100, PTH111
        self._open()

    def _open(self) -> None:
        import fsspec

        scheme = self.url.partition("://")[0] if URL.match(self.url) else "file"
        try:
            with _explained(self.url):
                self.fs, root = fsspec.url_to_fs(self.url, use_listings_cache=False, skip_instance_cache=True)
        except StorageError as error:
            cause = error.__cause__
            if isinstance(cause, ValueError) and "rotocol" in str(cause):
                raise UsageError(
                    f"{printable(self.url)}: unknown scheme {scheme}://; use a folder, s3://, gs://, hf:// or another "
                    "of fsspec"
                ) from None
            if isinstance(cause, ImportError):
                raise MissingPackageError(f"{printable(self.url)} needs a package: {cause}") from None
            raise
        self.root = str(root).rstrip("/") or "/"
        protocols = {self.fs.protocol} if isinstance(self.fs.protocol, str) else set(self.fs.protocol)
        self.local = bool(protocols & {"file", "local"})
        self._whole_puts = bool(protocols & WHOLE_PUTS)

    def __getstate__(self) -> str:
        return self.url

    def __setstate__(self, url: str) -> None:
        Store.__init__(self, url)

    def reopen(self) -> None:
        """Connect anew, with credentials as they are now."""
        self._open()

    def path(self, name: str) -> str:
        """Return the path of a file as the file system has it."""
        return f"{self.root.rstrip('/')}/{name}" if name else self.root

    def url_of(self, name: str) -> str:
        """Return the URL of a file, its path if local."""
        return self.path(name) if self.local else f"{self.url.rstrip('/')}/{name}"

    def entries(self, folder: str = "") -> tuple[list[Entry], list[str]] | None:
        """Return the files and the names of the folders in a folder, both sorted; `None` if it does not exist.

        Names are relative to the store. Raises `StorageError`.
        """
        try:
            with _explained(self.url_of(folder)):
                found = self.fs.ls(self.path(folder), detail=True)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return None
            raise
        files: list[Entry] = []
        folders: list[str] = []
        for info in found:
            last = str(info["name"]).rstrip("/").rpartition("/")[2]
            name = f"{folder}/{last}" if folder else last
            if not last or str(info["name"]).rstrip("/") == self.path(folder):  # object stores have such marks
                continue
            if info.get("type") == "directory":
                folders.append(name)
            else:
                files.append(Entry(name, int(info.get("size") or 0), mark_of(info)))
        return sorted(files, key=lambda entry: entry.name), sorted(folders)

    def walk(self, folder: str = "") -> Iterator[list[Entry]]:
        """Yield the files of each folder that is not hidden, one folder at a time; raises `StorageError`."""
        waiting = [folder]
        while waiting:
            found = self.entries(waiting.pop())
            if found is None:
                continue
            files, folders = found
            yield [entry for entry in files if not entry.name.rpartition("/")[2].startswith(".")]
            waiting += reversed([name for name in folders if not name.rpartition("/")[2].startswith(".")])

    def info(self, name: str) -> Entry | None:
        """Return a file; `None` if there is none. Raises `StorageError`."""
        try:
            with _explained(self.url_of(name)):
                info = self.fs.info(self.path(name))
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return None
            raise
        return None if info.get("type") == "directory" else Entry(name, int(info.get("size") or 0), mark_of(info))

    def read(self, name: str) -> bytes:
        """Return the content of a small file; raises `StorageError`."""
        with _explained(self.url_of(name)):
            return bytes(self._tried(lambda: self.fs.cat_file(self.path(name))))

    def get(self, name: str, local: Path) -> None:
        """Copy a file to a local one; raises `StorageError`."""
        with _explained(self.url_of(name)):
            self._tried(lambda: self.fs.get_file(self.path(name), str(local)))

    def put(self, local: Path, name: str) -> Entry:
        """Move a local file here, where it appears complete or not at all, in place of any other.

        If this store is local, the file must be on the same disk. Raises `StorageError`.
        """
        path = self.path(name)
        with _explained(self.url_of(name)):
            if self.local:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(local, path)  # noqa: PTH105 - the target is a path of fsspec
            else:
                self._tried(lambda: self._put(local, path))
                local.unlink()
            written = self.fs.info(path)
        return Entry(name, int(written.get("size") or 0), mark_of(written))

    def _put(self, local: Path, path: str) -> None:
        if self._whole_puts:
            self.fs.put_file(str(local), path)
            return
        folder, _, last = path.rpartition("/")
        self.fs.makedirs(folder, exist_ok=True)
        temporary = f"{folder}/{temporary_name()}"
        try:
            self.fs.put_file(str(local), temporary)
            with suppress(FileNotFoundError):
                self.fs.rm_file(path)
            self.fs.mv(temporary, f"{folder}/{last}")
        except BaseException:
            with suppress(Exception):
                self.fs.rm_file(temporary)
            raise

    def write(self, name: str, content: bytes, *, new: bool = False) -> bool:
        """Write a small file; with `new` only if there is none, and return whether it was written.

        Raises:
            StorageError: It cannot be written.
        """
        path = self.path(name)
        with _explained(self.url_of(name)):
            if self.local:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                if not new:
                    with replacing(Path(path)) as temporary:
                        temporary.write_bytes(content)
                    return True
                temporary = Path(path).with_name(temporary_name())
                temporary.write_bytes(content)
                try:
                    try:
                        os.link(temporary, path)
                    except FileExistsError:
                        raise
                    except OSError:  # a file system without links
                        with open(path, "xb") as file:  # noqa: PTH123 - the path is one of fsspec
                            file.write(content)
                except FileExistsError:
                    return False
                finally:
                    temporary.unlink(missing_ok=True)
                return True
            if not self._whole_puts:
                self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            if not new:
                self._tried(lambda: self.fs.pipe_file(path, content))
                return True
            if self.fs.exists(path):
                return False
            try:
                self.fs.pipe_file(path, content, mode="create")
            except FileExistsError:
                return False
            return True

    def remove(self, name: str) -> None:
        """Remove a file, if there is one; raises `StorageError`."""
        with _explained(self.url_of(name)), suppress(FileNotFoundError):
            self._tried(lambda: self.fs.rm_file(self.path(name)))

    def _tried(self, transfer: Any) -> Any:
        """Call `transfer`, again after a pause if it fails for a reason that may pass."""
        for number in range(TRIES):
            try:
                return transfer()
            except (FileNotFoundError, IsADirectoryError, FileExistsError):
                raise
            except Exception:
                if number == TRIES - 1 or self.local:
                    raise
                time.sleep(PAUSE * 3**number)
                with suppress(Exception):  # credentials may have been renewed
                    self.reopen()
        return None


_stores: dict[str, Store] = {}


def store_of(uri: str) -> tuple[Store, str]:
    """Return the store of a single file, opened once for each bucket or disk, and the file's name in it."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        base, name = split_anchor(PurePath(os.path.abspath(uri)))  # noqa: PTH100 - links stay links
    else:
        bucket, _, name = rest.partition("/")
        base = f"{scheme}://{bucket}" if bucket else f"{scheme}:///"
    if base not in _stores:
        _stores[base] = Store(base)
    return _stores[base], name


def split_anchor(path: PurePath) -> tuple[str, str]:
    """Split an absolute path into its disk, `/` or one such as `C:\\`, and the rest of it, with `/`."""
    return path.anchor, path.relative_to(path.anchor).as_posix()


def mark_of(info: dict[str, Any]) -> str:
    """Return the text that tells this version of a file from others, from what the file system knows about it."""
    found = next((info[name] for name in MARKS if info.get(name) not in (None, "")), "")
    return str(found).strip('"')


def is_inside(inner: Store, outer: Store) -> bool:
    """Whether a store is the same as another or a folder in it."""
    if type(inner.fs) is not type(outer.fs):
        return False
    places = [Path(os.path.realpath(s.root)).as_posix() if s.local else s.root for s in (inner, outer)]
    return f"{places[0].rstrip('/')}/".startswith(f"{places[1].rstrip('/')}/")


def is_running(number: int) -> bool:
    """Whether a process of this machine is running; true where that cannot be told."""
    try:
        if os.name == "posix":
            os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is that of another user
        pass
    return True


@contextmanager
def _explained(url: str) -> Generator[None]:
    """Turn every error of a file system, whose classes have nothing in common, into a `StorageError` of one line."""
    try:
        yield
    except MafdnError:
        raise
    except Exception as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        reason = " ".join(text.split()) or type(error).__name__
        if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"):
            reason = f"no credentials were found ({reason})"
        number = error.errno if isinstance(error, OSError) else None
        raise StorageError(f"cannot use {printable(url)}: {reason}", errno=number) from error
