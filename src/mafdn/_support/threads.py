"""Threads whose end can be waited for in spite of Ctrl-C."""

from collections.abc import Callable
from threading import Event, Thread

STEP = 0.1
"""Seconds after which a wait looks for Ctrl-C, which does not end it by itself on every system."""


class WorkThread:
    """A daemon thread, started at once.

    `Thread.join` of Python 3.11 takes a thread for ended, from then on, if Ctrl-C interrupts it.

    Args:
        name: Name of the thread.
        work: What it does; it must not raise.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._over = Event()

        def run() -> None:
            try:
                work()
            finally:
                self._over.set()

        self._thread = Thread(target=run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether its work is over."""
        return self._over.is_set()

    def wait(self) -> None:
        """Wait for its end; Ctrl-C may interrupt this, and it can be called again."""
        while not self._over.wait(STEP):
            pass
        self._thread.join()
