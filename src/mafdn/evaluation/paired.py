"""Paired comparison of two networks on the same pictures, with confidence intervals.

Pictures differ far more from each other than networks do, so networks are compared picture by picture. The interval is
Student's t interval for the mean difference. It is over pictures: another training run of the same network may differ
by more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mafdn.evaluation.benchset import PictureScore, SetScore
from mafdn.evaluation.tables import interval_text

LEAST = 3
"""Pictures below which there is no interval: that of two would be 12 times as wide as they are apart."""
NORMAL = 1.959964
T_QUANTILES = (4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157)
"""The 97.5 % quantiles of the normal distribution and of Student's t distribution with 2 to 9 degrees of freedom."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean over pictures and its 95 % interval, Student's t interval.

    Args:
        mean: The mean.
        low: Lower end of the interval; `None` for fewer than three pictures.
        high: Upper end of the interval, likewise.
    """

    mean: float
    low: float | None
    high: float | None

    def text(self, form: str) -> str:
        """The interval in tables; `form` is the format of numbers after the sign, such as `.3f`."""
        return interval_text(self.mean, self.low, self.high, form)


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
    """Mean and interval of each column of (pictures, columns)."""
    count = len(values)
    means: list[float] = values.mean(0).tolist()
    if count < LEAST:
        return [Interval(mean=mean, low=None, high=None) for mean in means]
    errors: list[float] = (t_quantile(count - 1) / math.sqrt(count) * values.std(0, ddof=1)).tolist()
    return [Interval(mean=m, low=m - error, high=m + error) for m, error in zip(means, errors, strict=True)]


def t_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t distribution with at least two degrees of freedom."""
    if freedom - 2 < len(T_QUANTILES):
        return T_QUANTILES[freedom - 2]
    z = NORMAL  # a series with an error below 1e-5 from here on (Abramowitz and Stegun, 26.7.5)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * freedom**4)
    )
