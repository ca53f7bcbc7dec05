"""The pictures of a source: a folder or bucket, or a list of files."""

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from mafdn._support.atomic import printable
from mafdn._support.validate import URL
from mafdn.errors import MafdnError, UsageError
from mafdn.fleet.storage import Entry, Store, store_of
from mafdn.pictures.formats import SUFFIXES

LISTS = (".parquet", ".txt", ".lst")
"""Endings of lists of files: a table with the column `uri` (and optionally `name`, `size` and `mark`), or text with a
URI in each line."""
TEXTS, SIZE = ("uri", "name"), "size"
"""Columns of a table that hold text, and the one of whole numbers; any type is taken as text for `mark`."""
ROWS = 10_000
"""Rows of a list that are read at a time."""
LOOK_UPS = 32
"""Listed files, or results, that are looked up at the same time."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A file that may be a picture.

    Args:
        uri: Its URL, or its path if it is local.
        name: Its name relative to the source, with `/`; unique.
        size: Its size in bytes; 0 if unknown.
        mark: A text that changes with its content; empty if unknown.
    """

    uri: str
    name: str
    size: int
    mark: str


class Source:
    """Where the pictures are.

    Args:
        url: A folder, local or a URL of fsspec, or a list of files by its ending (`LISTS`).

    Attributes:
        store: The folder; `None` for a list, whose names are no paths in it.
        not_pictures: How many files were left out for their names, so far.

    Raises:
        UsageError: If there is no such folder or list, or the scheme is unknown.
        MafdnError: As `Store`.
    """

    def __init__(self, url: str) -> None:
        self.url, self.not_pictures = url, 0
        self.store: Store | None = None
        self._list: tuple[Store, str] | None = None
        if url.lower().endswith(LISTS):
            folder, name = split_list(url)
            store = Store(folder or ".")
            if store.info(name) is not None:
                self._list = store, name
                self._check_columns(store, name)
                return
        self.store = Store(url)
        found = self.store.entries()
        if found is None:
            raise UsageError(f"{printable(url)}: there is no such folder, bucket or list of files")
        if not any(found) and self.store.info("") is not None:  # file systems list a file as if it were a folder
            endings = f"{', '.join(LISTS[:-1])} or {LISTS[-1]}"
            raise UsageError(f"{printable(url)} is a file: give a folder or bucket; a list must end in {endings}")

    def _check_columns(self, store: Store, name: str) -> None:
        if not name.endswith(".parquet"):
            return
        import pyarrow.parquet as pq
        from pyarrow import ArrowException

        try:
            with store.fs.open(store.path(name), "rb") as file:
                schema = pq.ParquetFile(file).schema_arrow
        except ArrowException as error:
            raise UsageError(f"{printable(self.url)} is no Parquet file: {error}") from None
        if "uri" not in schema.names:
            raise UsageError(f"{printable(self.url)} has no column uri, only {printable(', '.join(schema.names))}")
        for column in schema:
            expected = "text" if column.name in TEXTS else "whole numbers" if column.name == SIZE else None
            if expected and not _holds(column.type, expected):
                words = f"column {column.name} must be {expected}, not {column.type}"
                raise UsageError(f"{printable(self.url)}: {words}")

    def folders(self) -> Iterator[tuple[str | None, list[Picture]]]:
        """Yield the pictures of each folder, with its name; those of a list in parts, with `None`.

        Raises:
            MafdnError: The source cannot be read, or a list lacks a column.
        """
        if self.store is None:
            with ThreadPoolExecutor(LOOK_UPS) as pool:
                for part in self._listed():
                    yield None, list(pool.map(_looked_up, part))
            return
        store = self.store
        for entries in store.walk():
            pictures = [entry for entry in entries if f".{entry.name.rpartition('.')[2].lower()}" in SUFFIXES]
            self.not_pictures += len(entries) - len(pictures)
            if pictures:
                yield pictures[0].name.rpartition("/")[0], [_picture(store, entry) for entry in pictures]

    def _listed(self) -> Iterator[list[Picture]]:
        assert self._list is not None
        store, name = self._list
        if not name.endswith(".parquet"):
            # Editors on Windows write a mark at the beginning of a text, which is no part of the first name.
            lines = io.TextIOWrapper(io.BytesIO(store.read(name)), encoding="utf-8-sig", errors="surrogateescape")
            uris = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
            for start in range(0, len(uris), ROWS):
                part = uris[start : start + ROWS]
                yield [Picture(uri=_absolute(uri), name=name_of(uri), size=0, mark="") for uri in part]
            return
        import pyarrow.parquet as pq

        with store.fs.open(store.path(name), "rb") as file:
            table = pq.ParquetFile(file)
            columns = [c for c in ("uri", "name", "size", "mark") if c in table.schema_arrow.names]
            for batch in table.iter_batches(ROWS, columns=columns):
                yield [
                    Picture(
                        uri=_absolute(row["uri"]),
                        name=row.get("name") or name_of(row["uri"]),
                        size=int(row.get("size") or 0),
                        mark=str(row.get("mark") or ""),
                    )
                    for row in batch.to_pylist()
                    if row["uri"]
                ]


def _picture(store: Store, entry: Entry) -> Picture:
    return Picture(uri=store.url_of(entry.name), name=entry.name, size=entry.size, mark=entry.mark)


def _looked_up(picture: Picture) -> Picture:
    """Return a picture with size and mark; as it is if the list has them, or if the file cannot be found now."""
    if picture.size or picture.mark:
        return picture
    try:
        store, name = store_of(picture.uri)
        entry = store.info(name)
    except MafdnError:  # whoever reads the picture will say so
        return picture
    return picture if entry is None else replace(picture, size=entry.size, mark=entry.mark)


def _holds(kind: Any, expected: str) -> bool:
    """Whether a column of this type of Arrow holds `text` or `whole numbers`; one without values holds both."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if expected == "text":
        fits = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    else:
        fits = types.is_integer(kind)
    return fits or types.is_null(kind)


def split_list(url: str) -> tuple[str, str]:
    """Split the path or URL of a list into its folder and its name."""
    if not URL.match(url):
        return os.path.split(url)
    folder, _, name = url.rpartition("/")
    return folder, name


def _absolute(uri: str) -> str:
    """Return a path of a list, as it is seen from here, for workers in other folders; URLs stay as they are."""
    return uri if "://" in uri else os.path.abspath(uri)  # noqa: PTH100 - links stay links


def name_of(uri: str) -> str:
    """Return the name of a listed file: its path, or bucket and path, without `..`."""
    path = uri.partition("://")[2] if URL.match(uri) else os.path.splitdrive(uri)[1]
    return "/".join(part for part in path.replace("\\", "/").split("/") if part not in ("", ".", ".."))
