"""Progress callbacks."""

from collections.abc import Callable


def counted(on_progress: Callable[[int, int], None] | None, total: int) -> Callable[[int], None]:
    """Convert increments to a running total.

    Args:
        on_progress: Called as `on_progress(done, total)`; `None` to report nothing.
        total: The amount to be done.

    Returns:
        A function to call with each additional amount done.
    """
    done = 0

    def tick(more: int) -> None:
        nonlocal done
        done += more
        if on_progress:
            on_progress(done, total)

    return tick


def each(tick: Callable[[int], None]) -> Callable[..., None]:
    """A callback that calls `tick(1)`, whatever its arguments."""
    return lambda *_args, **_options: tick(1)


def ignore(*_: object) -> None:
    """Do nothing; the default callback."""
