"""Whether a reduced result still meets the quantized DCT coefficients of its JPEG input.

A JPEG file states each coefficient as a whole multiple k of its quantization step q: the encoder saw some value in
[(k - 1/2) q, (k + 1/2) q]. A result that, reduced again and put through the same color conversion, chroma reduction and
blocks, has a value outside of this interval contradicts the file: something was invented or lost.

k is recovered from the decoded pixels, by rounding their coefficients to multiples of q. Pixels are rounded to whole
levels twice (YCbCr, then RGB), which moves a coefficient by a standard deviation of about 0.35 levels, so that k is
exact for steps from 3 on except in rare blocks whose rounding errors are alike; for steps of 1 and 2 it is the
multiple nearest to the decoded pixels, which is all that anybody who has only the pixels can meet. Where colors were
clipped to 0 or 255, the decoded pixels tell another k than the file. Such blocks are recognized, because the pixels of
the coefficients k q then differ from the decoded ones by more than rounding can explain, and are not judged.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mafdn.pictures.codecs.jpeg_coding import Component, JpegCoding
from mafdn.pixels.dct import BLOCK, component_plane, forward_dct, inverse_dct, reduced_chroma, sharpening_gain
from mafdn.pixels.orientation import orient_back
from mafdn.verification.figures import CoefficientShare, JpegCoefficients

UPRIGHT = dict(
    enumerate([(0, False), (0, True), (2, False), (2, True), (3, True), (3, False), (1, True), (1, False)], 1)
)
"""Quarter turns and mirroring by EXIF orientation, as for `orient`, from the stored picture to the upright one."""
REVERSED = (3, 4, 7, 8)
"""Orientations under which the upright rows begin at the end of the stored rows or columns."""
FACTORS = (1, 2, 4)
"""Factors of chroma reduction that are known."""
MARGIN = 16
"""Rows beyond a band on either side that its reduced chroma depends on; a multiple of the largest blocks' side."""
ROUNDING = 1 / 12
"""Variance of rounding to whole levels."""
RGB_POWER = 0.299**2 + 0.587**2 + 0.114**2
"""Share of the variance of RGB in luma; that in Cb and Cr is less."""
DEVIATIONS = 3.0
"""Standard deviations of rounding noise by which intervals are widened."""
EXPLAINED = 1.25
"""Largest difference in levels between pixels as decoded and those of k q: 1 by rounding, the rest by arithmetic."""
EXPLAINED_REDUCED = 2.5
"""The same for reduced chroma, whose rounding errors the inverse of the filter enlarges."""
Levels = NDArray[np.float32]


