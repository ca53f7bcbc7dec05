"""Recolored patches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mafdn.pixels import imresize
from mafdn.training.data.bank import Bank
from mafdn.training.data.degrade import DegradeSettings
from mafdn.training.data.patches import PatchSampler
from mafdn.training.data.recolor import CONSTANT, NUMBERS, Recoloring


def drawn(count: int, share: float) -> Recoloring:
    return Recoloring.draw(np.random.default_rng(0).random((count, NUMBERS)), share)


def test_the_frequencies_are_as_documented() -> None:
    recoloring = drawn(20_000, 0.3)
    same = (recoloring.source == np.arange(3)).all(1) & (recoloring.factor == 1).all(1)
    assert same.mean() == pytest.approx(0.7, abs=0.02)
    recoloring = drawn(20_000, 1)
    assert np.allclose(np.bincount(recoloring.source.ravel()) / 60_000, 1 / 3, atol=0.02)
    assert (recoloring.factor == 0).mean() == pytest.approx(CONSTANT, abs=0.02)
    assert (recoloring.offset == 255).mean() == pytest.approx(0.5, abs=0.02)


def test_a_share_of_0_changes_nothing() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (5, 6, 3), np.uint8)
    recoloring = drawn(50, 0)
    assert all(np.array_equal(recoloring.apply(picture, i), picture) for i in range(50))


@given(st.integers(0, 199))
def test_channels_are_those_of_the_picture_inverted_ones_or_constants(sample: int) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (5, 6, 3), np.uint8)
    known = {*(picture[..., c].tobytes() for c in range(3)), *((255 - picture)[..., c].tobytes() for c in range(3))}
    known |= {bytes(30), b"\xff" * 30}
    recolored = drawn(200, 1).apply(picture, sample)
    assert recolored.dtype == np.uint8
    assert {recolored[..., c].tobytes() for c in range(3)} <= known


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_recolored_patches_are_degraded_afterwards(bank: Bank, share: float) -> None:
    degrade = DegradeSettings(share=share, blur_share=0, noise_share=0, quality=(95, 98), first_quality=(95, 98))
    sampler = PatchSampler(bank, [0, 1, 2], scale=2, patch=12, seed=3, recolored=1, degrade=degrade)
    differences: list[float] = []
    for step in range(20):
        batch = sampler.batch(step, [0, 1])
        for low, high in zip(batch.lr, batch.hr, strict=True):
            reduced = imresize(high, 0.5).astype(int)
            differences.append(float(np.abs((reduced - low)[3:-3, 3:-3].mean((0, 1))).max()))
    assert np.median(differences) < 6
    assert (np.max(differences) > 1) == (share == 1)
