"""How long pictures take, from those that were done."""

from collections.abc import Iterable
from itertools import accumulate

from mafdn.web.work.jobs import Job

DECAY = 0.9
"""Weight of what was known before another picture."""
LEAST_WORK = 1_000.0
"""Work in pixels below which a picture says nothing about the speed."""


class Speed:
    """Seconds per unit of work (`mafdn.upscaling.folder.job.work_of`), and how they are known."""

    def __init__(self) -> None:
        self._work = self._seconds = 0.0
        self._pictures = 0

    def measured(self, seconds_per_work: float) -> None:
        """Take over what an engine process measured at its start, unless pictures have shown it."""
        if not self._pictures:
            self._work, self._seconds = 1.0, seconds_per_work

    def done(self, work: float, seconds: float) -> None:
        """Count a picture that was done."""
        if work < LEAST_WORK:
            return
        decay = DECAY if self._pictures else 0.0
        self._work, self._seconds = self._work * decay + work, self._seconds * decay + seconds
        self._pictures += 1

    def seconds(self, works: Iterable[float]) -> float | None:
        """Return the time for pictures of this work, one after the other; `None` if nothing is known."""
        return sum(works) * self._seconds / self._work if self._work else None

    def etas(self, jobs: Iterable[Job], processes: int) -> dict[str, float]:
        """Return the seconds until each of these jobs is done, by its identifier; empty if nothing is known.

        Args:
            jobs: Unfinished jobs, in their order.
            processes: Number of engine processes that share them.
        """
        jobs = list(jobs)
        seconds = [self.seconds([work]) for work in accumulate(job.work_left for job in jobs)]
        pairs = zip(jobs, seconds, strict=True)
        return {job.id: round(left / max(1, processes), 2) for job, left in pairs if left is not None}

    @property
    def basis(self) -> str:
        """How the time is known, as a sentence."""
        if self._pictures:
            return f"measured on the last {self._pictures} picture{'s' if self._pictures > 1 else ''}"
        return "measured when the server started" if self._work else "no estimate yet: the network is being opened"
