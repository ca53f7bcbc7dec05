"""The tables of a run: what is planned, and what became of every picture."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Table = Any
"""A `pyarrow.Table`, which has no types."""
Row = dict[str, Any]
TASK = pa.schema(
    [
        ("uri", pa.string()),
        ("name", pa.string()),
        ("target", pa.string()),
        ("stem", pa.string()),
        ("replaces", pa.string()),
        ("source_size", pa.int64()),
        ("source_mark", pa.string()),
        ("reason", pa.string()),
        ("key", pa.uint64()),
    ]
)
"""One row for each picture to upscale: where it is, its name in the source, that of its result, the latter without the
ending for a content that decides for another ending, the name of an existing result that may be replaced, size and
version of the picture, why it is upscaled, and the `key_of` of it and the settings."""
RESULT = pa.schema(
    [
        ("uri", pa.string()),
        ("name", pa.string()),
        ("target", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("seconds", pa.float64()),
        ("network_seconds", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("new_width", pa.int32()),
        ("new_height", pa.int32()),
        ("frames", pa.int32()),
        ("network", pa.string()),
        ("weights", pa.string()),
        ("notes", pa.string()),
        ("sha256", pa.string()),
        ("source_size", pa.int64()),
        ("source_mark", pa.string()),
        ("target_size", pa.int64()),
        ("target_mark", pa.string()),
        ("attempts", pa.int32()),
        ("worker", pa.string()),
        ("finished", pa.timestamp("us", tz="UTC")),
        ("run", pa.string()),
        ("planned", pa.string()),
        ("key", pa.uint64()),
        ("fault", pa.bool_()),
    ]
)
"""One row for each picture that was upscaled or failed; later rows of a name replace earlier ones. `planned` is the
target that was expected where the content decided for another ending; `fault` says that a failure is that of a store or
machine, not of the picture."""


def key_of(*parts: object) -> int:
    """Return 64 bits of a digest of some parts: what takes the place of long names in memory."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def as_table(rows: Iterable[Mapping[str, Any]], schema: Any) -> Table:
    """Return rows as a table; columns that they lack are null."""
    rows = list(rows)
    return pa.table({name: [row.get(name) for row in rows] for name in schema.names}, schema=schema)


def sorted_keys(parts: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Return all keys, sorted and once each."""
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.uint64)


def contains(keys: NDArray[np.uint64], key: int) -> bool:
    """Whether sorted keys contain one."""
    place = int(np.searchsorted(keys, np.uint64(key)))
    return place < len(keys) and int(keys[place]) == key
