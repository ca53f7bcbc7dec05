"""The DCT of JPEG against SciPy, and the reduction of chroma against the filter by which decoders enlarge it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.fft import dctn  # pyright: ignore[reportMissingTypeStubs]

from mafdn.pixels.dct import component_plane, forward_dct, inverse_dct, reduced_chroma, sharpening_gain

Plane = NDArray[np.float64]


def noise(*shape: int, seed: int = 0) -> Plane:
    return np.random.default_rng(seed).uniform(0, 255, shape)


def doubled(plane: Plane, axis: int) -> Plane:
    """libjpeg's triangle filter: each new sample is 3/4 of the nearest one and 1/4 of the next one."""
    padded = np.pad(plane, [(1, 1) if axis == a else (0, 0) for a in (0, 1)], "edge")
    length = plane.shape[axis]
    before, own, after = (np.take(padded, range(i, i + length), axis) for i in range(3))
    pairs = np.stack([(3 * own + before) / 4, (3 * own + after) / 4], axis + 1)
    return pairs.reshape([2 * n if axis == a else n for a, n in enumerate(plane.shape)])


def test_forward_equals_scipy_and_inverse_undoes_it() -> None:
    plane = noise(21, 34)
    blocks = forward_dct(plane)
    assert blocks.shape == (2, 4, 8, 8)
    expected: Any = dctn(plane[8:16, 24:32] - 128, norm="ortho")
    np.testing.assert_allclose(blocks[1, 3], expected, atol=1e-9)
    np.testing.assert_allclose(inverse_dct(blocks)[1, 3] + 128, plane[8:16, 24:32], atol=1e-9)
    assert forward_dct(noise(7, 30)).shape == (0, 3, 8, 8)


def test_components_of_gray_and_primary_colors() -> None:
    gray = np.full((2, 3, 3), 77.0)
    assert [round(float(component_plane(gray, n)[0, 0]), 6) for n in range(3)] == [77, 128, 128]
    red = np.zeros((1, 1, 3))
    red[..., 0] = 255
    assert [round(float(component_plane(red, n)[0, 0]), 2) for n in range(3)] == [76.24, 84.97, 255.5]
    assert component_plane(noise(2, 2, 1), 0).shape == (2, 2)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99), st.booleans(), st.booleans())
def test_reduced_chroma_undoes_the_decoder(height: int, width: int, seed: int, down: bool, across: bool) -> None:
    small = noise(height, width, seed=seed)
    large = doubled(small, 0) if down else small
    large = doubled(large, 1) if across else large
    found = reduced_chroma(large, 1 + down, 1 + across)
    assert found.shape == small.shape
    np.testing.assert_allclose(found, small, atol=0.05)


def test_factors_of_4_undo_repetition_and_an_incomplete_pair_is_repeated() -> None:
    small = noise(3, 5)
    np.testing.assert_allclose(reduced_chroma(small.repeat(4, 1), 1, 4), small, atol=1e-9)
    assert reduced_chroma(noise(5, 7), 2, 2).shape == (3, 4)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_the_gain_is_that_of_noise(factor: int) -> None:
    plane = np.random.default_rng(0).normal(128, 1, (512, 64 * factor))
    measured = forward_dct(reduced_chroma(plane, 1, factor)).var(axis=(0, 1, 2))
    np.testing.assert_allclose(measured, sharpening_gain(factor), rtol=0.2)
