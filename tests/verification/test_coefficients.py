"""The coefficients of a JPEG: recovered from its pixels, judged in whole, and at every orientation and sampling."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import mafdn
from mafdn import JpegCoefficients, Verification
from mafdn.pictures.reading import open_picture
from mafdn.pixels.dct import forward_dct
from mafdn.verification import verify as module
from tests.verification.support import save, smooth

Array = NDArray[Any]


def textured(height: int, width: int, seed: int = 0) -> Array:
    """A picture with detail of every size, and without black and white."""
    detail = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
    return np.clip(smooth(height, width) + detail, 30, 225).astype(np.uint8)


def judged(found: Verification) -> JpegCoefficients:
    assert found.coefficients is not None, found.notes
    return found.coefficients


@settings(max_examples=20)
@given(
    st.integers(8, 80),
    st.integers(8, 80),
    st.integers(5, 100),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
    st.integers(0, 9),
)
def test_a_jpeg_meets_all_of_its_own_coefficients(
    tmp_path_factory: pytest.TempPathFactory,
    height: int,
    width: int,
    quality: int,
    subsampling: int,
    progressive: bool,
    seed: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "own.jpg"
    pixels = textured(height, width, seed)
    save(path, pixels, quality=quality, subsampling=subsampling, progressive=progressive)
    found = mafdn.verify(path, path)
    if found.coefficients is None:
        assert found.notes == (module.NOT_JUDGED.format("no block is complete and without clipped colors"),)
        return
    assert (found.coefficients.all.share, found.coefficients.luma.share) == (1, 1)
    assert found.coefficients.luma.count <= (height // 8) * (width // 8) * 64


def test_coefficients_equal_those_of_the_encoder(tmp_path: Path) -> None:
    """With steps of at least 3, what is recovered from the pixels is what the encoder rounded."""
    pixels = textured(160, 240)[..., 0]
    steps = np.arange(64).reshape(8, 8) // 4 + 3
    path = save(tmp_path / "gray.jpg", pixels, qtables=[steps.ravel().tolist()])
    exact = forward_dct(pixels.astype(np.float64)) / steps
    decoded = forward_dct(open_picture(path).color[..., 0].astype(np.float64)) / steps
    clear = np.abs(exact - np.floor(exact) - 0.5) > 0.05  # the encoder's integers round others either way
    assert (np.rint(exact) == np.rint(decoded))[clear].mean() > 0.9999


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_finds_the_same_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int, subsampling: int
) -> None:
    monkeypatch.setattr(module, "BAND_VALUES", 1)
    exif = Image.Exif()
    exif[274] = orientation
    pixels = textured(150, 203)
    path = save(tmp_path / "a.jpg", pixels, quality=80, subsampling=subsampling, exif=exif)
    plain = save(tmp_path / "plain.jpg", pixels, quality=80, subsampling=subsampling)
    upright = open_picture(path).color.astype(np.int16)
    changed = np.clip(upright + np.random.default_rng(1).integers(-9, 10, upright.shape), 0, 255).astype(np.uint8)
    found, own = judged(mafdn.verify(path, changed)), judged(mafdn.verify(path, upright.astype(np.uint8)))
    assert own.all.share == 1
    assert 0.5 < found.all.share < 0.999
    reference = judged(mafdn.verify(plain, open_picture(plain).color))
    assert (own.luma, own.judged_blocks) == (reference.luma, reference.judged_blocks)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_bands_do_not_change_the_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subsampling: int) -> None:
    pixels = textured(200, 96)
    path = save(tmp_path / "a.jpg", pixels, quality=90, subsampling=subsampling)
    result = np.array(Image.open(path).resize((192, 400), Image.Resampling.BILINEAR))
    whole = judged(mafdn.verify(path, result))
    monkeypatch.setattr(module, "BAND_VALUES", 1)
    banded = judged(mafdn.verify(path, result))
    assert banded.luma == whole.luma
    assert banded.chroma is not None
    assert whole.chroma is not None
    assert banded.chroma.count == whole.chroma.count
    assert banded.chroma.share == pytest.approx(whole.chroma.share, abs=1e-3)


@pytest.mark.parametrize("sampling", ["440", "411"])
def test_rare_samplings(tmp_path: Path, sampling: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(imagecodecs.jpeg8_encode(textured(128, 128), level=85, subsampling=sampling))
    found = judged(mafdn.verify(path, path))
    assert found.chroma is not None
    assert (found.chroma.share, found.judged_blocks) == (1, 1)


def test_a_change_of_one_block_is_found(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", textured(96, 128), quality=75, subsampling=0)
    pixels = open_picture(path).color
    result = pixels.copy()
    result[40:48, 64:72] = 255 - result[40:48, 64:72]
    whole, found = judged(mafdn.verify(path, pixels)), judged(mafdn.verify(path, result))
    lost = found.luma.count * (1 - found.luma.share)
    assert whole.luma.share == 1
    assert 0 < lost <= 64.5
    assert found.chroma is not None
    assert found.chroma.share < 1


def test_invented_detail_and_blur_are_found(tmp_path: Path) -> None:
    pixels = textured(128, 160)
    path = save(tmp_path / "a.jpg", pixels, quality=90)
    image = Image.open(path)
    plain = np.array(image.resize((320, 256), Image.Resampling.LANCZOS))
    blurred = np.array(image.resize((80, 64), Image.Resampling.BOX).resize((320, 256), Image.Resampling.BICUBIC))
    invented = np.clip(plain + np.random.default_rng(2).normal(0, 25, plain.shape), 0, 255).astype(np.uint8)
    shares = [judged(mafdn.verify(path, result)) for result in (plain, blurred, invented)]
    assert shares[0].luma.share > 0.8
    assert shares[0].luma.share > max(shares[1].luma.share, shares[2].luma.share) + 0.1
    nonzero = [share.luma.nonzero_share for share in shares]
    assert nonzero[1] is not None
    assert nonzero[0] is not None
    assert nonzero[1] < nonzero[0] - 0.2, "blur loses what the file states"


def test_blocks_of_clipped_colors_are_not_judged(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::3] = 255
    stripes[:, 32:] = textured(64, 32)
    path = save(tmp_path / "a.jpg", stripes, quality=30, subsampling=0)
    found = judged(mafdn.verify(path, path))
    assert (found.luma.share, found.luma.count) == (1, 32 * 64)


@pytest.mark.parametrize(
    ("options", "mode", "reason"),
    [
        ({"keep_rgb": True}, "RGB", "a JPEG that is not YCbCr"),
        ({}, "CMYK", "a JPEG that is not YCbCr"),
    ],
)
def test_other_kinds_of_jpeg_are_not_judged(tmp_path: Path, options: dict[str, Any], mode: str, reason: str) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(textured(32, 32)).convert(mode).save(path, **options)
    found = mafdn.verify(path, path)
    assert (found.coefficients, found.mean_difference) == (None, 0)
    assert found.notes == (module.NOT_JUDGED.format(reason),)


def test_deep_and_tiny_and_converted_jpegs_are_not_judged(tmp_path: Path) -> None:
    deep = tmp_path / "deep.jpg"
    deep.write_bytes(imagecodecs.jpeg8_encode(textured(32, 32).astype(np.uint16) * 16, bitspersample=12))
    assert mafdn.verify(deep, deep).notes == (module.NOT_JUDGED.format("a JPEG of 12 bits"),)
    tiny = save(tmp_path / "tiny.jpg", textured(7, 30))
    assert mafdn.verify(tiny, tiny).notes == (
        module.NOT_JUDGED.format("no block is complete and without clipped colors"),
    )


def test_gray_has_no_chroma(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", textured(64, 64)[..., 0], quality=60)
    found = judged(mafdn.verify(path, save(tmp_path / "b.png", np.array(Image.open(path).convert("RGB")))))
    assert (found.chroma, found.luma.share, found.all) == (None, 1, found.luma)
