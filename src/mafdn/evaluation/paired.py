"""Paired comparison of two networks on the same pictures, with bootstrap intervals.

Pictures differ far more from each other than networks do, so networks are compared picture by picture. The interval is
a bootstrap interval: the spread of the mean over ten thousand resamples of the pictures, drawn with replacement.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mafdn.evaluation.benchset import PictureScore, SetScore

RESAMPLES = 10_000
SLAB = 500
"""Resamples drawn at once, which bounds the memory."""
PERCENT = (2.5, 97.5)
"""Percentiles at the ends of an interval."""
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean and its 95 % interval.

    Args:
        mean: The mean.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """`network` minus `reference` on a benchmark dataset; above 0, the network is better.

    Args:
        network: The label of the network.
        reference: The label of the baseline.
        bench: The name of the dataset; `None` for the pictures of all datasets with the same degradation.
        psnr: Mean difference in dB; `None` if no picture can be compared.
        ssim: Mean difference in SSIM.
        improved: Number of pictures with a higher PSNR.
        pictures: Number of pictures compared.
        left_out: Pictures that one of the two restored perfectly: an infinite PSNR has no difference.
        degrade: The name of the degradation of the LR pictures; empty for none.
    """

    network: str
    reference: str
    bench: str | None
    psnr: Interval | None
    ssim: Interval | None
    improved: int
    pictures: int
    left_out: tuple[str, ...]
    degrade: str = ""

    @property
    def title(self) -> str:
        """The name of the dataset in tables; for several, `all datasets` and the degradation."""
        return self.bench or f"all datasets {self.degrade}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Gain:
    """The gain of one picture in PSNR, in dB; `bench` is the index of its set."""

    bench: int
    picture: str
    psnr: float


def differences(scores: Sequence[SetScore], *, reference: str, networks: Sequence[str]) -> list[Difference]:
    """Compare each of `networks` with `reference` on every set, and over all sets if there are several.

    Sets with different degradations are not pooled: they have the same pictures, which would be counted twice.
    """
    benches = {score.bench: score.degrade for score in scores}
    found = {(score.network, score.bench): score for score in scores}
    results: list[Difference] = []
    for network in networks:
        pairs = {bench: _pairs(found[reference, bench], found[network, bench]) for bench in benches}
        results += [_difference(network, reference, bench, rows, benches[bench]) for bench, rows in pairs.items()]
        for degrade in dict.fromkeys(benches.values()):
            mine = [bench for bench in benches if benches[bench] == degrade]
            pooled = [(f"{bench}/{name}", before, after) for bench in mine for name, before, after in pairs[bench]]
            if len(mine) > 1:
                results.append(_difference(network, reference, None, pooled, degrade))
    return results


def gains(scores: Sequence[SetScore], *, reference: str, network: str) -> list[Gain]:
    """The gain of every picture of every set that can be compared, the largest loss first."""
    before = [score for score in scores if score.network == reference]
    after = [score for score in scores if score.network == network]
    found = [
        Gain(bench=number, picture=name, psnr=new.psnr - old.psnr)
        for number, (a, b) in enumerate(zip(before, after, strict=True))
        for name, old, new in _pairs(a, b)
        if _comparable(old, new)
    ]
    return sorted(found, key=lambda gain: gain.psnr)


Row = tuple[str, PictureScore, PictureScore]


def _pairs(before: SetScore, after: SetScore) -> list[Row]:
    return [(old.name, old, new) for old, new in zip(before.pictures, after.pictures, strict=True)]


def _comparable(old: PictureScore, new: PictureScore) -> bool:
    return math.isfinite(old.psnr) and math.isfinite(new.psnr)


def _difference(network: str, reference: str, bench: str | None, rows: Sequence[Row], degrade: str) -> Difference:
    values = np.array(
        [(new.psnr - old.psnr, new.ssim - old.ssim) for _, old, new in rows if _comparable(old, new)]
    ).reshape(-1, 2)
    psnr, ssim = _intervals(values) if len(values) else (None, None)
    return Difference(
        network=network,
        reference=reference,
        bench=bench,
        psnr=psnr,
        ssim=ssim,
        improved=int((values[:, 0] > 0).sum()),
        pictures=len(values),
        left_out=tuple(name for name, old, new in rows if not _comparable(old, new)),
        degrade=degrade,
    )


def _intervals(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[Interval]:
    """Mean and interval of each column of (pictures, columns); the columns share their resamples."""
    rng = np.random.default_rng(SEED)
    count = len(values)
    means = np.concatenate([values[rng.integers(count, size=(SLAB, count))].mean(1) for _ in range(RESAMPLES // SLAB)])
    ends = np.percentile(means, PERCENT, axis=0)
    return [
        Interval(mean=float(mean), low=float(low), high=float(high))
        for mean, low, high in zip(values.mean(0), *ends, strict=True)
    ]
