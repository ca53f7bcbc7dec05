"""Blur, noise and coding."""

import numpy as np
import pytest

from mafdn.degradation.operations import blurred, coded, noisy, white_noise
from mafdn.pixels import psnr_y
from tests.degradation.pictures import picture


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_lower_qualities_lose_more() -> None:
    lr = picture(96, 120, 3)
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


def test_white_noise_is_the_same_everywhere() -> None:
    for level in (60, 128, 200):
        values = white_noise(np.full((200, 200, 3), level, np.uint8), 5.0, random(level)).astype(float)
        assert values.std() == pytest.approx(5.0, rel=0.02)
        assert values.mean() == pytest.approx(level, abs=0.1)


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
