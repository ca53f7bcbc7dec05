"""The patches drawn from a bank."""

from pathlib import Path

import numpy as np
import pytest
import pyvips

from mafdn.errors import ConfigError
from mafdn.pixels import imresize
from mafdn.training.data.bank import Bank
from mafdn.training.data.build import build_bank
from mafdn.training.data.patches import PatchSampler


@pytest.mark.parametrize("recolored", [0.0, 1.0])
def test_patches_are_aligned(bank: Bank, recolored: float) -> None:
    sampler = PatchSampler(bank, [0, 1, 2], scale=2, patch=12, seed=3, recolored=recolored)
    for step in range(20):
        batch = sampler.batch(step, [0, 1, 2])
        assert batch.lr.shape == (3, 12, 12, 3)
        assert batch.hr.shape == (3, 24, 24, 3)
        assert batch.teacher is None
        for low, high in zip(batch.lr, batch.hr, strict=True):
            # Away from its edges, the reduced HR patch is the LR patch; if rotated, its two passes round differently.
            difference = imresize(high, 0.5).astype(int) - low
            assert np.abs(difference[3:-3, 3:-3]).max() <= 1


def test_a_batch_depends_on_seed_step_and_place_alone(bank: Bank) -> None:
    first = PatchSampler(bank, [0, 1, 2], scale=3, patch=8, seed=1)
    whole = first.batch(5, range(4)).hr
    shared = np.stack([first.batch(5, [place]).hr[0] for place in range(4)])
    assert np.array_equal(whole, shared)
    assert not np.array_equal(whole, first.batch(6, range(4)).hr)
    other = PatchSampler(bank, [0, 1, 2], scale=3, patch=8, seed=2)
    assert not np.array_equal(whole, other.batch(5, range(4)).hr)


def test_patches_are_contiguous_in_every_orientation(bank: Bank) -> None:
    sampler = PatchSampler(bank, [0, 1, 2], scale=2, patch=12, seed=3)
    for step in range(16):
        batch = sampler.batch(step, [0])
        assert batch.lr.flags.c_contiguous
        assert batch.hr.flags.c_contiguous


def test_all_eight_orientations_are_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    corner = np.zeros((16, 16, 3), np.uint8)
    corner[0, 1], corner[2, 0] = 255, 90  # no symmetry
    pyvips.Image.new_from_array(corner).pngsave(str(folder / "c.png"))
    bank = build_bank([folder], tmp_path / "bank", scales=(2,), workers=1)
    sampler = PatchSampler(bank, [0], scale=2, patch=8, seed=0)
    seen = {sampler.batch(step, [0]).hr.tobytes() for step in range(100)}
    assert len(seen) == 8


def test_flat_patches_are_mostly_avoided(tmp_path: Path) -> None:
    folder = tmp_path / "half"
    folder.mkdir()
    half = np.full((96, 96, 3), 128, np.uint8)
    half[:48] = np.random.default_rng(0).integers(0, 256, (48, 96, 3))
    pyvips.Image.new_from_array(half).pngsave(str(folder / "h.png"))
    bank = build_bank([folder], tmp_path / "bank", scales=(2,), workers=1)

    def flat(min_gradient: float) -> int:
        sampler = PatchSampler(bank, [0], scale=2, patch=8, seed=0, min_gradient=min_gradient)
        return sum(int(np.ptp(sampler.batch(step, [0]).lr) == 0) for step in range(200))

    assert flat(2.0) < flat(0.0) / 3


def test_patches_larger_than_every_picture_are_refused(bank: Bank) -> None:
    with pytest.raises(ConfigError, match=r"smaller data\.patch"):
        PatchSampler(bank, [0, 1, 2], scale=3, patch=40, seed=0)


def test_the_candidate_with_the_largest_gradient_is_used(bank: Bank) -> None:
    def gradient(candidates: int, step: int) -> float:
        sampler = PatchSampler(bank, [0, 1, 2], scale=2, patch=8, seed=0, candidates=candidates)
        green = sampler.batch(step, [0]).lr[0, ..., 1].astype(int)
        return float(np.abs(np.diff(green, axis=0)).mean() + np.abs(np.diff(green, axis=1)).mean())

    means = [np.mean([gradient(n, step) for step in range(40)]) for n in (1, 2, 8)]
    assert means[0] < means[1] < means[2]


def test_an_unknown_teacher_is_refused(bank: Bank) -> None:
    with pytest.raises(ConfigError, match="no teacher 'large' at x2"):
        PatchSampler(bank, [0], scale=2, patch=8, seed=0, teacher="large")
