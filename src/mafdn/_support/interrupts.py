"""The signals that ask the program to stop, and steps that they do not divide."""

import signal
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from types import FrameType


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return SIGINT, SIGTERM and SIGHUP, which comes when a terminal is closed.

    Windows has no SIGHUP; under `nohup` it is ignored, and should stay so.
    """
    closed = getattr(signal, "SIGHUP", None)
    if closed is None or signal.getsignal(closed) == signal.SIG_IGN:
        return signal.SIGINT, signal.SIGTERM
    return signal.SIGINT, signal.SIGTERM, closed


@contextmanager
def undivided() -> Generator[None]:
    """Let `stop_signals` wait for the end of this context, where their handlers are called; a second one does not.

    Handlers that raise, as Python's does for Ctrl-C, otherwise may do so between any two lines, such as after a job was
    taken from one list and before it was put into another. Only the main thread is interrupted: in others, this does
    nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: handler for number in stop_signals() if callable(handler := signal.getsignal(number))}
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
