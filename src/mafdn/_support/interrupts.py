"""Steps that Ctrl-C does not divide."""

import signal
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def undivided() -> Generator[None]:
    """Let SIGINT and SIGTERM wait for the end of this context, where their handlers are called; a second one does not.

    Handlers that raise, as Python's does for Ctrl-C, otherwise may do so between any two lines, such as after a job was
    taken from one list and before it was put into another. Only the main thread is interrupted: in others, this does
    nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}
    waiting: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        if waiting:
            handlers[signal.Signals(number)](number, frame)
        waiting.append(number)

    try:
        with ExitStack() as stack:
            for number, handler in handlers.items():
                stack.callback(signal.signal, number, handler)
                signal.signal(number, wait)
            yield
    finally:
        for number in waiting[:1]:
            handlers[signal.Signals(number)](number, None)
