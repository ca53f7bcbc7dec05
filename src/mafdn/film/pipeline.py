"""Decode, upscale and encode at the same time."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from queue import Empty, Full, Queue
from threading import Event
from typing import Generic, TypeVar

from mafdn._support.interrupts import undivided
from mafdn._support.threads import WorkThread
from mafdn.film.frame import FilmFrame, Pixels

Item = TypeVar("Item")
DEPTH = 3
"""Frames that wait between two stages at most."""
PATIENCE = 0.1
"""Seconds after which a stage that waits looks whether the others have stopped."""


def pump(
    frames: Iterator[FilmFrame],
    upscale: Callable[[Pixels], Pixels],
    write: Callable[[FilmFrame, Pixels], None],
    *,
    depth: int = DEPTH,
) -> int:
    """Run `upscale` on each frame in this thread, while others decode `frames` and call `write`, in order.

    Memory does not depend on the number of frames. The first exception of any stage, `KeyboardInterrupt` included,
    stops all of them and is raised here, after the threads have ended; frames in between are dropped.

    Args:
        frames: Decoded frames; not used any more afterwards.
        upscale: Returns the result of a frame's pixels.
        write: Called with a frame and its result, always from the same thread (not this one).
        depth: Most frames that wait before, and most that wait after `upscale`.

    Returns:
        The number of frames written.
    """
    stop = Event()
    decoded, results = _Channel[FilmFrame](depth, stop), _Channel[tuple[FilmFrame, Pixels]](depth, stop)
    errors: list[BaseException] = []
    written = 0

    def guarded(stage: Callable[[], None]) -> None:
        try:
            stage()
        except BaseException as error:  # raised again in the thread that called
            errors.append(error)
            stop.set()

    def decode() -> None:
        for frame in frames:
            if not decoded.put(frame):
                return
        decoded.put(None)

    def encode() -> None:
        nonlocal written
        while (item := results.get()) is not None:
            write(*item)
            written += 1

    threads: list[WorkThread] = []
    try:
        with undivided():
            threads += (WorkThread(f"film {stage.__name__}", partial(guarded, stage)) for stage in (decode, encode))
        while (frame := decoded.get()) is not None:
            if not results.put((frame, upscale(frame.pixels))):
                break
        results.put(None)
        _wait(threads)
    except BaseException:
        stop.set()
        while not all(thread.is_over for thread in threads):
            with suppress(KeyboardInterrupt):  # a second one: no file may be closed that a thread still uses
                _wait(threads)
        raise
    if errors:
        raise errors[0]
    return written


def _wait(threads: list[WorkThread]) -> None:
    for thread in threads:
        thread.wait()


class _Channel(Generic[Item]):
    """A bounded queue that ends early when `stop` is set; `None` is its last item."""

    def __init__(self, depth: int, stop: Event) -> None:
        self._queue: Queue[Item | None] = Queue(depth)
        self._stop = stop

    def put(self, item: Item | None) -> bool:
        """Add an item when there is room; returns whether it was added."""
        while not self._stop.is_set():
            with suppress(Full):
                self._queue.put(item, timeout=PATIENCE)
                return True
        return False

    def get(self) -> Item | None:
        """Return the next item, or `None` at the end or when everything stops."""
        while not self._stop.is_set():
            with suppress(Empty):
                return self._queue.get(timeout=PATIENCE)
        return None
