"""One worker of a fleet: takes pictures, hands them to its process, and finds those that end it."""

import os
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from mafdn.errors import MafdnError
from mafdn.fleet.options import Setup
from mafdn.fleet.process import PictureProcess, ProcessEndedError, TooSlowError, fault_row
from mafdn.fleet.table import RESULT, Row, Table, as_table

MOST_TRIES = 3
"""How often a picture may end its worker or process before it is given up."""


class Ledger:
    """What is being worked on, and what was done but not yet received by the driver.

    It outlives workers, so that a picture that ends them is found, and one that is done is not made again if the worker
    ends before its next ones are.
    """

    def __init__(self) -> None:
        self._tries: dict[str, int] = {}
        self._rows: dict[str, Row] = {}

    def begin(self, name: str) -> tuple[int, Row | None]:
        """Record that work on a picture begins; returns how often that was so, and its row if it is done."""
        if name not in self._rows:
            self._tries[name] = self._tries.get(name, 0) + 1
        return self._tries.get(name, 0), self._rows.get(name)

    def finish(self, name: str, row: Row) -> None:
        """Record that a picture is done or has failed."""
        self._rows[name] = row

    def forget(self, names: Sequence[str]) -> None:
        """Forget pictures whose rows have been received."""
        for name in names:
            self._tries.pop(name, None)
            self._rows.pop(name, None)

    def size(self) -> int:
        """Return how many pictures are remembered."""
        return len(self._tries)


class LedgerLike(Protocol):
    """A `Ledger`, here or in another process."""

    def begin(self, name: str) -> tuple[int, Row | None]: ...
    def finish(self, name: str, row: Row) -> None: ...


class RemoteLedger:
    """A `Ledger` that is an actor of Ray."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def begin(self, name: str) -> tuple[int, Row | None]:
        """As `Ledger.begin`."""
        import ray

        return ray.get(self._actor.begin.remote(name))

    def finish(self, name: str, row: Row) -> None:
        """As `Ledger.finish`."""
        import ray

        ray.get(self._actor.finish.remote(name, row))


class Worker:
    """Upscales pictures in a process of its own, which a picture may end without harm to the others.

    Args:
        setup: What to do.
        ledger: Counts how often each picture was begun.
    """

    def __init__(self, setup: Setup, ledger: LedgerLike) -> None:
        self._setup, self._ledger = setup, ledger
        self._process = PictureProcess(setup)
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    def __call__(self, tasks: Table) -> Table:
        """Upscale pictures, given as rows of `TASK`; returns rows of `RESULT`. No picture raises."""
        return as_table([self.upscale(task) for task in tasks.to_pylist()], RESULT)

    def upscale(self, task: Row) -> Row:
        """Upscale one picture, as often as it may be tried."""
        why = "its worker ended each time, as when memory runs out"
        while True:
            tries, done = self._ledger.begin(task["name"])
            if done is not None:
                return done
            if tries > MOST_TRIES:
                reason = f"{task['uri']} was given up after {MOST_TRIES} tries: {why}"
                return self._finished(task, {"status": "failed", "reason": reason, "fault": False}, MOST_TRIES)
            began = time.perf_counter()
            try:
                return self._finished(task, self._process.run(task), tries)
            except TooSlowError as ended:  # it would be again
                row = {"status": "failed", "reason": f"{task['uri']} {ended}", "fault": False}
                return self._finished(task, row | {"seconds": time.perf_counter() - began}, tries)
            except ProcessEndedError as ended:
                why = f"it {ended}"
            except MafdnError as error:
                return self._finished(task, fault_row(error), tries)

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _finished(self, task: Row, row: Row, tries: int) -> Row:
        same = {name: task[name] for name in ("uri", "name", "target", "source_size", "source_mark", "key")}
        whole = {
            **same,
            "attempts": tries,
            "worker": self._name,
            "finished": datetime.now(UTC),
            "run": self._setup.run,
            **row,
        }
        self._ledger.finish(task["name"], whole)
        return whole


class RayWorker(Worker):
    """A `Worker` as an actor of Ray Data.

    It needs no end: its process ends when the actor does. Waiting for that while Python shuts down could last forever.
    """

    def __init__(self, setup: str, ledger: Any) -> None:
        super().__init__(Setup.from_text(setup), RemoteLedger(ledger))
