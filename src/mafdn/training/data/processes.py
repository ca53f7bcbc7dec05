"""One function over many tasks in several processes, which end with the one that started them.

Public names: :func:`spread`.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from mafdn._support.progress import ignore
from mafdn.errors import MafdnError

Task = TypeVar("Task")
Result = TypeVar("Result")


def spread(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    workers: int | None = None,
    on_done: Callable[[int], None] | None = None,
) -> list[Result]:
    """``[function(task) for task in tasks]``, over ``workers`` processes (as many as cores when not given).

    ``on_done(index)`` is called after each task, as they finish. One worker or one task needs no further process.
    The first error of a task is raised here and ends all workers at once, whatever they are doing, and so does the end
    of this process in any manner. Raises :class:`MafdnError` when a worker is killed.
    """
    count = min(workers or os.cpu_count() or 1, len(tasks))
    tell = on_done or ignore
    if count <= 1:
        results: list[Result] = []
        for index, task in enumerate(tasks):
            results.append(function(task))
            tell(index)
        return results
    # Not forked: a parent that has run torch holds locks that a forked child would wait for.
    context = get_context("spawn")
    lifeline, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_live_by, initargs=(lifeline,))
    try:
        futures = {pool.submit(function, task): index for index, task in enumerate(tasks)}
        for future in as_completed(futures):
            future.result()
            tell(futures[future])
        return [future.result() for future in futures]
    except BaseException as error:
        held.close()
        if isinstance(error, BrokenProcessPool):
            raise MafdnError("a worker was killed, perhaps for lack of memory; go on with fewer --workers") from None
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        held.close()
        lifeline.close()


def _live_by(lifeline: Connection) -> None:
    """In a worker: exit when nobody holds the other end of ``lifeline`` any more; leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        with contextlib.suppress(EOFError, OSError):
            lifeline.recv()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
