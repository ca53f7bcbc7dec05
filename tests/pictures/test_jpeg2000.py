"""JPEG 2000: pixels against OpenJPEG through Pillow and imagecodecs, and the boxes around them."""

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import ExifTags, Image

from mafdn.errors import DamagedError, MissingPackageError, PictureError
from mafdn.pictures.codecs.boxes import box
from mafdn.pictures.codecs.foreign.jpeg2000 import EXIF_UUID, FILE_TYPE, SIGNATURE, XMP_UUID
from mafdn.pictures.encoding import save_picture
from mafdn.pictures.formats import FORMATS
from mafdn.pictures.icc import PRIMARIES, SRGB_CURVE, profile_of_curve, profile_of_primaries
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import open_picture, read_header
from tests.support import Repeat, upscale_file

JP2 = FORMATS["JPEG 2000"]
CODESTREAM = b"\xff\x4f\xff\x51"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


def values(bits: int, channels: int, size: tuple[int, int] = (20, 30)) -> np.ndarray:
    """Numbers of `bits` bits."""
    chance = np.random.default_rng(bits + channels)
    return chance.integers(0, 2**bits, (*size, channels)).astype(np.uint8 if bits <= 8 else np.uint16)


def stretched(numbers: np.ndarray, bits: int) -> np.ndarray:
    full = 255 if bits <= 8 else 65_535
    return np.rint(numbers * (full / (2**bits - 1))).astype(np.uint8 if bits <= 8 else np.uint16)


def profile_for(channels: int) -> bytes:
    if channels < 3:
        return profile_of_curve((1.8,), name="grey")
    return profile_of_primaries(PRIMARIES[12], SRGB_CURVE, name="P3")


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (20, 30)])
@pytest.mark.parametrize("with_profile", [False, True])
def test_round_trip(tmp_path: Path, bits: int, channels: int, size: tuple[int, int], with_profile: bool) -> None:
    path, numbers = tmp_path / "a.jp2", values(bits, channels, size)
    planes, profile = stretched(numbers, bits), profile_for(channels) if with_profile else None
    original = Picture(
        planes=planes,
        format=FORMATS["PNG"],
        profile=profile,
        pixels_per_mm=(11.811, 5.9055),
        file_bits=bits if bits in (10, 12) else None,
    )
    assert save_picture(original, path, JP2) == ()
    data = path.read_bytes()
    decoded = imagecodecs.jpeg2k_decode(data[data.index(CODESTREAM) :])
    assert np.array_equal(decoded.reshape(numbers.shape), numbers)
    back = open_picture(path)
    assert np.array_equal(back.planes[:], planes)
    assert (back.profile, back.bits, back.notes) == (profile, bits, ())
    assert back.pixels_per_mm == pytest.approx((11.811, 5.9055), rel=1e-3)
    with Image.open(path) as image:
        assert image.info["dpi"] == pytest.approx((300, 150), rel=1e-3)
        if bits == 8:
            assert np.array_equal(np.asarray(image).reshape(planes.shape), planes)


