"""Apply a function to many tasks in several processes, which end with the process that started them."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import ModuleType
from typing import TypeVar

from mafdn._support.machine import usable_cores
from mafdn._support.progress import ignore
from mafdn.errors import MafdnError

Task = TypeVar("Task")
Result = TypeVar("Result")

MOST_ON_WINDOWS = 61
"""Largest number of processes of a `ProcessPoolExecutor` on Windows."""


def spread(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    workers: int | None = None,
    on_done: Callable[[int], None] | None = None,
) -> list[Result]:
    """Return `[function(task) for task in tasks]`, computed in several processes.

    The first error in a task is raised here and stops all workers at once. Workers also exit when this process ends,
    for whatever reason. A single worker or task runs in this process.

    Args:
        function: A function that can be pickled, of a module that workers can import.
        tasks: Its arguments.
        workers: Number of processes; by default one per usable core.
        on_done: Called as `on_done(index)` after each task, in the order in which they finish.

    Raises:
        MafdnError: A worker was killed.
    """
    count = min(workers or usable_cores(), len(tasks), MOST_ON_WINDOWS if sys.platform == "win32" else len(tasks))
    report = on_done or ignore
    if count <= 1:
        results: list[Result] = []
        for index, task in enumerate(tasks):
            results.append(function(task))
            report(index)
        return results
    # Spawned, not forked: a forked child would wait for locks that torch holds in the parent.
    context = get_context("spawn")
    lifeline, other_end = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_exit_with_parent, initargs=(lifeline,))
    try:
        with _without_main():  # submitting tasks starts the workers
            futures = {pool.submit(function, task): index for index, task in enumerate(tasks)}
        for future in as_completed(futures):
            future.result()
            report(futures[future])
        return [future.result() for future in futures]
    except BaseException as error:
        other_end.close()
        if isinstance(error, BrokenProcessPool):
            raise MafdnError(
                "a worker was killed, perhaps out of memory; resume with fewer workers", setting="workers"
            ) from None
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        other_end.close()
        lifeline.close()


@contextlib.contextmanager
def _without_main() -> Generator[None]:
    """Processes that are spawned in this context do not import the script that this process runs.

    It may have no `if __name__ == "__main__"`, and would do its work again in each of them.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _exit_with_parent(lifeline: Connection) -> None:
    """Make a worker exit when the other end of `lifeline` is closed, and leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        with contextlib.suppress(EOFError, OSError):
            lifeline.recv()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
