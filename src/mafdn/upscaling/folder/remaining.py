"""An estimate of the remaining time of a run, from the pictures that are done."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

HALF_LIFE = 600.0
"""Seconds after which a picture counts half: other work may have slowed the machine down or stopped."""
LEAST_SHARE = 0.02
"""Share of the current picture from which it counts."""
LEAST_SPREAD = 0.1
"""Spread of the pictures' work from which a constant time per picture can be told apart from that of its pixels."""


@dataclass
class _Sums:
    """Weighted sums over pictures: number, work, 1 / work, seconds, and seconds / work."""

    count: float = 0.0
    work: float = 0.0
    inverse: float = 0.0
    seconds: float = 0.0
    rate: float = 0.0

    def plus(self, work: float, seconds: float, *, decay: float = 1.0) -> "_Sums":
        """Return the sums with one more picture, after those so far were weighted by `decay`."""
        return _Sums(
            self.count * decay + 1,
            self.work * decay + work,
            self.inverse * decay + 1 / work,
            self.seconds * decay + seconds,
            self.rate * decay + seconds / work,
        )

    def fit(self) -> tuple[float, float]:
        """Fit seconds per work, and constant seconds per picture, whose errors grow with the root of the work."""
        spread = self.work * self.inverse - self.count**2  # 0 if all pictures have the same size
        if spread > LEAST_SPREAD * self.count**2:
            per_work = (self.inverse * self.seconds - self.count * self.rate) / spread
            per_picture = (self.work * self.rate - self.count * self.seconds) / spread
            if per_work > 0 and per_picture > 0:
                return per_work, per_picture
        return self.seconds / self.work, 0.0


class RemainingTime:
    """The remaining time of pictures that are processed one after another, of which each takes some work.

    A picture is assumed to take a time proportional to its work, and a constant time, which matters for small ones.

    Args:
        works: The work of every picture, in any unit.
    """

    def __init__(self, works: Iterable[float]) -> None:
        works = [max(work, 1.0) for work in works]
        self._left, self._left_count = sum(works), len(works)
        self._sums = _Sums()
        self._since = clock()

    def exclude(self, seconds: float) -> None:
        """Do not count this time, such as that for opening a network, to any picture."""
        self._since += seconds

    def done(self, work: float) -> None:
        """Count a picture as done just now."""
        now = clock()
        seconds = max(now - self._since, 0.0)
        self._sums = self._sums.plus(max(work, 1.0), seconds, decay=0.5 ** (seconds / HALF_LIFE))
        self.drop(work)

    def drop(self, work: float) -> None:
        """Count a picture as neither done nor remaining; the time it took is ignored."""
        self._left -= max(work, 1.0)
        self._left_count -= 1
        self._since = clock()

    def seconds(self, work: float, share: float) -> float | None:
        """Return the remaining seconds while `share` of a picture with this `work` is done; `None` if unknown."""
        work, elapsed = max(work, 1.0), max(clock() - self._since, 0.0)
        sums = self._sums if share < LEAST_SHARE else self._sums.plus(work * share, elapsed)
        if not sums.work or not sums.seconds:
            return None
        per_work, per_picture = sums.fit()
        others = per_work * max(self._left - work, 0.0) + per_picture * max(self._left_count - 1, 0)
        current = per_work * work + per_picture
        return others + max(current * (1 - share), 0.0)


def clock() -> float:
    """Return the time in seconds, from an arbitrary start."""
    return time.perf_counter()
