"""Counting what is done, for whoever watches.

Public names: :func:`counted`.
"""

from collections.abc import Callable


def counted(on_progress: Callable[[int, int], None] | None, total: int) -> Callable[[int], None]:
    """What is called with how much more is done; it tells ``on_progress`` of all that is, and of ``total``."""
    done = 0

    def tick(more: int) -> None:
        nonlocal done
        done += more
        if on_progress:
            on_progress(done, total)

    return tick
