"""Sizes of results, exact to the pixel."""

import math
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mafdn.errors import UsageError
from mafdn.pixels import imresize
from mafdn.pixels.bands import resized_rows
from mafdn.upscaling.size import Size, as_box, network_scale, result_size

SIDES = st.integers(1, 70_000)


def keeps_aspect(old: tuple[int, int], new: tuple[int, int]) -> bool:
    """Whether one side of `new` follows from the other to within half a pixel, or is 1."""
    (w, h), (nw, nh) = old, new
    return abs(nh - h * nw / w) <= 0.5 + 1e-6 or abs(nw - w * nh / h) <= 0.5 + 1e-6 or 1 in new


@given(SIDES, SIDES, st.integers(1, 16))
def test_a_whole_scale_is_exact(width: int, height: int, scale: int) -> None:
    assert result_size(Size(scale=scale), width, height) == (width * scale, height * scale)


@given(SIDES, SIDES, st.floats(0.01, 20))
def test_any_scale_is_off_by_half_a_pixel_at_most(width: int, height: int, scale: float) -> None:
    for old, new in zip((width, height), result_size(Size(scale=scale), width, height), strict=True):
        assert abs(new - old * scale) <= 0.5 + 1e-6 or new == 1


def test_a_scale_means_what_is_typed() -> None:
    assert result_size(Size(scale=1.15), 10, 90) == (12, 104)  # 11.5 and 103.5, halves upward


@given(SIDES, SIDES, SIDES)
def test_width_height_and_longest_are_exact(width: int, height: int, wanted: int) -> None:
    old = (width, height)
    for name in ("width", "height", "longest"):
        new = result_size(Size(**cast(Any, {name: wanted})), width, height)
        assert {"width": new[0], "height": new[1], "longest": new[0] if width >= height else new[1]}[name] == wanted
        assert name != "longest" or max(new) == wanted
        assert min(new) >= 1
        assert keeps_aspect(old, new)


@given(SIDES, SIDES, SIDES, SIDES)
def test_a_fit_fills_its_box_and_stays_inside(width: int, height: int, wide: int, high: int) -> None:
    new = result_size(Size(fit=(wide, high)), width, height)
    assert new[0] <= wide
    assert new[1] <= high
    assert new[0] == wide or new[1] == high
    assert keeps_aspect((width, height), new)


@given(SIDES, SIDES, st.floats(0.001, 500))
def test_megapixels_are_never_exceeded_and_all_but_reached(width: int, height: int, wanted: float) -> None:
    new = result_size(Size(megapixels=wanted), width, height)
    pixels = int(Fraction(str(wanted)) * 10**6)  # as typed: 1.001 million is 1,001,000
    assert new[0] * new[1] <= max(1, pixels)
    assume(pixels > 4 * max(width / height, height / width))  # a line of pixels has no second side to choose
    assert keeps_aspect((width, height), new)
    longer = (max(new) + 1) * (min(width, height) * (max(new) + 1) / max(width, height) + 0.5)
    assert longer > pixels - 1, "one more would have fitted"


def test_megapixels_mean_what_is_typed() -> None:
    assert 1.001 * 1e6 < 1_001_000
    assert result_size(Size(megapixels=1.001), 1001, 1000) == (1001, 1000)
    assert result_size(Size(megapixels=1e-9), 300, 2) == (1, 1)


@given(SIDES, SIDES, st.floats(0.1, 4))
def test_the_network_is_the_nearest_at_or_above(width: int, height: int, scale: float) -> None:
    new = result_size(Size(scale=scale), width, height)
    chosen = network_scale((width, height), new)
    assert chosen >= max(new[0] / width, new[1] / height)
    assert chosen == max(2, math.ceil(max(new[0] / width, new[1] / height) - 1e-12))


def test_beyond_the_largest_network_it_is_the_largest() -> None:
    assert network_scale((10, 10), (61, 61)) == 4


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"scale": 2, "width": 9},
        {"scale": 0},
        {"scale": math.nan},
        {"scale": "2"},
        {"scale": True},
        {"scale": 10**400},
        {"megapixels": np.float32("inf")},
        {"width": -1},
        {"width": 2.5},
        {"height": math.inf},
        {"longest": "9"},
        {"fit": (0, 5)},
        {"fit": (3,)},
        {"fit": (3, 4.5)},
        {"fit": 7},
        {"fit": "12"},
    ],
)
def test_invalid_sizes_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Size(**bad)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("text", ["1920x1080", " 1920X1080", "1920\u00d71080\n"])
def test_boxes_are_read(text: str) -> None:
    assert as_box(text, name="--fit") == (1920, 1080)


@pytest.mark.parametrize("text", ["1920", "1920 x 1080", "\u0661\u0669x\u0661", "x2", "1x99999999999"])
def test_other_texts_are_no_boxes(text: str) -> None:
    with pytest.raises(UsageError, match="--fit must be WIDTHxHEIGHT"):
        as_box(text, name="--fit")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"longest": 100.0}, {"longest": 100}),
        ({"width": np.int64(7)}, {"width": 7}),
        ({"fit": [30, 40.0]}, {"fit": (30, 40)}),
        ({"scale": np.float32(1.1)}, {"scale": 1.1}),
    ],
)
def test_numbers_of_other_types_are_converted(given: dict[str, Any], meant: dict[str, Any]) -> None:
    assert repr(Size(**given)) == repr(Size(**meant))


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 60), st.integers(1, 60), st.data())
def test_rows_of_a_resize_equal_those_of_the_whole(h: int, w: int, high: int, wide: int, data: st.DataObject) -> None:
    picture = np.random.default_rng(0).random((h, w, 2))
    first = data.draw(st.integers(0, high - 1))
    rows = range(first, data.draw(st.integers(first + 1, high)))
    whole = imresize(picture, shape=(high, wide), kernel="lanczos3")
    part = resized_rows(picture, rows, shape=(high, wide))
    np.testing.assert_allclose(part, whole[rows.start : rows.stop], atol=1e-5)
