"""One record and one table of what shards of a folder or runs of a fleet recorded."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from mafdn._support.atomic import printable, replacing
from mafdn._support.validate import URL
from mafdn.errors import MafdnError, UsageError
from mafdn.fleet.state import RESULTS, FleetLock, files_in, read_table, run_name, write_table
from mafdn.fleet.storage import Store
from mafdn.fleet.table import RESULT, Row, Table, as_table
from mafdn.upscaling.folder.manifest import Manifest
from mafdn.upscaling.shards import MANIFEST, manifests_in

ENDINGS = (".parquet", ".csv", ".jsonl")
"""Endings of tables."""
MANIFEST_COLUMNS = ("target", "source", "status", "sha256", "source_sha256", "weights", "verification", "written")
"""Columns of the table of a folder of `mafdn upscale`; objects are JSON."""


def merge(folder: str, output: Path | None = None, *, overwrite: bool = False) -> dict[str, Any]:
    """Join the records of a folder of results into one, and write them as one table.

    Args:
        folder: Folder of the results of `mafdn upscale` with shards, or folder or URL of those of `mafdn fleet`.
        output: File for the table: `.parquet`, `.csv` or `.jsonl`.
        overwrite: Whether to replace an existing file.

    Returns:
        `records`, how many were joined, and `counts`, how many results there are of each status.

    Raises:
        UsageError: The ending of `output` is another, or the folder has no records.
        MafdnError: The file exists, a run is working in the folder, or it cannot be read or written.
    """
    if output is not None:
        if output.suffix.lower() not in ENDINGS:
            raise UsageError(f"{printable(output)} must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
        if output.exists() and not overwrite:
            raise MafdnError(f"{printable(output)} exists; use another name or --overwrite")
    if not URL.match(folder) and (paths := manifests_in(Path(folder))):
        return _merge_manifests(Path(folder), paths, output)
    store = Store(folder)
    names = files_in(store, RESULTS)
    if not names:
        raise UsageError(f"{printable(folder)} has no records of mafdn upscale or mafdn fleet")
    return _merge_results(store, names, output)


def _merge_manifests(folder: Path, paths: list[Path], output: Path | None) -> dict[str, Any]:
    """Join the manifests of shards into that of the whole folder."""
    with Manifest(folder) as manifest:  # which has the lock of the folder
        for path in paths:
            if path.name != MANIFEST:
                try:
                    manifest.absorb(path)
                    path.unlink()
                except OSError as error:
                    raise MafdnError.from_os_error(f"cannot write in {printable(folder)}", error) from None
        entries = list(manifest.entries.values())
    rows: list[Row] = []
    for entry in sorted(entries, key=lambda entry: entry.target):
        value = asdict(entry)
        unfinished = entry.output is None or entry.temporary is not None
        objects = {name: json.dumps(value[name]) if value[name] else None for name in ("verification",)}
        weights = (entry.choice or {}).get("variant")
        status = "unfinished" if unfinished else "done"
        rows.append(value | objects | {"status": status, "sha256": entry.output, "weights": weights})
    table = pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in MANIFEST_COLUMNS})
    if output is not None:
        _write(table, output)
    return {"records": len(paths), "counts": dict(Counter(row["status"] for row in rows))}


def _merge_results(store: Store, names: list[str], output: Path | None) -> dict[str, Any]:
    """Join the parts of a fleet's table; the table to write has the last row of each result."""
    run = run_name()
    with FleetLock(store, run):
        kept, latest = _kept(read_table(store, name) for name in names)
        if len(names) > 1:
            write_table(store, f"{RESULTS}/{run}-000001.parquet", as_table(kept, RESULT))
            for name in names:
                store.remove(name)
    table = as_table(latest, RESULT)
    if output is not None:
        _write(table, output)
    return {"records": len(names), "counts": dict(Counter(table["status"].to_pylist()))}


def _kept(tables: Iterable[Table]) -> tuple[list[Row], list[Row]]:
    """Return the rows that later runs need, in their order, and the last row of each result, by picture.

    Runs need the last row of each file, too: what became of a later attempt does not make it a file of others.
    """
    latest: dict[tuple[str, str | None], tuple[int, Row]] = {}
    made: dict[str, tuple[int, Row]] = {}
    number = itertools.count()
    for table in tables:
        for row in table.to_pylist():
            numbered = next(number), row
            latest[row["name"], row["planned"] or row["target"]] = numbered
            if row["status"] == "done":
                made[row["target"]] = numbered
    kept = dict([*latest.values(), *made.values()])
    return [kept[n] for n in sorted(kept)], [row for _, row in sorted(latest.values(), key=_by_picture)]


def _by_picture(numbered: tuple[int, Row]) -> tuple[str, int]:
    return numbered[1]["name"], numbered[0]


def _write(table: Table, output: Path) -> None:
    """Write a table in the format of the file's ending; raises `MafdnError`."""
    try:
        with replacing(output) as temporary:
            if output.suffix.lower() == ".parquet":
                pq.write_table(table, temporary, compression="zstd")
            elif output.suffix.lower() == ".csv":
                pyarrow.csv.write_csv(table, temporary)
            else:
                lines = (json.dumps(row, default=str) + "\n" for row in table.to_pylist())
                temporary.write_text("".join(lines), "utf-8")
    except OSError as error:
        raise MafdnError.from_os_error(f"cannot write {printable(output)}", error) from None
