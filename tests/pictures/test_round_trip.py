"""Reading and writing: pixels, profile and metadata survive, and damage is an error of one line."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mafdn.errors import PictureError, UsageError
from mafdn.pictures.codecs.pnm import pnm_header
from mafdn.pictures.encoding import save_picture
from mafdn.pictures.formats import FORMATS, format_of_name, sniff
from mafdn.pictures.reading import open_picture, read_header, read_rgb8
from mafdn.pictures.writing import reserve

IPTC = b"Photoshop 3.0\x008BIM\x04\x04" + bytes(5) + b"\x0a\x1c\x02\x05\x00\x05title"


def random(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype)


def write(path: Path, array: np.ndarray, space: str, **fields: Any) -> Path:
    image = pyvips.Image.new_from_array(array).copy(interpretation=space)
    for name, value in fields.items():
        kinds = {bytes: pyvips.GValue.blob_type, int: pyvips.GValue.gint_type, str: pyvips.GValue.gstr_type}
        image.set_type(kinds[type(value)], name.replace("__", "-"), value)
    if path.suffix == ".ppm":
        height, width, channels = array.shape
        deep = array.dtype == np.uint16
        path.write_bytes(
            pnm_header(width, height, channels, deep=deep) + array.astype(">u2" if deep else "u1").tobytes()
        )
    elif path.suffix == ".jxl":
        path.write_bytes(imagecodecs.jpegxl_encode(array, lossless=True))
    elif path.suffix in (".bmp", ".tga", ".qoi", ".jp2"):
        Image.fromarray(array).save(path)
    elif path.suffix in (".jpg", ".webp"):
        image.write_to_file(str(path), Q=100)
    else:
        image.write_to_file(str(path))
    return path


def save(picture_path: Path, target: Path) -> tuple[str, ...]:
    with reserve(target, overwrite=False) as temporary:
        return save_picture(open_picture(picture_path), temporary, format_of_name(target))


KINDS = {"b-w": (9, 8, 1), "srgb": (9, 8, 3)}


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("space", KINDS)
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lossless_round_trip(tmp_path: Path, suffix: str, space: str, alpha: bool, dtype: type) -> None:
    shape = KINDS[space]
    array = random((*shape[:2], shape[2] + alpha), dtype)
    deep = {"b-w": "grey16", "srgb": "rgb16"}[space] if dtype is np.uint16 else space
    source = write(tmp_path / f"in{suffix}", array, deep)
    save(source, tmp_path / f"out{suffix}")
    picture = open_picture(tmp_path / f"out{suffix}")
    assert picture.color.dtype == dtype
    assert np.array_equal(picture.color, array[..., : shape[2]])
    assert (picture.alpha is not None) == alpha
    if picture.alpha is not None:
        assert np.array_equal(picture.alpha, array[..., -1])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_profile_and_metadata_survive(icc: Path, tmp_path: Path, suffix: str) -> None:
    profile = (icc / "DisplayP3-v4.icc").read_bytes()
    fields: dict[str, Any] = {
        "icc__profile__data": profile,
        "xmp__data": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><r tiff:Orientation='6'/></x:xmpmeta>",
    }
    if suffix != ".tif":
        fields["exif__ifd0__Artist"] = "A. Nonymous (A. Nonymous, ASCII, 13 components, 13 bytes)"
    if suffix == ".jpg":
        fields["iptc__data"] = IPTC
    source = write(tmp_path / f"in{suffix}", random((16, 16, 3)), "srgb", **fields)
    save(source, tmp_path / f"out{suffix}")
    out = pyvips.Image.new_from_file(str(tmp_path / f"out{suffix}"))
    assert open_picture(tmp_path / f"out{suffix}").profile == profile
    assert out.get("xmp-data") == fields["xmp__data"].replace(b"'6'", b"'1'"), "the pixels are upright already"
    if suffix != ".tif":
        assert str(out.get("exif-ifd0-Artist")).startswith("A. Nonymous")
    if "iptc__data" in fields:
        assert out.get("iptc-data") == IPTC


LOST = {".jpg": [], ".png": ["IPTC"], ".webp": ["IPTC"], ".tif": []}


@pytest.mark.parametrize("suffix", LOST)
def test_metadata_that_a_format_cannot_store_is_noted(tmp_path: Path, suffix: str) -> None:
    artist = "A (A, ASCII, 2 components, 2 bytes)"
    source = write(tmp_path / "in.jpg", random((16, 16, 3)), "srgb", exif__ifd0__Artist=artist, iptc__data=IPTC)
    notes = save(source, tmp_path / f"out{suffix}")
    assert sorted(note.split("without ")[1].split(":")[0] for note in notes) == LOST[suffix]


def test_texts_of_a_png_survive(tmp_path: Path) -> None:
    source = write(tmp_path / "in.png", random((8, 8, 3)), "srgb", png__comment__0__Title="a title")
    save(source, tmp_path / "out.png")
    out = pyvips.Image.new_from_file(str(tmp_path / "out.png"))
    assert out.get("png-comment-0-Title") == "a title"


@pytest.mark.parametrize(("space", "bands"), [("b-w", 1), ("b-w", 2), ("srgb", 3), ("srgb", 4)])
def test_a_single_pixel(tmp_path: Path, space: str, bands: int) -> None:
    source = write(tmp_path / "in.png", random((1, 1, bands)), space)
    assert open_picture(source).color.shape == (1, 1, 1 if bands < 3 else 3)


def test_channels_beyond_alpha_are_noted(tmp_path: Path) -> None:
    source = write(tmp_path / "in.tif", random((4, 4, 5)), "srgb")
    picture = open_picture(source)
    assert picture.alpha is not None
    assert picture.notes == ("of 5 channels only the first 4 were read",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_reset(tmp_path: Path, orientation: int) -> None:
    upright = random((8, 16, 3)) // 2
    image = pyvips.Image.new_from_array(upright, interpretation="srgb")
    stored = {
        1: image,
        2: image.fliphor(),
        3: image.rot180(),
        4: image.flipver(),
        5: image.rot90().fliphor(),
        6: image.rot270(),
        7: image.rot270().fliphor(),
        8: image.rot90(),
    }[orientation].copy()
    stored.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    source = tmp_path / "in.tif"
    stored.tiffsave(str(source))
    header = read_header(source)
    assert (header.height, header.width) == (8, 16)
    assert np.array_equal(open_picture(source).color, upright)
    save(source, tmp_path / "out.tif")
    out = pyvips.Image.new_from_file(str(tmp_path / "out.tif"))
    assert (out.get("orientation") if "orientation" in out.get_fields() else 1) == 1
    assert np.array_equal(out.numpy(), upright)


def test_camera_orientation_and_thumbnail(corpora: Path, tmp_path: Path) -> None:
    files = sorted((corpora / "exif-orientation-examples").glob("*.jpg"))
    assert files
    for path in files:
        header, picture = read_header(path), open_picture(path)
        assert (picture.height, picture.width) == (header.height, header.width)
        target = tmp_path / path.name
        save(path, target)
        out = pyvips.Image.new_from_file(str(target))
        names = out.get_fields()
        assert not any(name.startswith("exif-ifd1") for name in names)
        assert "orientation" not in names or out.get("orientation") == 1


def test_cmyk_becomes_srgb_with_a_note(tmp_path: Path) -> None:
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[..., 1:3] = 255  # magenta and yellow: red
    source = write(tmp_path / "in.tif", ink, "cmyk")
    picture = open_picture(source)
    red, green, blue = picture.color[4, 4].tolist()
    assert red > 150
    assert max(green, blue) < 90
    assert picture.notes == ("CMYK was converted to sRGB",)
    deep = write(tmp_path / "deep.tif", ink.astype(np.uint16) * 257, "cmyk")
    assert open_picture(deep).bits == 16


def test_what_a_format_cannot_store_is_noted(tmp_path: Path) -> None:
    clear = np.zeros((8, 8, 4), np.uint16)  # black, wholly transparent
    source = write(tmp_path / "in.png", clear, "rgb16")
    notes = save(source, tmp_path / "out.jpg")
    assert [word in " ".join(notes) for word in ("transparency", "16")] == [True, True]
    assert (open_picture(tmp_path / "out.jpg").color > 250).all(), "transparent areas became white"


def test_rgb8_of_deep_and_grey_pictures(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 257, 65_535]], np.uint16)[..., None]
    source = write(tmp_path / "in.png", deep, "grey16")
    assert read_rgb8(source).tolist() == [[[0] * 3, [0] * 3, [1] * 3, [255] * 3]]


WRITTEN = [name for name, known in FORMATS.items() if known.bits]


@pytest.mark.parametrize("name", WRITTEN)
def test_formats_are_detected_by_content_not_by_name(tmp_path: Path, name: str) -> None:
    known = FORMATS[name]
    source = write(tmp_path / f"in{known.suffixes[0]}", random((8, 8, 3)), "srgb")
    lying = source.rename(tmp_path / ("in.dat" if known.magic else f"in{known.suffixes[-1]}"))
    assert sniff(lying) is known
    assert open_picture(lying).format is known


def test_every_prefix_of_a_picture_is_refused_in_one_line(tmp_path: Path) -> None:
    for known in (FORMATS[name] for name in WRITTEN):
        whole = write(tmp_path / f"in{known.suffixes[0]}", random((40, 40, 3)), "srgb").read_bytes()
        for part in (0, 3, 20, len(whole) // 3, len(whole) // 2, len(whole) * 9 // 10):
            path = tmp_path / f"part{known.suffixes[0]}"
            path.write_bytes(whole[:part])
            with pytest.raises(PictureError) as caught:
                open_picture(path)
            assert str(path) in str(caught.value)
            assert "\n" not in str(caught.value)


@given(st.binary(max_size=300), st.sampled_from([m for name in WRITTEN for m in FORMATS[name].magic]))
@settings(deadline=None, max_examples=100)
def test_noise_after_a_good_start_is_one_error(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, magic: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise"
    path.write_bytes(magic + noise)
    with pytest.raises(PictureError):
        open_picture(path)


def test_folders_missing_files_and_odd_names_are_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.png", tmp_path / ("x" * 300), tmp_path / "nul\0.png"):
        with pytest.raises(PictureError):
            sniff(path)
    for name in ("out", "out.psd", "out.png.txt"):
        with pytest.raises(UsageError, match="format"):
            format_of_name(Path(name))


def test_names_with_brackets_are_only_names(tmp_path: Path) -> None:
    source = write(tmp_path / "in.png", random((8, 8, 3)), "srgb").rename(tmp_path / "a[page=1].png")
    save(source, tmp_path / "b[Q=1] %d.png")
    assert np.array_equal(open_picture(tmp_path / "b[Q=1] %d.png").color, open_picture(source).color)
