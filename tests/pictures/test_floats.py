"""Pictures of floating-point numbers: their colors and their values survive."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ImageCms

from mafdn.pictures.reading import open_picture
from mafdn.pixels import imresize
from mafdn.upscaling.picture import Report
from tests.support import Repeat, upscale_file

ASSUMED = "it has no color profile: its floating-point values were taken as linear light"
RNG = np.random.default_rng(0)
SOFT = imresize(RNG.random((6, 8, 4)), shape=(24, 32)).clip(0.02, 0.98)
"""A picture of soft spots: RGB and alpha."""


def icc(name: str) -> bytes:
    """A profile of LittleCMS's, independent of ours: `sRGB`, or `linear` with the same primaries."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def write(path: Path, pixels: np.ndarray, *, profile: bytes | None = None, **options: Any) -> Path:
    """A TIFF file of float pixels, by tifffile."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    tifffile.imwrite(
        path,
        pixels,
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        iccprofile=profile,
        **options,
    )
    return path


def read(report: Report) -> np.ndarray:
    with tifffile.TiffFile(report.target) as file:
        return file.asarray()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("profile", [None, "sRGB"])
def test_float_comes_back_as_float(tmp_path: Path, dtype: str, channels: int, profile: str | None) -> None:
    pixels = SOFT[..., -channels:] if channels in (2, 4) else SOFT[..., :channels]
    pixels = np.squeeze(pixels).astype(dtype)
    block = icc(profile) if profile and channels > 2 else None
    source = write(tmp_path / "in.tif", pixels, profile=block)
    report = upscale_file(source, tmp_path / "out.tif", engine=Repeat())
    result = read(report)
    assert result.dtype == pixels.dtype
    assert report.bits == 8 * pixels.dtype.itemsize
    np.testing.assert_allclose(result, pixels.repeat(2, 0).repeat(2, 1), rtol=2e-6 if dtype == "float32" else 1e-3)
    with tifffile.TiffFile(report.target) as file:
        assert file.pages.first.iccprofile == block
    assert any("no color profile" in note for note in report.notes) == (block is None)


LAYOUTS: list[dict[str, Any]] = [
    {"compression": compression, "predictor": predictor, "tile": tile, "rowsperstrip": None if tile else 7}
    for compression, predictor in ((None, False), ("deflate", True), ("deflate", False), ("lzw", True))
    for tile in (None, (16, 16))
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("separate", [False, True])
def test_every_layout_of_float_pixels_is_read(
    tmp_path: Path, dtype: str, layout: dict[str, Any], separate: bool
) -> None:
    pixels = (SOFT[..., :3] * 3 - 1).astype(dtype)
    options = {"photometric": "rgb", "planarconfig": "separate" if separate else "contig", **layout}
    tifffile.imwrite(tmp_path / "in.tif", np.moveaxis(pixels, 2, 0) if separate else pixels, **options)
    picture = open_picture(tmp_path / "in.tif")
    assert picture.planes.dtype == np.float32
    assert picture.bits == 8 * pixels.dtype.itemsize
    assert np.array_equal(picture.color, pixels.astype(np.float32))
    if dtype == "float64":
        report = upscale_file(tmp_path / "in.tif", tmp_path / "out.tif", engine=Repeat())
        assert "TIFF stores 32 bits per channel: 64 were rounded" in report.notes
        np.testing.assert_allclose(read(report), pixels.repeat(2, 0).repeat(2, 1), rtol=1e-5, atol=1e-6)
