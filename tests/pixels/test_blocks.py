"""Block grids of earlier JPEG encoders in pixels, and their absence."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from mafdn.pixels.blocks import BlockGrid, find_block_grid

Pixels = NDArray[np.uint8]


def scene(height: int = 96, width: int = 120, seed: int = 0) -> Pixels:
    """Something like a photograph: noise of all scales, and an edge."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for scale in (1, 2, 4, 8, 16, 32):
        small = random.normal(0, 3 * scale**0.7, (height // scale + 2, width // scale + 2, 3)).astype(np.float32)
        for channel in range(3):
            resized = Image.fromarray(small[..., channel]).resize((width, height), Image.Resampling.BICUBIC)
            total[..., channel] += np.asarray(resized)
    down, across = np.mgrid[:height, :width]
    total += np.where(across + down > width, 60, -20)[..., None]
    return np.clip(total + 110, 0, 255).astype(np.uint8)


def coded(picture: Pixels, quality: int, mode: str = "RGB") -> Pixels:
    """The picture after a JPEG encoder."""
    file = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(file, "JPEG", quality=quality)
    pixels = np.asarray(Image.open(io.BytesIO(file.getvalue())))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def found(picture: NDArray[np.generic]) -> BlockGrid:
    grid = find_block_grid(picture)
    assert grid is not None
    return grid


@pytest.mark.parametrize("quality", [20, 50, 75, 90])
def test_every_offset_of_the_grid_is_found(quality: int) -> None:
    picture = coded(scene(), quality)
    for offset in range(8):
        grid = found(picture[offset:, (3 * offset) % 8 :])
        assert (grid.top, grid.left) == (-offset % 8, (-3 * offset) % 8)


def test_steps_are_those_of_the_encoder() -> None:
    file = io.BytesIO()
    Image.fromarray(scene()).save(file, "JPEG", quality=60)
    image = Image.open(file)
    table = np.reshape(image.quantization[0], (8, 8))  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    steps = found(np.asarray(image)).steps
    assert np.count_nonzero(steps) > 5
    assert steps[steps > 0].tolist() == table[steps > 0].tolist()


def test_types_and_channels_do_not_matter() -> None:
    picture = coded(scene(), 70)
    grid = found(picture)
    alpha = np.random.default_rng(1).integers(0, 256, (*picture.shape[:2], 1), np.uint8)
    for other in (np.concatenate([picture, alpha], 2), picture.astype(np.uint16) * 257, picture.astype("f4") / 255):
        assert found(other).chance == pytest.approx(grid.chance)
    assert found(coded(scene(), 70, "L")).top == 0


def test_large_pictures_are_sampled() -> None:
    tall = coded(scene(480, 640), 75)

    class Watched:
        shape, dtype = tall.shape, tall.dtype
        rows = 0

        def __getitem__(self, rows: slice) -> Pixels:
            self.rows += rows.stop - rows.start
            return tall[rows]

    watched = Watched()
    assert find_block_grid(watched)
    assert watched.rows < tall.shape[0]


@pytest.mark.parametrize("seed", range(4))
def test_clean_pictures_have_none(seed: int) -> None:
    assert find_block_grid(scene(seed=seed)) is None


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
@pytest.mark.parametrize("method", ["NEAREST", "BILINEAR", "BICUBIC"])
def test_enlarged_pictures_have_none(factor: int, method: str) -> None:
    small = Image.fromarray(scene(240 // factor, 320 // factor))
    size = (small.width * factor, small.height * factor)
    assert find_block_grid(np.asarray(small.resize(size, Image.Resampling[method]))) is None


def test_patterns_of_eight_pixels_have_none() -> None:
    random = np.random.default_rng(0)
    colors = random.integers(0, 256, (64, 3), np.uint8)
    sprites = colors[random.integers(0, 64, (60, 8, 8))]
    page = sprites[random.integers(0, 60, (20, 24))].swapaxes(1, 2).reshape(160, 192, 3)
    ramps = (np.mgrid[:160, :192] % 8).sum(axis=0)[..., None].astype(np.uint8) * 12
    lines = scene(160, 192)
    lines[::8], lines[:, ::8] = 0, 0
    mosaic = scene(20, 24).repeat(8, 0).repeat(8, 1)
    for picture in (page, ramps, lines, mosaic):
        assert find_block_grid(picture) is None


def test_a_fine_encoder_leaves_none() -> None:
    grids = [find_block_grid(coded(scene(), quality)) for quality in (99, 100)]
    assert grids == [None, None]


@settings(max_examples=30)
@given(st.data())
def test_any_pixels(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 24), st.integers(1, 24), st.integers(1, 4)))
    picture = data.draw(arrays(data.draw(st.sampled_from(["u1", "u2"])), shape))
    grid = find_block_grid(picture)
    assert grid is None or (0 <= grid.top < 8 and 0 <= grid.left < 8)
