"""The measure of how well saturated colors are kept."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mafdn.evaluation.benchset import bicubic
from mafdn.evaluation.colors import SIDE, color_score


def test_bicubic_makes_no_other_colors() -> None:
    score = color_score(bicubic(2))
    assert score.share == 0
    assert 0 < score.largest < 32
    assert score.pictures == 112


def test_pixels_of_another_color_are_counted() -> None:
    """A corner of 4x4 pixels is painted gray, which is far from the background unless it is a mixture of the two."""

    def painted(low: NDArray[np.uint8]) -> NDArray[np.uint8]:
        result = low.repeat(2, 0).repeat(2, 1)
        result[:4, :4] = 128
        return result

    score = color_score(painted)
    mixtures = 2 * 8 / 112  # pairs of complementary colors
    assert score.share == pytest.approx((1 - mixtures) * 16 / (2 * SIDE) ** 2)
    assert score.largest == pytest.approx(2**0.5 * 128, abs=1)