@dataclass
class _Count:
    """Coefficients judged so far."""

    count: int = 0
    within: int = 0
    nonzero_count: int = 0
    nonzero_within: int = 0

    def add(self, other: "_Count") -> None:
        self.count += other.count
        self.within += other.within
        self.nonzero_count += other.nonzero_count
        self.nonzero_within += other.nonzero_within

    def share(self) -> CoefficientShare:
        return CoefficientShare(
            count=self.count,
            share=self.within / self.count,
            nonzero_count=self.nonzero_count,
            nonzero_share=self.nonzero_within / self.nonzero_count if self.nonzero_count else None,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judged:
    """A component that can be judged."""

    number: int
    down: int
    """Vertical factor of its reduction."""
    across: int
    """Horizontal factor of its reduction."""
    steps: NDArray[np.float64]
    tolerance: NDArray[np.float64]
    count: _Count = field(default_factory=_Count)


class CoefficientJudge:
    """Counts the coefficients that a result meets, a band of rows at a time.

    Args:
        coding: How the input is coded.
        orientation: Its EXIF orientation, 1 to 8; others count as 1.

    Attributes:
        refusal: Why no coefficients can be judged, for a note; `None` if they can.
        margin: Rows that `add` needs beyond a band.
        reversed: Whether bands must begin at multiples counted from the last row.
    """

    def __init__(self, coding: JpegCoding, orientation: int) -> None:
        self._size = (coding.width, coding.height)
        self._turn = UPRIGHT.get(orientation, UPRIGHT[1])
        self.reversed = orientation in REVERSED
        self._components = [
            judged for number, one in enumerate(coding.components) if (judged := _judgeable(coding, number, one))
        ]
        self.margin = MARGIN if any(2 in (one.down, one.across) for one in self._components) else 0
        self._judged_blocks = 0
        self.refusal = self._find_refusal(coding)

    def _find_refusal(self, coding: JpegCoding) -> str | None:
        if coding.bits != 8:
            return f"a JPEG of {coding.bits} bits"
        if coding.transform not in ("gray", "ycc"):
            return "a JPEG that is not YCbCr"
        if not self._components or self._components[0].number != 0:
            return "a JPEG whose quantization tables or sampling are unusual"
        return None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        width, height = self._size
        return (height, width) if self._turn[0] % 2 else (width, height)

    def add(self, place: range, source: Levels, result: Levels) -> None:
        """Judge the blocks of some rows of the upright picture.

        Args:
            place: The rows, whose ends are multiples of 64 (counted from the last row if `reversed`) or ends of the
                picture.
            source: (h, W, 1 or 3) these rows of the input with `margin` more on either side, as far as there are.
            result: The same rows of the reduced result.
        """
        height = self.size[1]
        before, after = min(self.margin, place.start), min(self.margin, height - place.stop)
        first, second = (orient_back(levels, *self._turn) for levels in (source, result))
        axis = self._turn[0] % 2
        skipped = after if self.reversed else before
        for one in self._components:
            factor = (one.down, one.across)[axis]
            begin, length = skipped // factor, len(place) // factor
            planes: list[NDArray[np.float64]] = []
            for levels in (first, second):
                whole = [levels.shape[a] // f for a, f in enumerate((one.down, one.across))]
                plane = component_plane(levels, one.number)
                plane = reduced_chroma(plane, one.down, one.across)[: whole[0], : whole[1]]
                planes.append(plane[begin : begin + length] if axis == 0 else plane[:, begin : begin + length])
            self._judge(one, *map(forward_dct, planes))

    def _judge(self, one: _Judged, source: NDArray[np.float64], result: NDArray[np.float64]) -> None:
        """Count coefficients, (rows, columns, 8, 8)."""
        quantized, judged = recover(source, one.steps, reduced=one.down * one.across > 1)
        within = np.abs(result - quantized * one.steps) <= one.steps / 2 + one.tolerance
        within, nonzero = within[judged], quantized[judged] != 0
        one.count.add(
            _Count(
                count=within.size,
                within=int(np.count_nonzero(within)),
                nonzero_count=int(np.count_nonzero(nonzero)),
                nonzero_within=int(np.count_nonzero(within & nonzero)),
            )
        )
        self._judged_blocks += int(np.count_nonzero(judged))

    def outcome(self) -> JpegCoefficients | None:
        """The shares; `None` if no block of luma could be judged."""
        luma, chroma = _Count(), _Count()
        for one in self._components:
            (chroma if one.number else luma).add(one.count)
        if not luma.count:
            return None
        together = _Count()
        together.add(luma)
        together.add(chroma)
        return JpegCoefficients(
            all=together.share(),
            luma=luma.share(),
            chroma=chroma.share() if chroma.count else None,
            judged_blocks=self._judged_blocks / sum(map(self._blocks_of, self._components)),
        )

    def _blocks_of(self, one: _Judged) -> int:
        """All blocks of a component, incomplete ones included."""
        width, height = self._size
        return -(-width // (BLOCK * one.across)) * -(-height // (BLOCK * one.down))


def recover(
    coefficients: NDArray[np.float64], steps: NDArray[np.float64], *, reduced: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Recover the whole multiples that a JPEG file states from the coefficients of its decoded pixels.

    Args:
        coefficients: (rows, columns, 8, 8) of one component.
        steps: (8, 8) quantization steps.
        reduced: Whether the component is chroma of less than the full size.

    Returns:
        The multiples, and for each block whether its pixels tell them: not if colors were clipped.
    """
    quantized = np.rint(coefficients / steps)
    unexplained = np.abs(inverse_dct(coefficients - quantized * steps)).max(axis=(2, 3), initial=0)
    return quantized, unexplained <= (EXPLAINED_REDUCED if reduced else EXPLAINED)


def _judgeable(coding: JpegCoding, number: int, component: Component) -> _Judged | None:
    """A component as it is judged; `None` if its table is missing or its sampling is unusual."""
    most_down = max(one.down for one in coding.components)
    most_across = max(one.across for one in coding.components)
    down, odd_down = divmod(most_down, component.down)
    across, odd_across = divmod(most_across, component.across)
    table = coding.tables.get(component.table)
    if table is None or odd_down or odd_across or down not in FACTORS or across not in FACTORS:
        return None
    if number == 0 and down * across > 1:
        return None
    noise = 1 + RGB_POWER
    if down * across > 1:  # what is rounded again when chroma is enlarged, and reduced here
        noise = 1 + noise * np.outer(sharpening_gain(down), sharpening_gain(across))
    tolerance = DEVIATIONS * np.sqrt(noise * ROUNDING) * np.ones((BLOCK, BLOCK))
    return _Judged(number=number, down=down, across=across, steps=table.astype(np.float64), tolerance=tolerance)
