"""Degraded LR patches."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from mafdn.errors import ConfigError
from mafdn.pixels import imresize, psnr_y
from mafdn.training.config import build_settings
from mafdn.training.data.degrade import DegradeSettings, degrade_picture, degraded_patch
from tests.degradation.pictures import picture

NOTHING = DegradeSettings(
    share=1, reductions=("bicubic",), blur_share=0, noise_share=0, jpeg_share=0, webp_share=0, twice=0
)


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
@example(scale=4, seed=889266789, top=8, left=41)  # the largest share known, 0.80
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
    assert own < 0.9 * other


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
    whole = degrade_picture(hr, lr, options, random())
    assert np.array_equal(whole, jpeg(lr, 60))


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0)
    return np.array(Image.open(file))


def test_patches_are_saved_again_at_their_own_size_on_the_same_or_a_shifted_grid() -> None:
    hr, lr = pair()
    qualities: dict[str, tuple[int, int]] = {"first_quality": (60, 60), "quality": (80, 80)}
    options = replace(NOTHING, twice=1.0, saved_again=1.0, jpeg_share=1.0, sampling=(0, 0, 1), **qualities)
    shifted = {
        jpeg(jpeg(np.pad(lr, ((top, 0), (left, 0), (0, 0)), mode="edge"), 60)[top:, left:], 80).tobytes(): (top, left)
        for top in range(8)
        for left in range(8)
    }
    found = [shifted[degrade_picture(hr, lr, options, random(seed)).tobytes()] for seed in range(120)]
    assert 40 < found.count((0, 0)) < 85
    assert {top for top, _ in found} == {left for _, left in found} == set(range(8))
    some = replace(options, saved_again=0.3)
    again = [degrade_picture(hr, lr, some, random(seed)).tobytes() in shifted for seed in range(120)]
    assert 0.15 < np.mean(again) < 0.45, "the others are encoded at a larger size first"


def test_configurations_of_earlier_versions_get_the_same_patches() -> None:
    hr, lr = pair()
    options = DegradeSettings(share=1, twice=0.7)
    following: list[float] = []
    for seed in range(4):
        numbers = random(seed)
        degrade_picture(hr, lr, options, numbers)
        following.append(round(numbers.random(), 4))
    assert following == [0.9351, 0.1072, 0.6574, 0.3912], "as many numbers are drawn as before there was `saved_again`"


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
        ({"saved_again": -0.1}, "saved_again"),
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
