"""Pictures of floating-point numbers: their colors and their values survive."""

import sys
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

import mafdn
from mafdn.errors import DamagedError, MissingPackageError, PictureError
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import open_picture, read_header, read_rgb8
from mafdn.pixels import imresize
from mafdn.upscaling.picture import Report
from tests.support import Repeat, upscale_file

imwrite = cast(Any, tifffile).imwrite
ASSUMED = "it has no color profile: its floating-point values were taken as linear light"
ASSUMED_RGB = f"{ASSUMED}, the primaries as those of sRGB"
SOFT = imresize(np.random.default_rng(0).random((6, 8, 4)), shape=(24, 32)).clip(0.02, 0.98)
"""A picture of soft spots: RGB and alpha."""
SRGB = cast(Any, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))).tobytes()
"""A profile by LittleCMS."""


def write(path: Path, pixels: np.ndarray, *, profile: bytes | None = None, **options: Any) -> Path:
    """A TIFF file of float pixels, by tifffile."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    settings: dict[str, Any] = {
        "photometric": "rgb" if channels > 2 else "minisblack",
        "planarconfig": "contig" if channels > 1 else None,
        "extrasamples": ["unassalpha"] if channels in (2, 4) else None,
        "iccprofile": profile,
    }
    imwrite(path, pixels, **(settings | options))
    return path


def read(report: Report) -> np.ndarray:
    with tifffile.TiffFile(report.target) as file:
        return file.asarray()


def twice(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(2, 0).repeat(2, 1)


def encoded(light: np.ndarray) -> np.ndarray:
    """The curve of sRGB, by its definition."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


# --- reading


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("profiled", [False, True])
def test_float_comes_back_as_float(tmp_path: Path, dtype: str, channels: int, profiled: bool) -> None:
    pixels = SOFT[..., -channels:] if channels in (2, 4) else SOFT[..., :channels]
    pixels = np.squeeze(pixels).astype(dtype)
    profile = SRGB if profiled and channels > 2 else None
    source = write(tmp_path / "in.tif", pixels, profile=profile)
    report = upscale_file(source, tmp_path / "out.tif", engine=Repeat())
    result = read(report)
    assert result.dtype == pixels.dtype
    assert report.bits == 8 * pixels.dtype.itemsize
    np.testing.assert_allclose(result, twice(pixels), rtol=2e-6 if dtype == "float32" else 1e-3)
    with tifffile.TiffFile(report.target) as file:
        page = file.pages.first
        assert page.iccprofile == profile
        assert [int(extra) for extra in page.extrasamples] == ([2] if channels in (2, 4) else [])
    assert report.notes == (() if profile else (ASSUMED_RGB if channels > 2 else ASSUMED,))


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
    stored = np.moveaxis(pixels, 2, 0) if separate else pixels
    write(tmp_path / "in.tif", stored, photometric="rgb", planarconfig="separate" if separate else "contig", **layout)
    picture = open_picture(tmp_path / "in.tif")
    assert picture.planes.dtype == np.float32
    assert picture.bits == 8 * pixels.dtype.itemsize
    assert np.array_equal(picture.color, pixels.astype(np.float32))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_float64_becomes_float32(tmp_path: Path, order: str, bigtiff: bool) -> None:
    pixels = np.squeeze(SOFT[..., :1])
    options: dict[str, Any] = {"byteorder": order, "bigtiff": bigtiff, "resolution": (300, 300)}
    source = write(tmp_path / "in.tif", pixels, resolutionunit="inch", **options)
    header = read_header(source)
    assert (header.width, header.height, header.channels, header.bits) == (32, 24, 1, 32)
    report = upscale_file(source, tmp_path / "out.tif", engine=Repeat())
    assert report.notes == (ASSUMED, "TIFF stores 32 bits per channel: 64 were rounded")
    np.testing.assert_allclose(read(report), twice(pixels), rtol=1e-6)
    with tifffile.TiffFile(report.target) as file:
        assert file.pages.first.resolution == pytest.approx((300, 300), rel=1e-3)


def test_float64_keeps_profile_and_orientation(tmp_path: Path) -> None:
    pixels = SOFT[..., :3]
    source = write(tmp_path / "in.tif", pixels, profile=SRGB, extratags=[(274, 3, 1, 6, True)])
    picture = open_picture(source)
    assert picture.profile == SRGB
    assert np.array_equal(picture.color, np.rot90(pixels, -1).astype(np.float32))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_damaged_profile_of_floats_is_noted(tmp_path: Path, dtype: str) -> None:
    source = write(tmp_path / "in.tif", SOFT[..., :3].astype(dtype), profile=SRGB[:200])
    ignored = "its color profile is damaged: it was ignored, the picture taken as linear light"
    assert open_picture(source).notes[0] == ignored


