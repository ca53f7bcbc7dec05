"""Banks and the patches drawn from them."""

from pathlib import Path

import numpy as np
import pytest
import pyvips

from mafdn.data.bank import Bank, build_bank, open_bank
from mafdn.data.patches import PatchSampler
from mafdn.errors import ConfigError, PictureError
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize, modulo_crop

SIZES = ((50, 61), (48, 48), (75, 40))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    for i, (height, width) in enumerate(SIZES):
        noise = np.random.default_rng(i).integers(64, 192, (height, width, 3), np.uint8)  # a resize clips nothing
        name = folder / ("deeper" if i == 2 else "") / f"{i}.png"
        pyvips.Image.new_from_array(noise).pngsave(str(name))
    return folder


@pytest.fixture
def bank(photos: Path, tmp_path: Path) -> Bank:
    return build_bank([photos], tmp_path / "bank", scales=(2, 3), workers=1)


def test_a_bank_holds_the_pictures_and_their_reductions(bank: Bank, photos: Path) -> None:
    assert [p.name for p in bank.pictures] == ["0.png", "1.png", "2.png"]
    for i, name in enumerate(("0.png", "1.png", "deeper/2.png")):
        hr = modulo_crop(read_rgb8(photos / name), 6)
        assert np.array_equal(bank.hr(i), hr)
        for scale in (2, 3):
            assert np.array_equal(bank.lr(i, scale), imresize(hr, 1 / scale))
        assert bank.pictures[i].gradient > 20
        assert len(bank.pictures[i].sha256) == 64


def test_a_bank_is_built_once(bank: Bank, photos: Path) -> None:
    before = (bank.folder / "hr.u8").stat().st_mtime_ns
    again = build_bank([photos], bank.folder, scales=(2, 3))
    assert again.pictures == bank.pictures
    assert (bank.folder / "hr.u8").stat().st_mtime_ns == before


def test_a_bank_of_other_pictures_is_not_taken_silently(bank: Bank, photos: Path) -> None:
    (photos / "1.png").unlink()
    with pytest.raises(ConfigError, match="other pictures"):
        build_bank([photos], bank.folder, scales=(2, 3))


def test_a_failed_build_leaves_no_bank(photos: Path, tmp_path: Path) -> None:
    (photos / "bad.png").write_text("no picture")
    with pytest.raises(PictureError, match=r"bad\.png"):
        build_bank([photos], tmp_path / "bank", scales=(2,), workers=1)
    assert not (tmp_path / "bank").exists()
    (photos / "bad.png").unlink()
    assert len(build_bank([photos], tmp_path / "bank", scales=(2,), workers=1).pictures) == 3


def test_missing_sources_and_banks_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source in ("nowhere", "empty"):
        with pytest.raises(ConfigError, match=source):
            build_bank([tmp_path / source], tmp_path / "bank", scales=(2,))
    with pytest.raises(ConfigError, match="no usable training bank"):
        open_bank(tmp_path / "empty")


def test_patches_are_aligned(bank: Bank) -> None:
    sampler = PatchSampler(bank, [0, 1, 2], scale=2, patch=12, seed=3)
    for step in range(20):
        lr, hr = sampler.batch(step, [0, 1, 2])
        assert lr.shape == (3, 12, 12, 3)
        assert hr.shape == (3, 24, 24, 3)
        for low, high in zip(lr, hr, strict=True):
            # Away from its edge, the HR patch reduced is the LR patch; turned, its two passes round otherwise.
            difference = imresize(high, 0.5).astype(int) - low
            assert np.abs(difference[3:-3, 3:-3]).max() <= 1


def test_a_batch_depends_on_seed_step_and_place_alone(bank: Bank) -> None:
    first = PatchSampler(bank, [0, 1, 2], scale=3, patch=8, seed=1)
    whole = first.batch(5, range(4))[1]
    shared = np.stack([first.batch(5, [place])[1][0] for place in range(4)])
    assert np.array_equal(whole, shared)
    assert not np.array_equal(whole, first.batch(6, range(4))[1])
    other = PatchSampler(bank, [0, 1, 2], scale=3, patch=8, seed=2)
    assert not np.array_equal(whole, other.batch(5, range(4))[1])


def test_all_eight_orientations_are_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    corner = np.zeros((16, 16, 3), np.uint8)
    corner[0, 1], corner[2, 0] = 255, 90  # no symmetry
    pyvips.Image.new_from_array(corner).pngsave(str(folder / "c.png"))
    bank = build_bank([folder], tmp_path / "bank", scales=(2,), workers=1)
    sampler = PatchSampler(bank, [0], scale=2, patch=8, seed=0)
    seen = {sampler.batch(step, [0])[1].tobytes() for step in range(100)}
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
        return sum(int(np.ptp(sampler.batch(step, [0])[0]) == 0) for step in range(200))

    assert flat(2.0) < flat(0.0) / 3


def test_patches_larger_than_every_picture_are_refused(bank: Bank) -> None:
    with pytest.raises(ConfigError, match="smaller patch"):
        PatchSampler(bank, [0, 1, 2], scale=3, patch=40, seed=0)
