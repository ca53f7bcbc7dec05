"""Photoshop documents: the merged picture, against what was put in, and against Pillow."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from mafdn.errors import DamagedError, PictureError
from mafdn.pictures.icc import PRIMARIES, SRGB_CURVE, profile_of_primaries
from mafdn.pictures.reading import open_picture
from tests.support import Repeat, upscale_file

BITMAP, GREY, INDEXED, RGB, CMYK, MULTICHANNEL, DUOTONE, LAB = 0, 1, 2, 3, 4, 7, 8, 9
COLORS = {GREY: 1, RGB: 3}


def packbits(row: bytes) -> bytes:
    """Literal runs only, but for short rows of one value."""
    if 1 < len(row) <= 128 and len(set(row)) == 1:
        return bytes([257 - len(row), row[0]])
    return b"".join(bytes([min(128, len(row) - at) - 1]) + row[at : at + 128] for at in range(0, len(row), 128))


def document(
    planes: list[np.ndarray],
    mode: int,
    *,
    depth: int = 8,
    packed: bool = True,
    large: bool = False,
    layers: int = 0,
    palette: bytes = b"",
    resources: Mapping[int, bytes] | None = None,
) -> bytes:
    """A document whose merged picture has these planes (H, W); `layers` is negative if one of them is its alpha."""
    height, width = planes[0].shape
    size = ">Q" if large else ">I"
    blocks = b"".join(
        b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)
        for number, data in (resources or {}).items()
    )
    info = struct.pack(size, 2) + struct.pack(">h", layers) if layers else b""
    parts = [b"8BPS", struct.pack(">H6xHIIHH", 2 if large else 1, len(planes), height, width, depth, mode)]
    parts += [struct.pack(">I", len(palette)), palette, struct.pack(">I", len(blocks)), blocks]
    parts += [struct.pack(size, len(info)), info, struct.pack(">H", packed)]
    rows = [
        np.packbits(row.astype(np.uint8)).tobytes() if depth == 1 else row.astype(f">u{depth // 8}").tobytes()
        for plane in planes
        for row in plane
    ]
    if packed:
        rows = [packbits(row) for row in rows]
        parts += [struct.pack(">I" if large else ">H", len(row)) for row in rows]
    return b"".join([*parts, *rows])


def noise(count: int, depth: int, size: tuple[int, int] = (9, 14)) -> list[np.ndarray]:
    chance = np.random.default_rng(count + depth)
    return [chance.integers(0, 2**depth, size) for _ in range(count)]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("mode", [GREY, RGB, DUOTONE])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (300, 70)])
def test_planes_are_read(
    tmp_path: Path, packed: bool, large: bool, depth: int, mode: int, size: tuple[int, int]
) -> None:
    planes = noise(3 if mode == RGB else 1, depth, size)
    path = tmp_path / "a.psd"
    path.write_bytes(document(planes, mode, depth=depth, packed=packed, large=large))
    back = open_picture(path)
    assert np.array_equal(back.planes[:], np.stack(planes, -1))
    assert back.bits == depth
    assert back.notes == (("its duotone inks were left out: it was read as gray",) if mode == DUOTONE else ())
    if depth == 8 and not large and mode != DUOTONE:
        with Image.open(path) as image:
            assert np.array_equal(np.asarray(image).reshape(back.planes.shape), back.planes[:])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("mode", [GREY, RGB])
def test_alpha_is_the_merged_transparency_and_its_white_is_taken_off(
    tmp_path: Path, packed: bool, depth: int, mode: int
) -> None:
    top = 2**depth - 1
    colors, alpha = np.stack(noise(COLORS[mode], depth), -1), noise(1, depth)[0]
    alpha[:, :4], alpha[:, -3:] = top, 0
    part = alpha[..., None] / top
    on_white = np.rint(colors * part + (1 - part) * top).astype(int)
    planes = [*np.moveaxis(on_white, -1, 0), alpha]
    path = tmp_path / "a.psd"
    path.write_bytes(document(planes, mode, depth=depth, packed=packed, layers=-1))
    back = open_picture(path).planes[:].astype(int)
    assert np.array_equal(back[..., -1], alpha)
    assert np.array_equal(back[:, :4, :-1], colors[:, :4])
    visible = part[..., 0] > 0.5
    assert abs(back[..., :-1] - colors)[visible].max() <= 2


def test_other_channels_are_left_out_with_a_note(tmp_path: Path) -> None:
    planes = noise(5, 8)
    (tmp_path / "a.psd").write_bytes(document(planes, RGB, layers=2))
    back = open_picture(tmp_path / "a.psd")
    assert np.array_equal(back.planes[:], np.stack(planes[:3], -1))
    assert back.notes == ("of 5 channels only the first 3 were read",)


def test_bitmaps_and_palettes_are_read(tmp_path: Path) -> None:
    path, bits = tmp_path / "a.psd", noise(1, 1)[0]
    path.write_bytes(document([bits], BITMAP, depth=1))
    back = open_picture(path)
    assert np.array_equal(back.planes[:][..., 0], 255 * (1 - bits))  # 1 is black
    assert back.notes == ("1 bit per channel became 8",)
    palette, index = np.random.default_rng(0).integers(0, 256, (3, 256), dtype=np.uint8), noise(1, 8)[0]
    path.write_bytes(document([index], INDEXED, palette=palette.tobytes()))
    assert np.array_equal(open_picture(path).planes[:], palette.T[index])


def test_cmyk_is_converted(tmp_path: Path) -> None:
    full, none = np.zeros((2, 2), int), np.full((2, 2), 255)  # 0 is full ink
    (tmp_path / "a.psd").write_bytes(document([none, full, full, none], CMYK))
    back = open_picture(tmp_path / "a.psd")
    red, green, blue = back.planes[:][0, 0].astype(int)
    assert red > 180 > 100 > max(green, blue)
    assert back.notes == ("CMYK was converted to sRGB",)


@pytest.mark.parametrize("depth", [8, 16])
def test_alpha_of_cmyk_is_read(tmp_path: Path, depth: int) -> None:
    planes = noise(5, depth)
    (tmp_path / "opaque.psd").write_bytes(document(planes[:4], CMYK, depth=depth))
    (tmp_path / "a.psd").write_bytes(document(planes, CMYK, depth=depth, layers=-1))
    opaque, back = open_picture(tmp_path / "opaque.psd"), open_picture(tmp_path / "a.psd")
    assert np.array_equal(back.color, opaque.color)
    assert back.alpha is not None
    assert np.array_equal(back.alpha, planes[4])
    assert back.notes == ("CMYK was converted to sRGB",)


@pytest.mark.parametrize("mode", [GREY, RGB])
def test_colors_are_never_taken_for_alpha(tmp_path: Path, mode: int) -> None:
    planes = noise(COLORS[mode], 8)
    (tmp_path / "a.psd").write_bytes(document(planes, mode, layers=-1))
    back = open_picture(tmp_path / "a.psd")
    assert np.array_equal(back.planes[:], np.stack(planes, -1))
    assert back.notes == ()


def test_profile_and_metadata_are_kept(tmp_path: Path) -> None:
    profile = profile_of_primaries(PRIMARIES[12], SRGB_CURVE, name="P3")
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Somebody"
    resolution = struct.pack(">IHHIHH", 300 << 16, 1, 1, 150 << 16, 1, 1)
    resources = {
        1005: resolution,
        1039: profile,
        1058: exif.tobytes()[6:],
        1060: b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>',
    }
    path = tmp_path / "a.psd"
    path.write_bytes(document(noise(3, 8), RGB, resources=resources))
    upscale_file(path, engine=Repeat())
    back = open_picture(path)
    assert back.profile == profile
    assert back.pixels_per_mm == pytest.approx((300 / 25.4, 150 / 25.4), rel=1e-3)
    with Image.open(tmp_path / "a_x2.png") as image:
        assert image.info["icc_profile"] == profile
        assert image.getexif()[ExifTags.Base.Artist] == "Somebody"
        assert "xmpmeta" in str(image.info.get("xmp", image.info))


@pytest.mark.parametrize(
    ("mode", "depth", "resources", "words"),
    [
        (LAB, 8, {}, "in Lab mode; convert it to RGB first"),
        (MULTICHANNEL, 8, {}, "in multichannel mode"),
        (RGB, 8, {1057: struct.pack(">IB", 1, 0)}, "without a merged picture; save it with 'Maximize Compatibility'"),
    ],
)
def test_what_is_not_read_is_called_by_its_kind(
    tmp_path: Path, mode: int, depth: int, resources: dict[int, bytes], words: str
) -> None:
    (tmp_path / "a.psd").write_bytes(document(noise(3, depth), mode, depth=depth, resources=resources))
    with pytest.raises(PictureError, match=words) as caught:
        open_picture(tmp_path / "a.psd")
    assert not isinstance(caught.value, DamagedError)


@pytest.mark.parametrize("packed", [False, True])
def test_every_truncation_is_one_line(tmp_path: Path, packed: bool) -> None:
    whole = document(noise(3, 8, (3, 5)), RGB, packed=packed)
    for length in range(8, len(whole)):
        (tmp_path / "a.psd").write_bytes(whole[:length])
        with pytest.raises(DamagedError) as caught:
            open_picture(tmp_path / "a.psd")
        assert "\n" not in str(caught.value)
