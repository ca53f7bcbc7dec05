"""Degraded LR patches."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mafdn.errors import ConfigError
from mafdn.pixels import imresize, psnr_y
from mafdn.training.config import build_settings
from mafdn.training.data.degrade import (
    DegradeSettings,
    blurred,
    coded,
    degrade_picture,
    degraded_patch,
    noisy,
)

NOTHING = DegradeSettings(
    share=1, reductions=("bicubic",), blur_share=0, noise_share=0, jpeg_share=0, webp_share=0, twice=0
)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Soft colored spots, (H, W, 3) uint8."""
    spots = np.random.default_rng(seed).random((height // 8 + 1, width // 8 + 1, 3))
    return np.rint(np.clip(imresize(spots, shape=(height, width)), 0, 1) * 255).astype(np.uint8)


def pair(scale: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    hr = picture(96 * scale, 120 * scale, seed)
    lr = np.rint(np.clip(imresize(hr / 255, 1 / scale), 0, 1) * 255).astype(np.uint8)
    return hr, lr


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@settings(max_examples=40, deadline=None)
@given(
    scale=st.sampled_from([2, 3, 4]),
    seed=st.integers(0, 2**32),
    top=st.integers(0, 96 - 24),
    left=st.integers(0, 120 - 24),
)
def test_patches_stay_in_place_and_depend_on_the_seed_alone(scale: int, seed: int, top: int, left: int) -> None:
    hr, lr = pair(scale)
    options = DegradeSettings(share=1)
    first, again = (degraded_patch(hr, lr, (top, left), 24, options, random(seed)) for _ in range(2))
    assert first.shape == (24, 24, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    other_top, other_left = ((at + 16) % 72 for at in (top, left))
    own, other = (
        np.abs(first.astype(int) - lr[y : y + 24, x : x + 24]).mean() for y, x in ((top, left), (other_top, other_left))
    )
    assert own < 0.7 * other


def test_nothing_is_done_without_a_share_or_with_empty_steps() -> None:
    hr, lr = pair()
    for options in (DegradeSettings(share=0), NOTHING):
        patch = degraded_patch(hr, lr, (7, 9), 24, options, random())
        assert np.array_equal(patch, lr[7:31, 9:33])


def test_the_share_of_clean_patches_is_as_set() -> None:
    hr, lr = pair()
    options = DegradeSettings(share=0.7, jpeg_share=1, webp_share=0)
    changed = [
        not np.array_equal(degraded_patch(hr, lr, (8, 8), 24, options, random(seed)), lr[8:32, 8:32])
        for seed in range(300)
    ]
    assert 0.6 < np.mean(changed) < 0.8


def test_jpeg_is_that_of_pillow_at_a_random_place_in_its_grid() -> None:
    hr, lr = pair()
    options = replace(NOTHING, jpeg_share=1.0, quality=(60, 60), sampling=(0, 0, 1))
    patches = [degraded_patch(hr, lr, (30, 40), 24, options, random(seed)) for seed in range(40)]
    assert len({patch.tobytes() for patch in patches}) > 15, "the place in the grid varies"
    file = io.BytesIO()
    Image.fromarray(lr).save(file, "JPEG", quality=60, subsampling=0)
    whole = degrade_picture(hr, lr, options, random())
    assert np.array_equal(whole, np.array(Image.open(file)))


def test_lower_qualities_lose_more() -> None:
    _, lr = pair(seed=3)
    scores = [psnr_y(coded(lr, "JPEG", quality), lr, border=2) for quality in (30, 60, 90)]
    assert scores == sorted(scores)
    assert psnr_y(coded(lr, "WEBP", 50), lr, border=2) < psnr_y(coded(lr, "WEBP", 95), lr, border=2)


def test_noise_has_the_stated_deviation_and_grows_with_light() -> None:
    for correlated in (False, True):
        spreads: list[float] = []
        for level in (80, 128, 224):
            flat = np.full((200, 200, 3), level, np.uint8)
            spreads.append(float(noisy(flat, 4.0, random(level), read=0.3, correlated=correlated).std((0, 1)).mean()))
        assert spreads[1] == pytest.approx(4.0, rel=0.05)
        light = [((level / 255) ** 2.2, spread) for level, spread in zip((80, 128, 224), spreads, strict=True)]
        # In light, as the sensor measures it, the variance is a straight line; d(light) = 2.2 * value^1.2 d(value).
        variances = [(spread * 2.2 * value ** (1.2 / 2.2)) ** 2 for value, spread in light]
        line = [(0.3 + 0.7 * value / 0.5**2.2) * variances[1] for value, _ in light]
        assert variances == pytest.approx(line, rel=0.1)
    flat = np.full((300, 300, 3), 128, np.uint8)
    white, filtered = (noisy(flat, 5.0, random(), read=0.3, correlated=c).astype(float) - 128 for c in (False, True))
    neighbors = [float(np.corrcoef(n[:, 1:, 0].ravel(), n[:, :-1, 0].ravel())[0, 1]) for n in (white, filtered)]
    assert abs(neighbors[0]) < 0.02
    assert neighbors[1] > 0.4


def test_blur_keeps_flat_areas_and_the_mean() -> None:
    flat = np.full((20, 20, 3), 77, np.uint8)
    assert np.array_equal(blurred(flat, 0.8), flat)
    point = np.zeros((21, 21, 3), np.uint8)
    point[10, 10] = 255
    spread = blurred(point, 0.8)[..., 0].astype(float)
    assert spread.sum() == pytest.approx(255, abs=4)
    x = np.arange(-10, 11)
    deviation = np.sqrt((spread * x**2).sum() / spread.sum())
    assert deviation == pytest.approx(0.8, abs=0.06)
    assert np.array_equal(spread, spread.T)


@pytest.mark.parametrize("reduction", ["bicubic", "area", "bilinear", "lanczos"])
def test_every_reduction_is_aligned(reduction: str) -> None:
    hr, lr = pair(seed=5)
    options = replace(NOTHING, reductions=(reduction,))
    reduced = degrade_picture(hr, lr, options, random())
    inner = (slice(4, -4), slice(4, -4))
    best = np.abs(reduced[inner].astype(int) - lr[inner]).mean()
    for shift in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        moved = np.roll(reduced, shift, (0, 1))
        assert np.abs(moved[inner].astype(int) - lr[inner]).mean() > best
    twice = degrade_picture(hr, lr, replace(options, twice=1.0, first_quality=(95, 95)), random())
    assert psnr_y(twice, lr, border=4) > 30


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"share": 1.5}, "share"),
        ({"quality": [90, 30]}, "quality"),
        ({"quality": [0, 30]}, "quality"),
        ({"blur": [0.8, 0.3]}, "blur"),
        ({"reductions": []}, "reductions"),
        ({"reductions": ["nearest"]}, "reductions"),
        ({"sampling": [0, 0, 0]}, "sampling"),
        ({"jpeg_share": 0.9, "webp_share": 0.2}, "webp_share"),
        ({"noise": -1}, "noise"),
    ],
)
def test_invalid_settings_are_refused_by_name(table: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        build_settings({"data": {"folders": ["x"]}, "degrade": table}, path=Path("a.toml"))


def test_resident_pictures_cannot_be_degraded() -> None:
    table = {"data": {"folders": ["x"]}, "degrade": {"share": 0.5}, "run": {"resident": "on"}}
    with pytest.raises(ConfigError, match="resident"):
        build_settings(table, path=Path("a.toml"))
