"""Parts of pictures for the page."""

from pathlib import Path

import numpy as np
import pytest
import pyvips

from mafdn.pictures.reading import open_picture
from mafdn.pixels.resize import imresize
from mafdn.web.processes.views import Window, encode, enlarged_window, reduced_window, thumbnail


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, 101, 3), np.uint8)


@pytest.mark.parametrize("factor", [2.0, 3.0, 2.5, 0.7])
@pytest.mark.parametrize("reduce", [1, 2, 4])
def test_windows_of_an_enlargement_are_those_of_the_whole(noise: np.ndarray, factor: float, reduce: int) -> None:
    new_size = (round(noise.shape[1] * factor), round(noise.shape[0] * factor))
    whole_window = Window(x=0, y=0, width=9_999, height=9_999, reduce=reduce).within(*new_size)
    assert whole_window is not None
    whole = enlarged_window(noise, new_size, whole_window)
    assert whole.shape[:2] == (-(-new_size[1] // reduce), -(-new_size[0] // reduce))
    if reduce == 1:
        np.testing.assert_array_equal(whole, imresize(noise, shape=(new_size[1], new_size[0])))
    part = Window(x=7, y=5, width=20, height=9, reduce=reduce).within(*new_size)
    assert part is not None
    found = enlarged_window(noise, new_size, part)
    np.testing.assert_array_equal(found, whole[5 : 5 + part.height, 7 : 7 + part.width])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("reduce", [1, 2, 3, 8, 64])
def test_reduced_windows_are_means(noise: np.ndarray, dtype: type, reduce: int) -> None:
    picture = (noise.astype(dtype) * (257 if dtype is np.uint16 else 1)).astype(dtype)
    height, width = -(-picture.shape[0] // reduce), -(-picture.shape[1] // reduce)
    whole = reduced_window(picture, Window(x=0, y=0, width=width, height=height, reduce=reduce))
    assert whole.shape == (height, width, 3)
    assert whole.dtype == dtype
    y, x = height - 1, width - 1
    corner = picture[y * reduce : (y + 1) * reduce, x * reduce : (x + 1) * reduce].astype(float).mean((0, 1))
    np.testing.assert_allclose(whole[y, x], corner, atol=0.51 if dtype is not np.float32 else 1e-3)
    part = reduced_window(picture, Window(x=x // 2, y=y // 2, width=width - x // 2, height=1, reduce=reduce))
    np.testing.assert_array_equal(part[0], whole[y // 2, x // 2 :])


def test_windows_are_cut_at_the_border() -> None:
    window = Window(x=10, y=0, width=100, height=100, reduce=4)
    assert window.within(50, 30) == Window(x=10, y=0, width=3, height=8, reduce=4)
    assert window.within(40, 30) is None


@pytest.mark.parametrize(
    ("size", "side", "expected"), [((3, 900), 100, (1, 100)), ((70, 101), 50, (35, 50)), ((5, 6), 50, (5, 6))]
)
def test_thumbnails_fit(size: tuple[int, int], side: int, expected: tuple[int, int]) -> None:
    assert thumbnail(np.zeros((*size, 3), np.uint8), side).shape[:2] == expected


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
@pytest.mark.parametrize("kind", ["png", "webp"])
def test_previews_keep_the_colors(tmp_path: Path, noise: np.ndarray, name: str, kind: str) -> None:
    image = pyvips.Image.new_from_array(noise, interpretation="srgb").icc_export(output_profile="p3")
    image.write_to_file(str(tmp_path / name))
    picture = open_picture(tmp_path / name)
    assert picture.profile is not None
    drawn = pyvips.Image.new_from_buffer(encode(picture, picture.planes[:], tmp_path, kind=kind), "")
    assert drawn.get("icc-profile-data") == picture.profile
    assert (drawn.width, drawn.height, drawn.bands) == (101, 70, 3)
    if kind == "png":
        np.testing.assert_array_equal(drawn.numpy(), picture.planes[:])


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_pictures_are_drawn(tmp_path: Path, noise: np.ndarray, dtype: type) -> None:
    values = noise.astype(np.float32) / 255 if dtype is np.float32 else noise.astype(np.uint16) * 257
    space = "scrgb" if dtype is np.float32 else "rgb16"
    pyvips.Image.new_from_array(values).copy(interpretation=space).write_to_file(str(tmp_path / "a.tif"))
    picture = open_picture(tmp_path / "a.tif")
    drawn = pyvips.Image.new_from_buffer(encode(picture, picture.planes[:], tmp_path, kind="png"), "")
    assert (drawn.width, drawn.height) == (101, 70)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
    if dtype is np.uint16:
        np.testing.assert_array_equal(drawn.numpy(), noise)
