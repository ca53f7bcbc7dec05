"""What a run keeps beside its results: who is at work, what is planned, and the table of what became of every picture.

All is in the folder `.mafdn-fleet` of the target: a plan for each window of pictures, written before they are begun and
removed when all of their rows are in the table, and the table in parts of Parquet, later rows after earlier ones. What
a killed run made but did not record is thus known to be ours.
"""

import json
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mafdn._support.atomic import printable, temporary_name
from mafdn.errors import MafdnError
from mafdn.fleet.storage import STATE, StorageError, Store, is_running
from mafdn.fleet.table import TASK, Row, Table, as_table, key_of, sorted_keys

LOCK, PLANS, RESULTS = f"{STATE}/lock.json", f"{STATE}/plans", f"{STATE}/results"
"""The file that says who is at work, and the folders of plans and results; runs on a shard have a lock of their own."""
BEAT_SECONDS = 20.0
"""Time after which a run says again that it is at work."""
STALE_SECONDS = 120.0
"""Time after which a run that has not said so is taken for killed."""
PART_ROWS = 5_000
"""Rows of a part of the table at most, until parts are joined."""
PART_SECONDS = 10.0
"""Time after which rows are written, however few they are."""


class FleetLock:
    """Keeps a second driver from the same target; a context manager.

    Args:
        target: Where the results are.
        run: Name of the run.
        share: Name of the share of the pictures; empty for all.

    Raises:
        MafdnError: On entry, another run is at work, or was a moment ago.
    """

    def __init__(self, target: Store, run: str, share: str = "") -> None:
        self._target, self._run = target, run
        self._name = LOCK if not share else f"{STATE}/lock-{share}.json"
        self._whole = bool(not share)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self.lost: str | None = None
        """Why this run must end; `None` if it need not."""

    def __enter__(self) -> "FleetLock":
        self._refuse_others()
        if not self._target.write(self._name, self._content(), new=True):
            self._refuse(self._name)
            self._target.write(self._name, self._content())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self.lost is None:
            with suppress(MafdnError):  # it will be taken for killed
                self._target.remove(self._name)

    def _refuse_others(self) -> None:
        """Refuse to begin beside a run on all pictures, or on shares if this is one on all."""
        found = self._target.entries(STATE)
        for entry in found[0] if found else []:
            last = entry.name.rpartition("/")[2]
            other = entry.name != self._name and last.startswith("lock") and last.endswith(".json")
            if other and (self._whole or entry.name == LOCK):
                self._refuse(entry.name)

    def _refuse(self, name: str) -> None:
        """Raise `MafdnError` if the run of this lock is still at work."""
        try:
            value = json.loads(self._target.read(name))
            host, number, seen = str(value["host"]), int(value["pid"]), float(value["seen"])
        except (StorageError, ValueError, KeyError, TypeError):
            return  # it has just ended, or nobody can tell
        ago = time.time() - seen
        if ago > STALE_SECONDS or (host == socket.gethostname() and not is_running(number)):
            return
        where = printable(self._target.url)
        raise MafdnError(
            f"another run is working on {where} (process {number} on {printable(host)}, seen {max(0, ago):.0f} s ago); "
            f"wait for it or stop it; a run that was killed is forgotten after {STALE_SECONDS:.0f} s"
        )

    def _content(self) -> bytes:
        value = {"run": self._run, "host": socket.gethostname(), "pid": os.getpid(), "seen": time.time()}
        return json.dumps(value).encode()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            try:
                if json.loads(self._target.read(self._name))["run"] != self._run:
                    self.lost = "another run has taken over the target"
                    return
                self._target.write(self._name, self._content())
            except (MafdnError, ValueError, KeyError, TypeError):
                continue  # the store may be back at the next beat


class Recorder:
    """Writes rows of results in parts, and joins the parts of a window.

    Args:
        target: Where the results are.
        run: Name of the run.
    """

    def __init__(self, target: Store, run: str) -> None:
        self._target, self._run = target, run
        self._tables: list[Table] = []
        self._parts: list[str] = []
        self._count = 0
        self._written = time.monotonic()

    def add(self, rows: Table) -> list[str]:
        """Add rows; returns the names of the pictures that have been written since the last call, if any."""
        self._tables.append(rows)
        due = sum(len(table) for table in self._tables) >= PART_ROWS or time.monotonic() - self._written > PART_SECONDS
        return self.flush() if due else []

    def flush(self) -> list[str]:
        """Write all rows; returns the names of their pictures. Raises `StorageError`."""
        self._written = time.monotonic()
        if not self._tables:
            return []
        table = pa.concat_tables(self._tables)
        self._parts.append(self._write(table))
        self._tables = []
        return table["name"].to_pylist()

    def join(self) -> None:
        """Write the parts since the last call as one; raises `StorageError`."""
        self.flush()
        if len(self._parts) > 1:
            whole = pa.concat_tables(read_table(self._target, part) for part in self._parts)
            self._write(whole)
            for part in self._parts:
                self._target.remove(part)
        self._parts = []

    def _write(self, table: Table) -> str:
        self._count += 1
        name = f"{RESULTS}/{self._run}-{self._count:06d}.parquet"
        write_table(self._target, name, table)
        return name