def test_float64_without_its_decoder_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "in.tif", SOFT[..., :3])
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(MissingPackageError, match=r'64 bits, which needs tifffile: pip install "mafdn\[formats\]"'):
        read_header(source)


def test_cut_off_float64_is_damaged(tmp_path: Path) -> None:
    source = write(tmp_path / "in.tif", SOFT[..., :3], compression="deflate")
    content = source.read_bytes()
    with tifffile.TiffFile(source) as file:
        place, length = file.pages.first.dataoffsets[0], file.pages.first.databytecounts[0]
    source.write_bytes(content[: place + length // 2])
    with pytest.raises(DamagedError):
        open_picture(source)
    source.write_bytes(content[:place] + bytes(length) + content[place + length :])
    with pytest.raises(DamagedError):
        open_picture(source)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("channels", [2, 4])
def test_premultiplied_float_colors_are_divided_by_alpha(tmp_path: Path, dtype: str, channels: int) -> None:
    colors, alpha = SOFT[..., : channels - 1], SOFT[..., 3:]
    source = write(tmp_path / "in.tif", np.dstack([colors * alpha, alpha]).astype(dtype), extrasamples=["assocalpha"])
    picture = open_picture(source)
    np.testing.assert_allclose(picture.color, colors, atol=5e-3 if dtype == "float16" else 1e-6)
    np.testing.assert_allclose(cast(Any, picture.alpha), alpha[..., 0], atol=5e-4)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_float_where_white_is_zero_is_inverted(tmp_path: Path, dtype: str) -> None:
    pixels = np.squeeze(SOFT[..., :1]).astype(dtype)
    source = write(tmp_path / "in.tif", pixels, photometric="miniswhite")
    np.testing.assert_allclose(open_picture(source).color[..., 0], 1 - pixels.astype(np.float64), atol=1e-6)


def test_what_is_no_number_is_replaced(tmp_path: Path) -> None:
    pixels = np.dstack([SOFT[..., :3] * 4, SOFT[..., 3:]]).astype(np.float32)
    pixels[0, 0], pixels[1, 1], pixels[2, 2, :3], pixels[3, 3, 3] = np.nan, np.inf, -np.inf, 2
    report = upscale_file(write(tmp_path / "in.tif", pixels), tmp_path / "out.tif", engine=Repeat())
    result = read(report)[::2, ::2]
    finite = pixels[..., :3][np.isfinite(pixels[..., :3])]
    assert result[0, 0, 3] == 0
    np.testing.assert_allclose(result[1, 1], [*[finite.max()] * 3, 1], rtol=1e-5)
    np.testing.assert_allclose(result[2, 2, :3], 0, atol=1e-6)
    assert result[3, 3, 3] == 1
    assert report.notes == (
        "values that are no number became 0",
        "infinite values became the largest finite ones",
        "transparency outside of 0 to 1 was clipped",
        ASSUMED_RGB,
    )


# --- values


@pytest.mark.parametrize("profile", ["DisplayP3-v4.icc", "scRGB-v2.icc", None])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_values_outside_of_0_to_1_are_kept(icc: Path, tmp_path: Path, profile: str | None, dtype: str) -> None:
    pixels = (SOFT[..., :3] * 0.8).astype(dtype)
    pixels[4:8, 4:8], pixels[12, 12], pixels[16:20, 8:12] = 7.5, 60, -0.25
    block = (icc / profile).read_bytes() if profile else None
    report = upscale_file(write(tmp_path / "in.tif", pixels, profile=block), tmp_path / "out.tif", engine=Repeat())
    result = read(report).astype(np.float32)
    inside = result[::2, ::2][9:11, 13:31]
    np.testing.assert_allclose(inside, pixels[9:11, 13:31], rtol=2e-3, atol=1e-3 if dtype == "float16" else 1e-6)
    assert result[10:14, 10:14].mean() == pytest.approx(7.5, rel=0.05)
    assert result[34:38, 18:22].mean() == pytest.approx(-0.25, abs=0.02)
    assert result[24:26, 24:26].max() > 20, "a single pixel stays bright"
    assert result[:, :2].min() >= 0, "bright parts have no dark ring far away"


@pytest.mark.parametrize("factor", [1.0, 300.0])
@pytest.mark.parametrize("size", [1.5, 2, 3, 0.5])
def test_sizes_and_measurements(tmp_path: Path, factor: float, size: float) -> None:
    """Values in hundreds, like those of a measurement, look like small ones do."""
    smooth = imresize(np.random.default_rng(1).random((3, 4, 3)), shape=(36, 48)) * factor
    source = write(tmp_path / "in.tif", smooth.astype(np.float32))
    report = upscale_file(source, tmp_path / "out.tif", engine=Repeat(), size=size)
    result = read(report)
    expected = imresize(smooth, shape=result.shape[:2])
    assert np.abs(result - expected).mean() < 0.03 * factor
    assert result.mean() == pytest.approx(float(smooth.mean()), rel=0.01)


def test_tiles_leave_no_seams(tmp_path: Path) -> None:
    pixels = (imresize(np.random.default_rng(2).random((9, 9, 3)), shape=(160, 160)) * 1.4 - 0.1).astype(np.float32)
    source = write(tmp_path / "in.tif", pixels)
    whole, tiled = (
        read(upscale_file(source, tmp_path / f"{tile}.tif", engine=Repeat(), tile=tile)) for tile in (None, 80)
    )
    np.testing.assert_allclose(tiled, whole, rtol=1e-5, atol=1e-6)


# --- other formats


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(
    ("name", "bits", "tolerance"),
    [("out.png", 16, 0.2), ("out.jpg", 8, 1.5), ("out.webp", 8, 5.0), ("out.ppm", 16, 0.2), ("out.avif", 12, 1.5)],
)
@pytest.mark.parametrize("profile", ["DisplayP3-v4.icc", "scRGB-v2.icc", None])
def test_float_in_formats_of_integers(
    icc: Path, tmp_path: Path, dtype: str, name: str, bits: int, tolerance: float, profile: str | None
) -> None:
    """Displayed, the result looks like the picture: within half a level of 255 on average."""
    pixels = imresize(SOFT[..., :3], shape=(48, 64)).astype(dtype)
    block = (icc / profile).read_bytes() if profile else None
    source = write(tmp_path / "in.tif", pixels, profile=block)
    report = upscale_file(source, tmp_path / name, engine=Repeat())
    assert report.bits == bits
    kind = {"jpg": "JPEG", "webp": "WebP"}.get(name[4:], name[4:].upper())
    how = "rounded" if profile else "encoded as sRGB and rounded"
    numbers = f"{kind} has no floating-point numbers: values were {how} to {bits} bits per channel"
    assert numbers in report.notes
    picture = open_picture(report.target)
    if (profile == "DisplayP3-v4.icc" and name != "out.ppm") or (profile == "scRGB-v2.icc" and name == "out.png"):
        assert picture.profile == block
        expected = twice(pixels.astype(np.float64))
    elif profile == "DisplayP3-v4.icc":
        assert f"{kind} has no color profile: the picture was converted to sRGB" in report.notes
        return
    else:
        assert (picture.profile is None) == (profile is None or name == "out.ppm"), "that of sRGB"
        expected = encoded(twice(pixels.astype(np.float64)))
    if name in ("out.png", "out.jpg", "out.webp"):
        seen = np.asarray(Image.open(report.target)).astype(np.float64)  # Pillow has 8 bits of every channel
        assert np.abs(seen.mean((0, 1)) - expected.mean((0, 1)) * 255).max() < 0.5
    full = float(np.iinfo(picture.planes.dtype).max)
    error = np.abs(picture.color / full * 255 - expected * 255)
    assert error.mean() < tolerance


def test_what_integers_cannot_hold_is_clipped_with_a_note(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 4), np.float32)
    pixels[:, :8], pixels[:, 8:] = (2.5, 0.5, 0.5, 1), (-0.5, 0.5, 0.5, 0.5)
    report = upscale_file(write(tmp_path / "in.tif", pixels), tmp_path / "out.png", engine=Repeat())
    assert "PNG has no values outside of 0 to 1: -0.5 to 2.5 were clipped" in report.notes
    result = np.asarray(Image.open(report.target))
    half = round(float(encoded(np.array(0.5))) * 255)
    assert result[16, 4].tolist() == pytest.approx([255, half, half, 255], abs=1)
    assert result[16, 28].tolist() == pytest.approx([0, half, half, 128], abs=1)


def test_hidden_colors_of_float_pictures_leave_no_fringe(tmp_path: Path) -> None:
    y, x = np.mgrid[:40, :40]
    alpha = np.clip(14 - np.hypot(x - 19.5, y - 19.5), 0, 1)
    color = np.where(alpha[..., None] > 0, np.array([3.0, 0.2, 0.1]), 0)
    source = write(tmp_path / "in.tif", np.dstack([color, alpha]).astype(np.float32))
    result = read(upscale_file(source, tmp_path / "out.tif", engine=Repeat(), size=1.7))
    visible = result[..., 3] > 0
    assert np.abs(result[visible][:, :3] - [3, 0.2, 0.1]).max() < 0.05
    assert result[0, 0, 3] == 0
    assert result[34, 34, 3] == 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_page_of_floats_is_kept(tmp_path: Path, dtype: str) -> None:
    pages = [SOFT[..., :3] * factor for factor in (0.5, 1, 2)]
    with tifffile.TiffWriter(tmp_path / "in.tif") as writer:
        for page in pages:
            cast(Any, writer).write(page.astype(dtype), photometric="rgb", iccprofile=SRGB, compression="deflate")
    report = upscale_file(tmp_path / "in.tif", tmp_path / "out.tif", engine=Repeat())
    with tifffile.TiffFile(report.target) as file:
        assert len(file.pages) == 3
        for before, after in zip(pages, file.pages, strict=True):
            assert cast(Any, after).dtype == np.dtype("float16" if dtype == "float16" else "float32")
            assert cast(Any, after).iccprofile == SRGB
            result = after.asarray()[::2, ::2].astype(np.float64)
            assert result.mean() == pytest.approx(float(before.mean()), abs=0.02)
            middle = before.max() <= 1
            assert not middle or np.abs(result - before).max() < 2e-3


def test_a_float_page_can_be_chosen(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "in.tif") as writer:
        for level in (0.25, 0.75):
            cast(Any, writer).write(np.full((16, 16), level), photometric="minisblack")
    report = upscale_file(tmp_path / "in.tif", tmp_path / "out.tif", engine=Repeat(), frame=2)
    np.testing.assert_allclose(read(report), 0.75, rtol=1e-6)


def test_large_float_pictures_pass_through_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.dstack([SOFT[..., :3] * 3 - 1, SOFT[..., 3:]]).astype(np.float32)
    pixels[3, 3], pixels[5, :9, 3] = np.nan, 0
    source = write(tmp_path / "in.tif", pixels)
    whole = upscale_file(source, tmp_path / "whole.tif", engine=Repeat(), size=1.5)
    monkeypatch.setattr("mafdn.pictures.reading.LARGE", 1000)
    assert read_header(source).spills_to_disk
    spilled = upscale_file(source, tmp_path / "spilled.tif", engine=Repeat(), size=1.5)
    assert np.array_equal(read(spilled), read(whole))
    assert spilled.notes == whole.notes


def test_a_float_picture_is_no_array_in_0_to_1(tmp_path: Path) -> None:
    source = write(tmp_path / "in.tif", SOFT[..., :3].astype(np.float32))
    with pytest.raises(PictureError, match=r"in\.tif has floating-point numbers; use mafdn\.upscale_file"):
        mafdn.upscale(source)
    with pytest.raises(PictureError, match=r"in\.tif has floating-point numbers; convert"):
        read_rgb8(source)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_damaged_float_files_are_pictures_or_one_line(
    tmp_path: Path, dtype: str, separate: bool, tile: tuple[int, int] | None
) -> None:
    pixels = SOFT[..., :3].astype(dtype)
    options: dict[str, Any] = {"compression": "deflate", "predictor": True, "tile": tile}
    stored = np.moveaxis(pixels, 2, 0) if separate else pixels
    source = write(
        tmp_path / "in.tif", stored, photometric="rgb", planarconfig="separate" if separate else "contig", **options
    )
    content, errors = source.read_bytes(), list[str]()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        changed = bytearray(content)
        for place in rng.integers(0, len(content) if seed % 2 else 500, 3):
            changed[place] = int(rng.integers(256))
        source.write_bytes(changed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                planes = open_picture(source, limits=Limits(pixels=100_000)).planes[:]
            assert planes.dtype != np.float32 or np.isfinite(planes).all()
        except PictureError as error:
            errors.append(str(error))
    assert errors
    assert all("\n" not in error and "in.tif" in error for error in errors)