@pytest.mark.parametrize("suffix", [".jp2", ".j2k"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_files_and_codestreams_by_pillow_are_read(tmp_path: Path, suffix: str, channels: int) -> None:
    pixels = values(8, channels)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(tmp_path / f"a{suffix}")
    back = open_picture(tmp_path / f"a{suffix}")
    assert np.array_equal(back.planes[:], pixels)
    assert (back.profile, back.notes) == (None, ())


@pytest.mark.parametrize("bits", [8, 12])
def test_sycc_becomes_rgb(tmp_path: Path, bits: int) -> None:
    x = np.linspace(0, 1, 30)
    rgb = np.stack(np.broadcast_arrays(x[None], 1 - x[None] / 2, x[:20, None]), -1)
    to_ycc = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    ycc = np.rint((rgb @ to_ycc.T + [0, 0.5, 0.5]) * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    data = imagecodecs.jpeg2k_encode(ycc, codecformat="jp2", reversible=True, mct=False, bitspersample=bits)
    path = tmp_path / "a.jp2"
    path.write_bytes(bytes(data).replace(b"colr\1\0\0\0\0\0\x10", b"colr\1\0\0\0\0\0\x12"))
    back = open_picture(path).planes[:] / (255 if bits == 8 else 65_535)
    assert abs(back - rgb).max() < 3 / 255


def test_premultiplied_alpha_is_divided_out(tmp_path: Path) -> None:
    path, pixels = tmp_path / "a.jp2", values(8, 4)
    pixels[..., :3] = pixels[..., :3] // 2
    pixels[..., 3] = 128
    save_picture(Picture(planes=pixels, format=FORMATS["PNG"]), path, JP2)
    data = path.read_bytes()
    place = data.index(b"cdef") + 6 + 3 * 6 + 2
    assert data[place : place + 2] == b"\0\1"
    path.write_bytes(data[:place] + b"\0\2" + data[place + 2 :])
    back = open_picture(path)
    assert abs(back.planes[:][..., :3] - pixels[..., :3] * (255 / 128)).max() <= 0.5
    assert (back.planes[:][..., 3] == 128).all()


def test_exif_and_xmp_are_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Somebody"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ExifImageWidth: 9}
    Image.fromarray(values(8, 3)).save(tmp_path / "plain.jp2")
    boxes = [box(b"uuid", EXIF_UUID + exif.tobytes()[6:]), box(b"uuid", XMP_UUID + XMP)]
    (tmp_path / "a.jp2").write_bytes((tmp_path / "plain.jp2").read_bytes() + b"".join(boxes))
    upscale_file(tmp_path / "a.jp2", engine=Repeat())
    data = (tmp_path / "a_x2.jp2").read_bytes()
    start = data.index(EXIF_UUID)
    (size,) = struct.unpack_from(">I", data, start - 8)
    kept = Image.Exif()
    kept.load(b"Exif\0\0" + data[start + 16 : start - 8 + size])
    assert kept[ExifTags.Base.Artist] == "Somebody"
    assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] == 60
    assert b"xmpmeta" in data[data.index(XMP_UUID) :]


def test_geotiff_boxes_are_noted(tmp_path: Path) -> None:
    Image.fromarray(values(8, 3)).save(tmp_path / "a.jp2")
    with (tmp_path / "a.jp2").open("ab") as file:
        file.write(box(b"uuid", bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03") + bytes(9)))
    assert open_picture(tmp_path / "a.jp2").notes == ("its GeoTIFF data were left out",)


@pytest.mark.parametrize(("space", "name"), [(12, "CMYK"), (14, "CIELab"), (99, "an unknown color space")])
def test_other_color_spaces_are_refused_by_name(tmp_path: Path, space: int, name: str) -> None:
    Image.fromarray(values(8, 3)).save(tmp_path / "a.jp2")
    data = (tmp_path / "a.jp2").read_bytes().replace(b"colr\1\0\0\0\0\0\x10", b"colr\1\0\0" + struct.pack(">I", space))
    (tmp_path / "a.jp2").write_bytes(data)
    with pytest.raises(PictureError, match=name) as caught:
        read_header(tmp_path / "a.jp2")
    assert not isinstance(caught.value, DamagedError)


@pytest.mark.parametrize("bits", [8, 12])
def test_truncated_files_are_one_line(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "a.jp2"
    planes = stretched(values(bits, 3, (90, 90)), bits)
    save_picture(Picture(planes=planes, format=FORMATS["PNG"], file_bits=12 if bits == 12 else None), path, JP2)
    whole = path.read_bytes()
    for part in (13, 30, 60, 100, 200, len(whole) // 2, len(whole) * 9 // 10, len(whole) - 1):
        path.write_bytes(whole[:part])
        with pytest.raises(DamagedError) as caught:
            open_picture(path)
        assert "\n" not in str(caught.value)


def test_only_deep_files_need_imagecodecs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    deep = Picture(planes=stretched(values(16, 3), 16), format=FORMATS["PNG"])
    save_picture(deep, tmp_path / "deep.jp2", JP2)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    save_picture(Picture(planes=values(8, 3), format=FORMATS["PNG"]), tmp_path / "a.jp2", JP2)
    assert np.array_equal(open_picture(tmp_path / "a.jp2").planes[:], values(8, 3))
    message = r'is JPEG 2000 with 16 bits per channel, which needs imagecodecs: pip install "mafdn\[formats\]"'
    with pytest.raises(MissingPackageError, match=message):
        read_header(tmp_path / "deep.jp2")
    with pytest.raises(MissingPackageError, match=message):
        save_picture(deep, tmp_path / "b.jp2", JP2)


def test_boxes_are_those_of_the_standard(tmp_path: Path) -> None:
    save_picture(Picture(planes=values(8, 4), format=FORMATS["PNG"]), tmp_path / "a.jp2", JP2)
    data = (tmp_path / "a.jp2").read_bytes()
    assert data.startswith(SIGNATURE + FILE_TYPE)
    kinds: list[bytes] = []
    place = 0
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        kinds.append(kind)
        place += size
    assert kinds == [b"jP  ", b"ftyp", b"jp2h", b"jp2c"]
