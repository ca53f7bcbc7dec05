"""Images of Pillow: modes, profiles, and that Pillow is never imported for them."""

import sys

import numpy as np
import pytest
from PIL import Image, ImageCms

import mafdn
from mafdn import UsageError
from tests.support import Repeat, watched

UPSCALER = mafdn.Upscaler(Repeat())


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def repeated(image: Image.Image) -> np.ndarray:
    return np.array(image).repeat(2, 0).repeat(2, 1)


@pytest.mark.parametrize(
    ("mode", "shape"), [("L", (9, 11)), ("LA", (9, 11, 2)), ("RGB", (9, 11, 3)), ("RGBA", (9, 11, 4))]
)
def test_common_modes_stay(mode: str, shape: tuple[int, ...]) -> None:
    values = noise(*shape)
    if mode.endswith("A"):
        values[..., -1] = 255
    image = Image.fromarray(values)
    assert image.mode == mode
    result = UPSCALER.upscale(image)
    assert isinstance(result, Image.Image)
    assert (result.mode, result.size) == (mode, (22, 18))
    assert np.array_equal(np.array(result), repeated(image))


def test_images_equal_arrays(picture: np.ndarray) -> None:
    image = mafdn.upscale(Image.fromarray(picture), scale=2, engine=mafdn.EngineOptions(threads=1))
    assert np.array_equal(np.array(image), mafdn.upscale(picture, scale=2, engine=mafdn.EngineOptions(threads=1)))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_16_bit_gray(mode: str) -> None:
    values = noise(9, 11, dtype=np.uint16)
    image = Image.fromarray(values)
    if mode == "I;16B":
        image = Image.frombytes("I;16B", (11, 9), values.astype(">u2").tobytes())
    elif mode == "I":
        image = Image.fromarray(values.astype(np.int32))
    assert image.mode == mode
    result = UPSCALER.upscale(image)
    assert result.mode == ("I" if mode == "I" else "I;16")
    assert np.array_equal(np.array(result), values.repeat(2, 0).repeat(2, 1))


def test_float_gray() -> None:
    image = Image.fromarray(np.random.default_rng(0).random((9, 11), np.float32))
    assert image.mode == "F"
    result = UPSCALER.upscale(image)
    assert result.mode == "F"
    assert np.allclose(np.array(result), repeated(image), atol=1 / 65_535)
    with pytest.raises(UsageError, match=r"\[0, 1\]"):
        UPSCALER.upscale(Image.fromarray(255 * np.array(image)))


def test_one_bit_becomes_gray() -> None:
    image = Image.fromarray(noise(9, 11) > 127)
    assert image.mode == "1"
    result = UPSCALER.upscale(image)
    assert result.mode == "L"
    assert np.array_equal(np.array(result), 255 * repeated(image).astype(np.uint8))


def test_palettes_and_transparent_colors_are_resolved() -> None:
    color = Image.fromarray(noise(9, 11, 3))
    palette = color.quantize(16)
    assert palette.mode == "P"
    result = UPSCALER.upscale(palette)
    assert result.mode == "RGB"
    assert np.array_equal(np.array(result), repeated(palette.convert("RGB")))

    palette.info["transparency"] = 3
    result = UPSCALER.upscale(palette)
    assert result.mode == "RGBA"
    assert "transparency" not in result.info
    assert np.array_equal(np.array(result)[..., 3], repeated(palette.convert("RGBA"))[..., 3])
    assert set(np.unique(np.array(result)[..., 3])) == {0, 255}

    gray = Image.fromarray(noise(9, 11))
    gray.info["transparency"] = int(np.array(gray)[0, 0])
    assert UPSCALER.upscale(gray).mode == "LA"
    color.info["transparency"] = tuple(int(v) for v in np.array(color)[0, 0])
    result = UPSCALER.upscale(color)
    assert result.mode == "RGBA"
    assert np.array(result)[0, 0, 3] == 0


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "HSV", "La", "RGBa", "RGBX"])
def test_other_modes_are_refused_by_name(mode: str) -> None:
    with pytest.raises(UsageError, match=f"^images of mode {mode} are not upscaled; convert it"):
        UPSCALER.upscale(Image.new(mode, (9, 9)))


def test_values_beyond_16_bits_are_refused() -> None:
    for value in (-1, 65_536):
        with pytest.raises(UsageError, match="outside of 0 to 65535"):
            UPSCALER.upscale(Image.new("I", (9, 9), value))


def test_profile_and_information_are_kept() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(noise(9, 11, 3))
    image.info |= {"icc_profile": profile, "dpi": (300, 300)}
    result = UPSCALER.upscale(image)
    assert result.info == {"icc_profile": profile, "dpi": (300, 300)}
    assert result.info is not image.info


def test_opened_files_are_images_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("pillow") / "a.png"
    Image.fromarray(noise(9, 11, 3)).save(path)
    with Image.open(path) as image:
        assert UPSCALER.upscale(image, scale=3).size == (33, 27)
        assert image.size == (11, 9)


def test_pillow_is_not_imported_for_other_pictures(tmp_path_factory: pytest.TempPathFactory, png: object) -> None:
    del tmp_path_factory
    done = watched("upscale", png, "-q", "--engine", "openvino")
    assert done.returncode == 0, done.stderr
    assert not [name for name in done.stdout.split() if name.split(".")[0] == "PIL"]
    assert "PIL" in sys.modules  # of this process, which makes images
