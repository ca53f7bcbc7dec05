"""Arrays are upscaled like the pictures in files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mafdn
from mafdn import EngineOptions

EXACT = EngineOptions(threads=1, precision="fp32")


def sticker(channels: int) -> np.ndarray:
    """An opaque white square on clear pixels whose hidden color is black, as in most stickers and logos."""
    picture = np.zeros((16, 18, channels), np.uint8)
    picture[4:12, 5:14] = 255
    return picture


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("scale", [2, 2.5])
def test_an_array_with_transparency_gives_what_a_file_does(channels: int, scale: float, tmp_path: Path) -> None:
    picture = sticker(channels)
    Image.fromarray(picture).save(tmp_path / "a.png")
    mafdn.upscale_file(tmp_path / "a.png", tmp_path / "b.png", size=scale, network="classic", engine=EXACT)
    result = mafdn.upscale(picture, scale=scale, network="classic", engine=EXACT)
    np.testing.assert_array_equal(result, np.asarray(Image.open(tmp_path / "b.png")))


def test_an_array_is_upscaled_to_any_size() -> None:
    picture = sticker(4)
    for size, shape in ((mafdn.Size(width=40), (36, 40, 4)), (2, (32, 36, 4))):
        assert mafdn.upscale(picture, size=size, network="classic", engine=EXACT).shape == shape
    assert mafdn.load("x2", engine=EXACT).upscale(picture, size=mafdn.Size(fit=(20, 30))).shape == (18, 20, 4)
    with pytest.raises(mafdn.UsageError, match="use either scale or size"):
        mafdn.upscale(picture, scale=2, size=2)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("scale", [2, 2.5])
def test_hidden_colors_and_edges_do_not_mix(kind: type, scale: float) -> None:
    full = 1.0 if kind is np.float32 else np.iinfo(kind).max
    picture = (sticker(4).astype(np.float64) / 255 * full).astype(kind)
    result = mafdn.upscale(picture, scale=scale, network="classic", engine=EXACT)
    visible = result[..., 3] > 0
    assert result[..., :3][visible].min() >= 0.98 * full
    middle = np.s_[int(6 * scale) : int(10 * scale), int(7 * scale) : int(12 * scale)]
    assert (result[..., 3][middle] == full).all()
    assert (result[..., 3][: int(2 * scale)] == 0).all()
