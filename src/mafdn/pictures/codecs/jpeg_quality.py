"""The quality at which a JPEG file was coded, estimated from its quantization tables.

Most encoders scale the tables of the standard (ITU-T T.81, Annex K) as libjpeg does; for these the quality is found
exactly. Cameras, Photoshop and mozjpeg have tables of their own. Their quality is that of the standard luma table with
the same mean step of low frequencies.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mafdn.pictures.codecs.jpeg_coding import SIDE, JpegCoding

LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
"""Table K.1 of the standard, in natural order."""
CHROMA = np.array(
    [
        [17, 18, 24, 47, 99, 99, 99, 99],
        [18, 21, 26, 66, 99, 99, 99, 99],
        [24, 26, 56, 99, 99, 99, 99, 99],
        [47, 66, 99, 99, 99, 99, 99, 99],
        [99, 99, 99, 99, 99, 99, 99, 99],
        [99, 99, 99, 99, 99, 99, 99, 99],
        [99, 99, 99, 99, 99, 99, 99, 99],
        [99, 99, 99, 99, 99, 99, 99, 99],
    ]
)
"""Table K.2."""
BASELINE_LIMIT, EXTENDED_LIMIT = 255, 32_767
"""Largest entries that libjpeg writes, in tables of 8 and 16 bits."""
MOST_MISFIT = 0.02
"""Mean relative difference from the standard tables up to which tables count as standard."""
TIE = 1e-9
"""Differences of misfits below which qualities fit alike."""
LOW = np.add.outer(np.arange(SIDE), np.arange(SIDE)) <= 4
"""The 15 lowest frequencies of a block."""


@dataclass(frozen=True, kw_only=True)
class JpegQuality:
    """The quality of a JPEG file."""

    quality: int
    """1 to 100, as libjpeg counts."""
    misfit: float
    """Mean relative difference of the tables from the standard ones of the nearest quality; 0 for exactly those."""

    @property
    def standard(self) -> bool:
        """Whether the tables are those of the standard, scaled; otherwise the quality is an approximation."""
        return self.misfit <= MOST_MISFIT


def standard_table(table: NDArray[np.int_], quality: int, *, limit: int = BASELINE_LIMIT) -> NDArray[np.int_]:
    """Scale a table of the standard to a quality from 1 to 100, as libjpeg does."""
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((table * factor + 50) // 100, 1, limit)


def estimate_quality(coding: JpegCoding) -> JpegQuality | None:
    """Estimate the quality from the tables that the components use.

    Returns:
        The estimate; `None` if the table of the first component, which is luma or the only one, is missing.
    """
    first = coding.tables.get(coding.components[0].table)
    if first is None:
        return None
    others = {one.table for one in coding.components[1:]} - {coding.components[0].table}
    luma = _steps(first, coding.bits)
    misfits = [_misfits(luma, chroma=False)]
    for number in sorted(others & coding.tables.keys()):
        steps = _steps(coding.tables[number], coding.bits)
        misfits.append(np.minimum(_misfits(steps, chroma=False), _misfits(steps, chroma=True)))
    misfit = np.mean(misfits, axis=0)
    best = int(misfit.argmin())
    if misfit[best] <= MOST_MISFIT:
        return JpegQuality(quality=best + 1, misfit=float(misfit[best]))
    means = _scaled(chroma=False, limit=EXTENDED_LIMIT)[:, LOW].mean(axis=1)
    nearest = int(np.abs(means - luma[LOW].mean()).argmin())
    return JpegQuality(quality=nearest + 1, misfit=float(misfit[best]))


def nearest_quality(steps: NDArray[np.int_]) -> int | None:
    """The quality whose standard luma table is nearest to some known steps.

    Args:
        steps: (8, 8) quantization steps in natural order; 0 where unknown.

    Returns:
        1 to 100; `None` if no step is known.
    """
    known = steps > 0
    if not known.any():
        return None
    standard = _scaled(chroma=False, limit=BASELINE_LIMIT)[:, known]
    misfits = np.abs(standard - steps[known]) / np.maximum(standard, steps[known])
    misfit = np.median(misfits, axis=1) + misfits.mean(axis=1)  # a wrong step must not count much
    return int(np.rint(np.flatnonzero(misfit <= misfit.min() + TIE).mean())) + 1


def _steps(table: NDArray[np.uint16], bits: int) -> NDArray[np.float64]:
    """The quantization steps, relative to samples of 8 bits."""
    return table.astype(np.float64) / 2.0 ** max(bits - 8, 0)


def _misfits(steps: NDArray[np.float64], *, chroma: bool) -> NDArray[np.float64]:
    """The mean relative difference from the standard table of each quality, from 1 to 100."""
    limit = BASELINE_LIMIT if steps.max() <= BASELINE_LIMIT else EXTENDED_LIMIT
    standard = _scaled(chroma=chroma, limit=limit)
    return (np.abs(standard - steps) / np.maximum(standard, steps)).mean(axis=(1, 2))


@cache
def _scaled(*, chroma: bool, limit: int) -> NDArray[np.int_]:
    """(100, 8, 8): a standard table at each quality from 1."""
    return np.stack([standard_table(CHROMA if chroma else LUMA, quality, limit=limit) for quality in range(1, 101)])
