"""Verification: differences as by brute force, colors, transparency, depth and frames; invalid pictures."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import mafdn
from mafdn import Limits, MafdnError, PictureError, UsageError, Verification
from mafdn.pixels import imresize
from mafdn.pixels.tone import srgb_signal
from mafdn.verification import verify as module
from tests.support import draw
from tests.verification.support import noise, save, smooth

Array = NDArray[Any]
SIDES = st.integers(1, 90)


def save_vips(path: Path, pixels: Array, space: str, profile: str | None = None) -> Path:
    image = pyvips.Image.new_from_array(pixels, interpretation=space)
    if profile:
        content: Any = bytes(pyvips.Operation.call("profile_load", profile))
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", content)
    image.write_to_file(str(path))
    return path


@settings(max_examples=25)
@given(SIDES, SIDES, st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.0]), st.sampled_from([1, 3]), st.integers(0, 9))
def test_figures_equal_those_of_brute_force(height: int, width: int, scale: float, channels: int, seed: int) -> None:
    source = noise(height, width, channels, seed=seed)
    result = noise(math.ceil(height * scale), math.ceil(width * scale), channels, seed=seed + 1)
    if abs(result.shape[0] * width / height - result.shape[1]) > 1:
        result = result[: max(1, round(result.shape[1] * height / width))]
    try:
        found = mafdn.verify(source, result)
    except PictureError:  # rounded too much to be of the same ratio
        assert min(source.shape[:2]) < 3
        return
    difference = imresize(result.astype(np.float64), shape=(height, width)) - source
    assert found.mean_difference == pytest.approx(np.abs(difference).mean(), rel=1e-4, abs=1e-4)
    assert found.largest_difference == pytest.approx(np.abs(difference).max(), rel=1e-4, abs=1e-3)
    x, y = found.largest_at
    assert np.abs(difference[y, x]).max() == pytest.approx(np.abs(difference).max(), abs=1e-3)
    error = np.mean(difference**2)
    assert found.psnr == pytest.approx(10 * math.log10(255**2 / error), abs=1e-3)
    blocks = {
        (x, y): np.abs(difference[y : y + 64, x : x + 64].mean((0, 1))).max()
        for y in range(0, height, 64)
        for x in range(0, width, 64)
    }
    assert found.block_difference == pytest.approx(max(blocks.values()), abs=1e-3)
    for block in found.blocks:
        assert block.difference == pytest.approx(blocks[block.x, block.y], abs=1e-3)
    differences = [block.difference for block in found.blocks]
    assert differences == sorted(differences, reverse=True)
    assert len(differences) == min(5, len(blocks))


def test_bands_do_not_change_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    source, result = noise(300, 40, 3), noise(600, 80, 3, seed=1)
    whole = mafdn.verify(source, result)
    monkeypatch.setattr(module, "BAND_VALUES", 1)
    steps: list[tuple[int, int]] = []
    banded = mafdn.verify(source, result, on_progress=lambda done, total: steps.append((done, total)))
    assert steps == [(64, 300), (128, 300), (192, 300), (256, 300), (300, 300)]
    assert banded.mean_difference == pytest.approx(whole.mean_difference, rel=1e-6)
    assert (banded.largest_at, banded.blocks[0].x, banded.blocks[0].y) == (
        whole.largest_at,
        whole.blocks[0].x,
        whole.blocks[0].y,
    )


def test_an_error_of_the_callback_ends_it() -> None:
    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mafdn.verify(noise(4, 4, 3), noise(8, 8, 3), on_progress=stop)


def test_no_difference() -> None:
    found = mafdn.verify(noise(70, 70, 3), noise(70, 70, 3))
    assert (found.mean_difference, found.largest_difference, found.psnr, found.block_difference) == (0, 0, None, 0)
    assert (found.blocks, found.coefficients) == ((), None)


def test_a_changed_block_is_named() -> None:
    source = smooth(200, 260)
    result = source.repeat(2, 0).repeat(2, 1).copy()
    result[2 * 130 : 2 * 150, 2 * 70 : 2 * 90] += 50
    found = mafdn.verify(source, result)
    assert (found.blocks[0].x, found.blocks[0].y) == (64, 128)
    assert found.blocks[0].difference > 5 * found.blocks[1].difference
    x, y = found.largest_at
    assert 68 <= x < 92
    assert 128 <= y < 152


def test_levels_do_not_depend_on_the_depth(tmp_path: Path) -> None:
    source, result = noise(20, 30, 3), noise(40, 60, 3, seed=1)
    expected = mafdn.verify(source, result)
    deep = save_vips(tmp_path / "deep.png", result.astype(np.uint16) * 257, "rgb16")
    flat = save_vips(tmp_path / "flat.png", source, "srgb")
    for given_source, given_result in ((flat, deep), (source, deep), (source.astype(np.float32) / 255, result)):
        found = mafdn.verify(given_source, given_result)
        assert found.mean_difference == pytest.approx(expected.mean_difference, rel=1e-4)
        assert found.notes == ()


def test_gray_and_color_are_compared_as_color(tmp_path: Path) -> None:
    gray = smooth(20, 30, 1)
    result = save(tmp_path / "color.webp", gray.repeat(3, 2), lossless=True)
    found = mafdn.verify(gray, result)
    assert (found.mean_difference, found.notes) == (0, ())


def test_images_of_pillow() -> None:
    image = Image.fromarray(smooth(20, 30))
    found = mafdn.verify(image, image.resize((60, 40), Image.Resampling.BICUBIC))
    assert found.mean_difference < 0.5


def test_colors_below_transparent_pixels_do_not_count() -> None:
    source = np.dstack([noise(64, 64, 3), np.full((64, 64), 255, np.uint8)])
    source[:, 32:, 3] = 0
    other = source.copy()
    other[:, 32:, :3] = 9
    assert mafdn.verify(source, other).largest_difference == 0
    other[:, 32:, 3] = 255
    assert mafdn.verify(source, other).largest_difference == 255


def test_transparency_on_one_side_is_white() -> None:
    source = np.dstack([smooth(32, 32), np.zeros((32, 32), np.uint8)])
    found = mafdn.verify(source, np.full((64, 64, 3), 255, np.uint8))
    assert found.largest_difference < 0.01
    assert found.notes == (
        "only one of them has transparency: the other was compared with its transparent areas in white",
    )


def test_other_profiles_are_compared_in_srgb(tmp_path: Path) -> None:
    pixels = smooth(40, 40)
    wide = save_vips(tmp_path / "wide.png", pixels, "srgb", "p3")
    image = pyvips.Image.new_from_file(str(wide)).icc_transform("srgb")
    image.remove("icc-profile-data")
    plain = tmp_path / "plain.png"
    image.write_to_file(str(plain))
    converted = mafdn.verify(wide, plain)
    assert converted.notes == ("their color profiles differ: both were compared in sRGB",)
    assert converted.mean_difference < 0.6
    assert mafdn.verify(pixels, plain).mean_difference > 2
    same = mafdn.verify(wide, pixels)
    assert (same.mean_difference, same.notes) == (0, ()), "pixels have the colors of the file beside them"


def test_a_profile_of_srgb_is_like_none(tmp_path: Path) -> None:
    plain = save_vips(tmp_path / "a.png", smooth(40, 40), "srgb")
    tagged = save_vips(tmp_path / "b.png", smooth(40, 40), "srgb", "srgb")
    found = mafdn.verify(plain, tagged)
    assert (found.mean_difference, found.notes) == (0, ())


def test_floating_point_pictures_are_compared_as_shown(tmp_path: Path) -> None:
    light = (np.linspace(0, 1, 48 * 40 * 3).reshape(48, 40, 3)).astype(np.float32)
    stored = save_vips(tmp_path / "light.tif", light, "scrgb")
    shown = np.rint(srgb_signal(light) * 255).astype(np.uint8)
    found = mafdn.verify(stored, save_vips(tmp_path / "shown.png", shown, "srgb"))
    assert found.largest_difference <= 0.51


def frames(path: Path, pictures: Sequence[Array]) -> Path:
    images = [Image.fromarray(picture) for picture in pictures]
    images[0].save(path, save_all=True, append_images=images[1:], duration=100, lossless=True)
    return path


def test_all_frames_are_compared(tmp_path: Path) -> None:
    pictures = [noise(24, 20, 3, seed=seed) for seed in range(3)]
    larger = [picture.repeat(2, 0).repeat(2, 1) for picture in pictures]
    larger[1] = larger[1] // 2
    source, result = frames(tmp_path / "a.webp", pictures), frames(tmp_path / "b.webp", larger)
    found = mafdn.verify(source, result)
    assert (found.frames, found.blocks[0].frame) == (3, 2)
    first = mafdn.verify(source, result, frame=1)
    assert (first.frames, first.mean_difference) == (1, mafdn.verify(pictures[0], larger[0]).mean_difference)
    single = mafdn.verify(source, save(tmp_path / "c.png", larger[0]))
    assert single.mean_difference == first.mean_difference
    assert single.notes == ("only the first of 3 pictures was compared",)
    with pytest.raises(PictureError, match="the result has 2 frames or pages, the picture 3; choose one of them"):
        mafdn.verify(source, frames(tmp_path / "d.webp", larger[:2]))


def test_a_smaller_result_has_a_note() -> None:
    assert mafdn.verify(smooth(40, 40), smooth(20, 20)).notes == (module.SMALLER,)


def test_pictures_of_another_shape_are_refused(tmp_path: Path) -> None:
    result = draw(tmp_path / "b.png", size=(40, 40))
    with pytest.raises(PictureError, match=r"b.png \(40x40\) is not a resized .*a.png \(16x12\): their sides have"):
        mafdn.verify(draw(tmp_path / "a.png"), result)


def test_invalid_arguments() -> None:
    with pytest.raises(UsageError, match="source must be an array or a path, not the int 3"):
        mafdn.verify(3, "a.png")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="frame must be between 1"):
        mafdn.verify(noise(4, 4, 3), noise(4, 4, 3), frame=0)
    with pytest.raises(PictureError, match="nothing"):
        mafdn.verify("nothing.png", noise(4, 4, 3))


def test_limits(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png")
    with pytest.raises(PictureError, match="the limit is 100"):
        mafdn.verify(path, path, limits=Limits(pixels=100))
    with pytest.raises(PictureError, match="takes longer than the limit of 0 seconds"):
        mafdn.verify(path, path, limits=Limits(seconds=0))


def test_a_verification_survives_json() -> None:
    found = mafdn.verify(noise(70, 70, 3), noise(140, 140, 3, seed=1))
    assert Verification.parse(json.loads(json.dumps(found.for_programs()))) == found


RECORD = mafdn.verify(noise(4, 4, 3), noise(4, 4, 3, seed=1)).for_programs()
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(RECORD)), inner),
    max_leaves=9,
)


@settings(max_examples=50)
@given(VALUES, st.dictionaries(st.sampled_from(sorted(RECORD)), VALUES))
def test_other_records_are_no_verification(value: object, changes: dict[str, object]) -> None:
    assert Verification.parse(value) is None
    found = Verification.parse(RECORD | changes)
    assert found is None or json.dumps(found.for_programs(), allow_nan=False)


@settings(max_examples=40)
@given(st.data())
def test_damaged_files_give_one_line(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.jpg"
    content = bytearray(save(path, smooth(48, 40), quality=80).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    try:
        found = mafdn.verify(path, smooth(96, 80))
    except MafdnError as error:
        lines = str(error).splitlines()
    else:
        lines = [json.dumps(found.for_programs(), allow_nan=False)]
    assert len(lines) == 1
