"""Resizing and metrics compared with published files, published scores and independent implementations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mafdn.evaluation.benchset import Protocol, bicubic, measure
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize, luma, modulo_crop, psnr, psnr_y, ssim, ssim_y

SETS = ("Set5", "Set14", "B100")


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", SETS)
def test_reductions_equal_the_published_files(datasets: Path, name: str, scale: int) -> None:
    folder = datasets / name
    files = sorted((folder / "HR").iterdir())
    assert len(files) == {"Set5": 5, "Set14": 14, "B100": 100}[name]
    for path in files:
        low = read_rgb8(folder / f"LRbicx{scale}" / f"{path.stem}x{scale}.png")
        made = imresize(modulo_crop(read_rgb8(path), scale), 1 / scale)
        assert np.array_equal(made, low), path.name


def test_bicubic_gives_the_figures_of_unrounded_luma(datasets: Path) -> None:
    """MATLAB's `rgb2ycbcr` rounds luma, with which Set5 has 28.42 dB."""
    for name, expected in zip(SETS, ("28.43", "26.09", "25.96"), strict=True):
        (score,) = measure({"bicubic": bicubic(4)}, [datasets / name], Protocol(scale=4))
        assert f"{score.psnr:.2f}" == expected


@pytest.mark.parametrize("factor", [2, 3, 4, 0.5])
def test_lanczos_agrees_with_pillow(factor: float) -> None:
    image = pytest.importorskip("PIL.Image")
    picture = np.random.default_rng(0).random((40, 52), np.float32)
    size = (int(40 * factor), int(52 * factor))
    theirs = np.asarray(image.fromarray(picture).resize(size[::-1], image.Resampling.LANCZOS))
    border = int(6 * max(factor, 1))  # there the two mirror and renormalize
    inner = (slice(border, -border), slice(border, -border))
    np.testing.assert_allclose(imresize(picture, factor, kernel="lanczos3")[inner], theirs[inner], atol=1e-5)


PICTURES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4)))


@given(PICTURES, st.floats(0.15, 5))
@settings(deadline=None)
def test_size_and_type_of_a_resize(picture: np.ndarray, factor: float) -> None:
    out = imresize(picture, factor)
    assert out.shape == (*(int(np.ceil(factor * n)) for n in picture.shape[:2]), picture.shape[2])
    assert out.dtype == np.uint8


@given(st.integers(0, 255), st.integers(1, 30), st.integers(1, 30), st.floats(0.2, 4))
@settings(deadline=None)
def test_a_flat_picture_stays_flat(value: int, height: int, width: int, factor: float) -> None:
    assert (imresize(np.full((height, width), value, np.uint8), factor) == value).all()


@given(PICTURES, st.sampled_from([0.25, 1 / 3, 0.5, 2, 3]))
@settings(deadline=None)
def test_a_resize_commutes_with_mirroring(picture: np.ndarray, factor: float) -> None:
    picture = picture[: picture.shape[0] // 12 * 12, : picture.shape[1] // 12 * 12].astype(np.float64)
    if picture.size:
        assert np.allclose(imresize(picture[:, ::-1], factor), imresize(picture, factor)[:, ::-1])


def test_resize_to_a_size_keeps_deep_types() -> None:
    picture = np.random.default_rng(0).integers(0, 65_536, (20, 30, 3), np.uint16)
    assert imresize(picture, shape=(7, 50)).shape == (7, 50, 3)
    assert imresize(picture, shape=(7, 50)).dtype == np.uint16


@pytest.mark.parametrize("bad", [{}, {"factor": 2.0, "shape": (3, 3)}, {"shape": (0, 3)}])
def test_resize_refuses_invalid_arguments(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        imresize(np.zeros((4, 4)), **bad)


def test_luma_is_bt601_studio_range() -> None:
    primaries = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert np.allclose(luma(primaries), [[16, 235, 81.481, 144.553, 40.966]], atol=1e-9)
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.allclose(luma(grey), luma(np.repeat(grey[..., None], 3, 2)))


def test_luma_is_for_8_bits() -> None:
    with pytest.raises(ValueError, match="uint8"):
        luma(np.zeros((2, 2, 3)))  # pyright: ignore[reportArgumentType]


@given(st.integers(11, 60), st.integers(11, 60), st.integers(0, 2**32 - 1), st.floats(0, 80))
@settings(deadline=None, max_examples=40)
def test_metrics_agree_with_scikit_image(height: int, width: int, seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    a = rng.uniform(0, 255, (height, width))
    b = np.clip(a + rng.normal(0, noise + 1e-3, a.shape), 0, 255)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255), abs=1e-9)
    full: np.ndarray = structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, truncate=3.5, full=True
    )[1]
    assert ssim(a, b) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-6)


def test_metrics_of_equal_pictures() -> None:
    a = np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)
    assert psnr_y(a, a, border=4) == np.inf
    assert ssim_y(a, a, border=4) == pytest.approx(1.0)


def test_the_border_is_left_out() -> None:
    a = np.zeros((30, 30, 3), np.uint8)
    b = a.copy()
    b[:4], b[-4:], b[:, :4], b[:, -4:] = 255, 255, 255, 255
    assert psnr_y(a, b, border=4) == np.inf
    assert psnr_y(a, b, border=3) < 30


@pytest.mark.parametrize("shapes", [((9, 9), (9, 8)), ((0, 5), (0, 5))])
def test_metrics_refuse_what_cannot_be_compared(shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match=r"size|smaller"):
        psnr(np.zeros(shapes[0]), np.zeros(shapes[1]))


def test_ssim_needs_a_window() -> None:
    with pytest.raises(ValueError, match="11"):
        ssim(np.zeros((10, 40)), np.zeros((10, 40)))
