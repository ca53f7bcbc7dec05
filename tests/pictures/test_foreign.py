"""BMP, TGA, QOI and icons: pixels against Pillow's, and what Pillow does not report."""

import io
import re
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mafdn.errors import DamagedError, EncodeError, PictureError
from mafdn.pictures.encoding import save_picture
from mafdn.pictures.formats import FORMATS, sniff
from mafdn.pictures.icc import PRIMARIES, SRGB_CURVE, profile_of_primaries
from mafdn.pictures.limits import Limits
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import open_picture, read_header
from tests.support import Repeat, upscale_file

SIZES = [(1, 1), (3, 5), (40, 61)]
MODES = {"L": 1, "RGB": 3, "RGBA": 4}


def noise(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def pillow(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def rgba(pixels: np.ndarray) -> np.ndarray:
    """Any number of channels as RGBA."""
    colors = pixels[..., : 1 if pixels.shape[2] < 3 else 3]
    alpha = pixels[..., -1:] if pixels.shape[2] in (2, 4) else np.full_like(pixels[..., :1], 255)
    return np.concatenate([np.broadcast_to(colors, (*colors.shape[:2], 3)), alpha], 2)


def read_by_pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"))


@pytest.mark.parametrize("name", ["BMP", "TGA", "QOI"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES)
def test_pictures_by_pillow_are_read_and_ours_by_pillow(
    tmp_path: Path, name: str, mode: str, size: tuple[int, int]
) -> None:
    pixels, known = noise(*size, MODES[mode]), FORMATS[name]
    if name == "QOI":
        pixels = rgba(pixels)[..., : max(3, pixels.shape[2])]
    theirs, ours = tmp_path / f"a{known.suffixes[0]}", tmp_path / f"b{known.suffixes[0]}"
    options = {"colorspace": "sRGB"} if name == "QOI" else {}
    pillow(pixels).save(theirs, **options)
    back = open_picture(theirs)
    assert np.array_equal(rgba(back.planes[:]), read_by_pillow(theirs))
    assert back.notes == ()
    assert save_picture(Picture(planes=pixels, format=FORMATS["PNG"]), ours, known) == ()
    assert np.array_equal(read_by_pillow(ours), rgba(pixels))
    assert np.array_equal(open_picture(ours).planes[:], pixels)


def test_grey_with_alpha_is_stored(tmp_path: Path) -> None:
    pixels = noise(3, 5, 2)
    for name in ("BMP", "TGA"):
        path = tmp_path / f"a{FORMATS[name].suffixes[0]}"
        save_picture(Picture(planes=pixels, format=FORMATS["PNG"]), path, FORMATS[name])
        assert np.array_equal(rgba(open_picture(path).planes[:]), rgba(pixels))


@pytest.mark.parametrize("channels", [1, 2])
def test_grey_becomes_rgb_in_qoi(tmp_path: Path, channels: int) -> None:
    pixels = noise(3, 5, channels)
    assert save_picture(Picture(planes=pixels, format=FORMATS["PNG"]), tmp_path / "a.qoi", FORMATS["QOI"]) == ()
    assert np.array_equal(read_by_pillow(tmp_path / "a.qoi"), rgba(pixels))
    assert np.array_equal(rgba(open_picture(tmp_path / "a.qoi").planes[:]), rgba(pixels))


@pytest.mark.parametrize("name", ["QOI", "TGA", "JPEG 2000"])
def test_a_failure_of_an_encoder_names_the_result(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TypeError("no such\nkind")

    monkeypatch.setattr(Image.Image, "save", fail)
    temporary, result = tmp_path / ".0123456789ab.partial", tmp_path / "result"
    with pytest.raises(EncodeError, match=re.escape(f"{result} cannot be written (no such kind)")):
        save_picture(Picture(planes=noise(3, 5, 3), format=FORMATS["PNG"]), temporary, FORMATS[name], report_as=result)


def test_profiles_are_converted_for_formats_without(tmp_path: Path) -> None:
    profile = profile_of_primaries(PRIMARIES[12], SRGB_CURVE, name="P3")
    for name in ("BMP", "TGA", "QOI"):
        original = Picture(planes=noise(3, 5, 3), format=FORMATS["PNG"], profile=profile)
        notes = save_picture(original, tmp_path / f"a{FORMATS[name].suffixes[0]}", FORMATS[name])
        assert notes == (f"{name} has no color profile: the picture was converted to sRGB",)


def bmp(
    pixels: bytes, width: int, height: int, bits: int, *, head: int = 40, compression: int = 0, rest: bytes = b""
) -> bytes:
    """A BMP file; `rest` follows the first 40 bytes of the second header (12 for OS/2)."""
    if head == 12:
        second = struct.pack("<IHHHH", head, width, height, 1, bits)
    else:
        second = struct.pack(
            "<IiiHHIIiiII", head, width, height, 1, bits, compression, len(pixels), 11_811, 5_906, 0, 0
        )
    second += rest
    start = 14 + len(second)
    return struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start) + second + pixels


def test_kinds_of_bmp(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(bmp(struct.pack("<2H", 0x7C00, 0x03E0), 2, 1, 16))
    assert open_picture(path).planes[:].tolist() == [[[255, 0, 0], [0, 255, 0]]]
    path.write_bytes(bmp(bytes([0, 0, 255, 255, 0, 0, 0, 0]), 2, 1, 24, head=12))  # OS/2
    assert open_picture(path).planes[:].tolist() == [[[255, 0, 0], [0, 0, 255]]]
    path.write_bytes(bmp(bytes([0, 0, 255, 0, 255, 0, 0, 0]), 2, -1, 32))  # top-down, the fourth byte without meaning
    back = open_picture(path)
    assert back.planes[:].tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert back.pixels_per_mm == pytest.approx((11.811, 5.906), abs=1e-3)
    palette = bytes([1, 2, 3, 0, 7, 8, 9, 0]) + bytes(4 * 254)
    runs = bytes([3, 1, 0, 0, 0, 1])  # three times the second color
    path.write_bytes(bmp(runs, 3, 1, 8, compression=1, rest=palette))
    assert open_picture(path).planes[:].tolist() == [[[9, 8, 7]] * 3]


def test_an_embedded_profile_of_bmp_is_used(tmp_path: Path) -> None:
    profile, path = profile_of_primaries(PRIMARIES[12], SRGB_CURVE, name="P3"), tmp_path / "a.bmp"
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0)
    pixels = bytes([0, 0, 255, 0])
    fifth = masks + b"DEBM" + bytes(48) + struct.pack("<IIII", 4, 124 + len(pixels), len(profile), 0)
    path.write_bytes(bmp(pixels, 1, 1, 24, head=124, rest=fifth) + profile)
    assert open_picture(path).profile == profile
    calibrated = masks + bytes(4) + struct.pack("<12I", *range(1, 13)) + bytes(16)
    path.write_bytes(bmp(pixels, 1, 1, 24, head=124, rest=calibrated))
    assert "calibrated" in open_picture(path).notes[0]


@pytest.mark.parametrize(
    ("bits", "compression", "words"), [(64, 0, "64 bits per pixel"), (0, 4, "contains a JPEG file")]
)
def test_bmp_that_is_not_read_is_called_by_its_kind(tmp_path: Path, bits: int, compression: int, words: str) -> None:
    (tmp_path / "a.bmp").write_bytes(bmp(bytes(64), 2, 2, bits, compression=compression))
    with pytest.raises(PictureError, match=words) as caught:
        open_picture(tmp_path / "a.bmp")
    assert not isinstance(caught.value, DamagedError)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("bottom_up", [False, True])
def test_kinds_of_tga(tmp_path: Path, compressed: bool, bottom_up: bool) -> None:
    pixels, path = noise(5, 7, 4), tmp_path / "a.tga"
    pillow(pixels).save(path, compression="tga_rle" if compressed else None, orientation=-1 if bottom_up else 1)
    assert np.array_equal(open_picture(path).planes[:], pixels)
    pixels[..., 3] = 0  # as programs write that know nothing of alpha
    pillow(pixels).save(path)
    back = open_picture(path)
    assert np.array_equal(back.planes[:], pixels[..., :3])
    assert back.notes == ("its alpha channel, clear everywhere, was left out",)


def test_tga_needs_its_name_and_a_right_header(tmp_path: Path) -> None:
    pillow(noise(5, 7, 3)).save(tmp_path / "a.tga")
    data = (tmp_path / "a.tga").read_bytes()
    (tmp_path / "b.dat").write_bytes(data)
    (tmp_path / "c.tga").write_bytes(b"some text that is longer than a header of eighteen bytes")
    assert sniff(tmp_path / "a.tga").name == "TGA"
    for name in ("b.dat", "c.tga"):
        with pytest.raises(DamagedError, match="known format"):
            sniff(tmp_path / name)


def test_the_largest_picture_of_an_icon_is_read(tmp_path: Path) -> None:
    path, pixels = tmp_path / "a.ico", noise(64, 64, 4)
    for kind in ("png", "bmp"):
        pillow(pixels).save(path, sizes=[(16, 16), (64, 64), (32, 32)], bitmap_format=kind)
        back = open_picture(path)
        assert np.array_equal(back.planes[:], pixels)
        assert back.notes == ("only the largest of 3 pictures was read",)
    data = bytearray(path.read_bytes())
    data[2] = 2  # a cursor
    (tmp_path / "a.cur").write_bytes(data)
    assert np.array_equal(open_picture(tmp_path / "a.cur").planes[:], pixels)
    report = upscale_file(path, engine=Repeat())
    assert report.target.suffix == ".png"


def test_an_icon_that_hides_a_huge_picture_is_refused_by_its_size(tmp_path: Path) -> None:
    target = io.BytesIO()
    Image.new("L", (5000, 5000)).save(target, "PNG")
    data = target.getvalue()
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(data), 22)
    (tmp_path / "a.ico").write_bytes(struct.pack("<HHH", 0, 1, 1) + entry + data)
    with pytest.raises(PictureError, match="5000x5000"):
        open_picture(tmp_path / "a.ico", limits=Limits(pixels=1_000_000))


def test_linear_qoi_is_taken_as_srgb_with_a_note(tmp_path: Path) -> None:
    pillow(noise(3, 5, 3)).save(tmp_path / "a.qoi")  # Pillow states it unless told not to
    assert "linear" in open_picture(tmp_path / "a.qoi").notes[0]


@pytest.mark.parametrize("suffix", [".bmp", ".tga", ".qoi", ".ico"])
def test_damaged_files_are_one_line_and_warn_of_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    pillow(noise(16, 16, 4)).save(path)
    whole = path.read_bytes()
    chance = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(60):
            data = bytearray(whole[: chance.integers(1, len(whole))] if chance.random() < 0.3 else whole)
            for place in chance.integers(0, min(len(data), 80), 3):
                data[place] = chance.integers(0, 256)
            path.write_bytes(data)
            try:
                open_picture(path, limits=Limits(pixels=10_000_000))
            except PictureError as error:
                assert "\n" not in str(error)  # noqa: PT017 - most are read


def test_a_folder_that_takes_no_pixels_is_an_error_of_one_line(tmp_path: Path) -> None:
    pillow(noise(3, 5, 3)).save(tmp_path / "a.bmp")
    with pytest.raises(PictureError, match=r"cannot put the pixels of .*a\.bmp into .*missing: No such file"):
        read_header(tmp_path / "a.bmp").file.decode(Limits(), spill_folder=tmp_path / "missing")
