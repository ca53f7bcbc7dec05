"""Counting what is done, for whoever watches.

Public names: :func:`counted`, :func:`each`, :func:`ignore`.
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


def each(tick: Callable[[int], None]) -> Callable[..., None]:
    """A callback that counts one more, whatever it is called with."""
    return lambda *_args, **_options: tick(1)


def ignore(*_: object) -> None:
    """Do nothing: the callback for callers that give none."""
