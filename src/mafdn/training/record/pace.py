"""The current pace of a run: patches per second over its last few reports."""

import time
from collections import deque
from collections.abc import Callable

WINDOW = 10
"""Number of report intervals that the pace is averaged over."""


class Pace:
    """Measures patches per second in this process by wall-clock time, including validation and saving.

    Start-up is left out: the clock starts after the first step, which allocates memory and chooses kernels.

    Args:
        clock: Returns the current time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: deque[tuple[int, float]] = deque(maxlen=WINDOW + 1)
        self.latest: float | None = None
        """Patches per second at the last update; `None` before the first measurement."""

    def start(self, samples: int) -> None:
        """Start the clock, unless it is running, at `samples` patches."""
        if not self._marks:
            self._marks.append((samples, self._clock()))

    def update(self, samples: int) -> float | None:
        """Return the patches per second up to now, or `None` if nothing was measured yet.

        Args:
            samples: Patches that the run has trained on.
        """
        self._marks.append((samples, self._clock()))
        (first, then), (last, now) = self._marks[0], self._marks[-1]
        self.latest = (last - first) / (now - then) if last > first and now > then else None
        return self.latest

    def restart(self) -> None:
        """Forget all measurements, because the run went back to a checkpoint; the next `start` counts again."""
        self._marks.clear()
        self.latest = None
