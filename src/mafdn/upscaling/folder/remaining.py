"""An estimate of the remaining time of a run, from the pictures that are done."""

import time
from collections.abc import Iterable
from dataclasses import astuple, dataclass

HALF_LIFE = 600.0
"""Seconds after which a picture counts half: other work may have slowed the machine down or stopped."""
LEAST_SHARE = 0.02
"""Share of the current picture from which it counts."""
LEAST_SECONDS = 1e-3
"""Shorter times of pictures are taken for this."""
NOISE = 0.2
"""How much the times of pictures differ from what is expected, relative to them."""
USUAL_SECONDS = 0.5
"""Constant time of a picture that is usual; until pictures show it to be longer, it is assumed to be below."""


@dataclass
class _Sums:
    """Sums over the pictures that are done, with their work w and seconds t."""

    work: float = 0.0
    seconds: float = 0.0
    count: float = 0.0
    work_squared: float = 0.0
    """w**2 / t**2; the others likewise relative to t, so that every picture counts by its relative error."""
    work_once: float = 0.0
    """w / t**2."""
    inverse_squared: float = 0.0
    """1 / t**2."""
    work_inverse: float = 0.0
    """w / t."""
    inverse: float = 0.0
    """1 / t."""

    def plus(self, work: float, seconds: float) -> "_Sums":
        """Return the sums with one more picture; those so far count less, the longer it took."""
        decay, t = 0.5 ** (seconds / HALF_LIFE), max(seconds, LEAST_SECONDS)
        more = (work, seconds, 1.0, (work / t) ** 2, work / t**2, 1 / t**2, work / t, 1 / t)
        return _Sums(*(old * decay + new for old, new in zip(astuple(self), more, strict=True)))

    def fit(self) -> tuple[float, float]:
        """Fit seconds per work and constant seconds per picture, by least squares of the relative errors.

        The constant is shrunk to 0 where it cannot be estimated well, as when all pictures are large.
        """
        inverse_squared = self.inverse_squared + (NOISE / USUAL_SECONDS) ** 2
        spread = self.work_squared * inverse_squared - self.work_once**2
        per_work = (inverse_squared * self.work_inverse - self.work_once * self.inverse) / spread
        per_picture = (self.work_squared * self.inverse - self.work_once * self.work_inverse) / spread
        return (per_work, per_picture) if per_work > 0 and per_picture > 0 else (self.seconds / self.work, 0.0)


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
        self._sums = self._sums.plus(max(work, 1.0), max(clock() - self._since, 0.0))
        self.drop(work)

    def drop(self, work: float) -> None:
        """Count a picture as neither done nor remaining; the time it took is ignored."""
        self._left -= max(work, 1.0)
        self._left_count -= 1
        self._since = clock()

    def seconds(self, work: float, share: float) -> float | None:
        """Return the remaining seconds while `share` of a picture with this `work` is done; `None` if unknown."""
        work, elapsed, sums = max(work, 1.0), max(clock() - self._since, 0.0), self._sums
        counts = share >= LEAST_SHARE and elapsed > 0
        if sums.seconds > 0:
            per_work, per_picture = sums.fit()
        elif counts:
            per_work, per_picture = elapsed / (share * work), 0.0
        else:
            return None
        current = per_work * work + per_picture
        taken, expected = sums.seconds, per_work * sums.work + per_picture * sums.count
        if counts:
            taken, expected = taken + elapsed, expected + share * current
        others = per_work * max(self._left - work, 0.0) + per_picture * max(self._left_count - 1, 0)
        return (others + max(1 - share, 0.0) * current) * taken / expected


def clock() -> float:
    """Return the time in seconds, from an arbitrary start."""
    return time.perf_counter()
