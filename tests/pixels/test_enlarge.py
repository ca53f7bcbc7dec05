"""What happens around the network: transparency, tone curves, other sizes and shares of Lanczos."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mafdn.pictures.formats import FORMATS
from mafdn.pictures.picture import Picture
from mafdn.pictures.profiles import check_profile, find_tone
from mafdn.pixels import enlarge as enlarging
from mafdn.pixels import imresize
from mafdn.pixels.alpha import bleed_colors, snap_alpha
from mafdn.pixels.rows import Rows


def cubic(rows: Rows) -> Iterator[np.ndarray]:
    """A network that rings as bicubic does, x2; its bands are of odd sizes."""
    top = np.iinfo(rows.dtype).max
    values = imresize(rows[:].astype(np.float64) / top, 2)
    larger = np.rint(np.clip(values, 0, 1) * top).astype(rows.dtype)
    for start in range(0, len(larger), 13):
        yield larger[start : start + 13].copy()


def enlarge(picture: Picture, size: tuple[int, int], **options: Any) -> Picture:
    """The bands of `mafdn.pixels.enlarge.enlarge`, joined."""
    tone = find_tone(picture.profile, picture.colors)
    bands = list(enlarging.enlarge(picture.planes, size, scale=2, tone=tone, **options))
    return replace(picture, planes=np.concatenate(bands))


def disc(hidden: int, dtype: type = np.uint8) -> Picture:
    """A red disc with a soft edge; the color of clear parts is `hidden`."""
    y, x = np.mgrid[:40, :40]
    alpha = np.clip(14 - np.hypot(x - 19.5, y - 19.5), 0, 1)
    color = np.where(alpha[..., None] > 0, np.array([0.8, 0.2, 0.1]), hidden)
    top = np.iinfo(dtype).max
    planes = np.rint(np.dstack([color, alpha]) * top).astype(dtype)
    return Picture(planes=planes, format=FORMATS["PNG"])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("hidden", [0, 1])
@pytest.mark.parametrize("size", [(80, 80), (67, 67), (130, 130)])
def test_transparent_edges_have_no_fringe(hidden: int, dtype: type, size: tuple[int, int]) -> None:
    picture = disc(hidden, dtype)
    larger = enlarge(picture, size, network=cubic)
    assert larger.alpha is not None
    top = np.iinfo(dtype).max
    visible = larger.alpha > 0
    assert np.abs(larger.color[visible] / top - [0.8, 0.2, 0.1]).max() < 0.012
    y, x = (np.mgrid[: size[1], : size[0]] + 0.5) * 40 / size[0]
    radius = np.hypot(x - 20, y - 20)
    assert (larger.alpha[radius < 11] == top).all(), "opaque stays exactly opaque"
    assert (larger.alpha[radius > 16] == 0).all(), "clear stays exactly clear"


def test_colors_extend_far_and_visible_ones_stay() -> None:
    color = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    alpha = np.zeros((37, 53), np.uint8)
    alpha[3, 4], alpha[3, 5] = 255, 1
    color[3, 4], color[3, 5] = (10, 20, 30), (10, 20, 30)
    result = bleed_colors(np.dstack([color, alpha]))[:]
    assert (result[..., :3] == (10, 20, 30)).all()
    assert np.array_equal(result[..., 3], alpha)
    for whole in (0, 255):
        planes = np.dstack([color, np.full((37, 53), whole, np.uint8)])
        assert bleed_colors(planes) is planes


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 99), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_any_rows_equal_those_of_the_whole(height: int, width: int, holes: int, seed: int) -> None:
    """Transparent colors and alpha do not depend on which rows are requested together."""
    rng = np.random.default_rng(seed)
    planes = rng.integers(0, 256, (height, width, 2), np.uint8)
    planes[..., 1] *= rng.random((height, width)) * 100 > holes
    planes[: int(rng.integers(0, height)), : int(rng.integers(0, width)), 1] = 0
    whole, (start, stop) = bleed_colors(planes)[:], np.sort(rng.integers(0, height + 1, 2))
    assert np.array_equal(bleed_colors(planes)[start:stop], whole[start:stop])
    larger = rng.integers(0, 256, (height * 2, width * 3), np.uint8)
    settled, part = larger.copy(), larger[start * 2 : stop * 2].copy()
    snap_alpha(settled, 0, planes, larger.shape)
    if len(part):
        snap_alpha(part, int(start) * 2, planes, larger.shape)
    assert np.array_equal(part, settled[start * 2 : stop * 2])


def test_soft_alpha_is_left_alone() -> None:
    alpha = np.arange(50, 200, dtype=np.uint8).reshape(10, 15, 1)
    larger = imresize(alpha, 2)[..., 0]
    settled = larger.copy()
    snap_alpha(settled, 0, alpha, larger.shape)
    assert np.array_equal(settled, larger)


@pytest.mark.parametrize("side", [5, 16, 20])
def test_reduced_transparency_depends_on_all_pixels(side: int) -> None:
    alpha = np.zeros((160, 160, 1), np.uint8)
    alpha[np.arange(160) % 10 < 3] = 255
    smaller = np.full((side, side), 76, np.uint8)
    snap_alpha(smaller, 0, alpha, smaller.shape)
    assert (smaller == 76).all()
    whole = np.full((side, side), 250, np.uint8)
    snap_alpha(whole, 0, np.full_like(alpha, 255), whole.shape)
    assert (whole == 255).all()


def test_opaque_pictures_stay_opaque_and_clear_ones_clear() -> None:
    for value in (0, 65_535):
        whole = np.full((40, 40), value, np.uint16)
        picture = replace(disc(0, np.uint16), planes=np.dstack([disc(0, np.uint16).color, whole]))
        larger = enlarge(picture, (90, 90), network=cubic, strength=0.4)
        assert larger.alpha is not None
        assert (larger.alpha == value).all()


# --- profiles


def test_profiles_of_displays_pass_through_and_linear_ones_do_not(icc: Path) -> None:
    files = sorted(icc.glob("*.icc"))
    assert files
    for path in files:
        if path.name.startswith("CGATS"):
            assert "CMYK" in str(check_profile(path.read_bytes(), 3))
            continue
        profile, channels = path.read_bytes(), 1 if path.name.startswith("sGrey") else 3
        assert check_profile(profile, channels) is None, path.name
        assert (find_tone(profile, channels) is not None) == path.name.startswith("scRGB"), path.name


def test_invalid_profiles_are_reported(icc: Path) -> None:
    profile = (icc / "DisplayP3-v4.icc").read_bytes()
    assert "damaged" in str(check_profile(profile[:100], 3))
    assert "damaged" in str(check_profile(profile[:-40], 3))
    assert "RGB" in str(check_profile(profile, 1))
    assert "GRAY" in str(check_profile((icc / "sGrey-v4.icc").read_bytes(), 3))
    assert "not one of a picture" in str(check_profile(profile[:12] + b"link" + profile[16:], 3))
    for seed in range(200):  # whatever is in a file, it is an answer and no exception
        rng = np.random.default_rng(seed)
        noisy = bytearray(profile)
        for place in rng.integers(0, len(noisy), 12):
            noisy[place] = int(rng.integers(256))
        if check_profile(bytes(noisy), 3) is None:
            find_tone(bytes(noisy), 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_network_sees_linear_light_on_a_display_curve(icc: Path, dtype: type) -> None:
    top = np.iinfo(dtype).max
    ramp = np.linspace(0, 1, 64)[None, :, None].repeat(4, 0).repeat(3, 2)
    planes = np.rint(ramp * top).astype(dtype)
    picture = Picture(planes=planes, format=FORMATS["PNG"], profile=(icc / "scRGB-v2.icc").read_bytes())
    seen: list[np.ndarray] = []

    def repeat(rows: Rows) -> Iterator[np.ndarray]:
        seen.append(rows[:])
        yield seen[-1].repeat(2, 0).repeat(2, 1)

    larger = enlarge(picture, (128, 8), network=repeat)
    middle = seen[0][0, 32, 0] / 65_535
    assert 0.72 < middle < 0.76, "half the light is 188 of 255 in sRGB"
    back = np.abs(larger.color[0, ::2].astype(int) - picture.color[0]).max()
    assert back <= (0 if dtype is np.uint8 else 1), "and comes back as it was"
    assert larger.profile == picture.profile


# --- sizes and shares


def test_between_scales_the_result_is_a_reduction_in_float() -> None:
    picture = replace(disc(0), planes=disc(0).color)
    larger = enlarge(picture, (60, 60), network=cubic)
    deep = np.concatenate(list(cubic(picture.color.astype(np.uint16) * np.uint16(257)))).astype(np.float64) / 257
    expected = np.rint(np.clip(imresize(deep, shape=(60, 60), kernel="lanczos3"), 0, 255))
    assert np.abs(larger.color - expected).max() <= 1
    assert (larger.color != expected).mean() < 0.001


def test_strength_blends_with_lanczos() -> None:
    picture = replace(disc(0), planes=disc(0).color)
    lanczos = imresize(picture.color.astype(np.float64), 2, kernel="lanczos3").clip(0, 255)
    none, half, full = (enlarge(picture, (80, 80), network=cubic, strength=s) for s in (0, 0.5, 1))
    assert np.abs(none.color - lanczos).max() <= 0.51
    assert np.array_equal(full.color, np.concatenate(list(cubic(picture.color))))
    # Clipped once, at the end: only where neither share leaves the range is it the mean of the two.
    mean = (none.color.astype(float) + full.color) / 2
    inside = (mean > 5) & (mean < 250)
    assert np.abs(half.color - mean)[inside].max() <= 1.5


def test_no_network_runs_where_none_is_needed() -> None:
    def broken(rows: Rows) -> Iterator[np.ndarray]:
        raise AssertionError(rows.shape)

    assert enlarge(disc(0), (20, 20), network=broken).color.shape == (20, 20, 3)
    assert enlarge(disc(0), (80, 80), network=broken, strength=0).width == 80