class Known:
    """What earlier runs recorded, as keys of 8 bytes, so that 100 million pictures take 1.6 GB.

    Attributes:
        done: `key_of` name, version and settings of pictures and the version of their results.
        failed: `key_of` name, version and settings of pictures whose last attempt failed.
        targets: `key_of` the names of all results, made or planned.
        renamed: The result of each picture whose content decided for another ending than was planned, by its target.
        owners: The names of these pictures, by their results.
    """

    def __init__(self) -> None:
        self.done = self.failed = self.targets = np.empty(0, np.uint64)
        self.renamed: dict[str, str] = {}
        self.owners: dict[str, str] = {}

    @classmethod
    def read(cls, target: Store) -> "Known":
        """Read all plans and results; raises `StorageError`."""
        known = cls()
        done: list[NDArray[np.uint64]] = []
        targets: list[NDArray[np.uint64]] = []
        columns = ["name", "target", "planned", "status", "key", "target_size", "target_mark", "fault"]
        for name in files_in(target, RESULTS):
            table = read_table(target, name, columns)
            for batch in table.to_batches():
                rows = batch.to_pylist()
                made = [row for row in rows if row["status"] == "done"]
                done.append(_keys(done_key(row["key"], row["target_size"], row["target_mark"]) for row in made))
                known._add_failures(rows)
                targets.append(_keys(key_of(row["target"]) for row in made))
                for row in made:
                    if row["planned"]:
                        known.renamed[row["planned"]] = row["target"]
                        known.owners[row["target"]] = row["name"]
                    else:
                        known.renamed.pop(row["target"], None)
        for name in files_in(target, PLANS):
            names = read_table(target, name, ["target"])["target"].to_pylist()
            targets.append(_keys(key_of(name) for name in names))
        known.done, known.targets = sorted_keys(done), sorted_keys(targets)
        return known

    def _add_failures(self, rows: Iterable[Row]) -> None:
        """Add the pictures that failed, and take out those that were upscaled later; rows are in order."""
        failed = dict[int, bool]()
        for row in rows:
            if row["status"] == "done":
                failed[row["key"]] = False
            elif row["status"] == "failed" and not row["fault"]:
                failed[row["key"]] = True
        if len(self.failed):
            self.failed = np.setdiff1d(self.failed, _keys(key for key, last in failed.items() if not last))
        if any(failed.values()):
            self.failed = np.union1d(self.failed, _keys(key for key, last in failed.items() if last))


def done_key(key: int, size: int, mark: str) -> int:
    """Return the key of a picture, `key`, together with the size and version of its result."""
    return key_of(key, size, mark)


def _keys(values: Iterable[int]) -> NDArray[np.uint64]:
    return np.fromiter(values, np.uint64)


def write_plan(target: Store, run: str, number: int, tasks: list[Row]) -> str:
    """Record what is about to be made; returns the name of the file. Raises `StorageError`."""
    name = f"{PLANS}/{run}-{number:06d}.parquet"
    write_table(target, name, as_table(tasks, TASK))
    return name


def remove_plans(target: Store) -> None:
    """Remove the plans of all runs; raises `StorageError`."""
    for name in files_in(target, PLANS):
        target.remove(name)


def files_in(target: Store, folder: str) -> list[str]:
    """Return the tables in a folder of the state, the earliest first; raises `StorageError`."""
    found = target.entries(folder)
    return sorted(entry.name for entry in found[0] if entry.name.endswith(".parquet")) if found else []


def read_table(target: Store, name: str, columns: list[str] | None = None) -> Table:
    """Read a table of the state; raises `StorageError`."""
    try:
        return pq.read_table(pa.BufferReader(target.read(name)), columns=columns)
    except pa.ArrowException as error:
        raise StorageError(f"{printable(target.url_of(name))} is damaged ({error}); remove it") from None


def write_table(target: Store, name: str, table: Table) -> None:
    """Write a table of the state; raises `StorageError`."""
    parent: str | None = None
    if target.local:
        parent = target.path(name).rpartition("/")[0]
        Path(parent).mkdir(parents=True, exist_ok=True)
    local = Path(parent or tempfile.gettempdir()) / temporary_name()
    try:
        pq.write_table(table, local, compression="zstd")
        if target.local:
            with local.open("rb+") as file:
                os.fsync(file.fileno())
        target.put(local, name)
    except OSError as error:
        raise StorageError.from_os_error(f"cannot write {printable(target.url_of(name))}", error) from None
    finally:
        local.unlink(missing_ok=True)


def run_name() -> str:
    """Return a name for a run; later runs have later names, even within a second."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{secrets.token_hex(3)}"
