"""JPEG XL: what libjxl reads and writes through imagecodecs, and what this package adds: colors and metadata."""

import base64
import contextlib
import io
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import pyvips
from PIL import ExifTags, Image

from mafdn.errors import DamagedError, MissingPackageError, PictureError
from mafdn.pictures.codecs.boxes import box
from mafdn.pictures.codecs.jxl.bits import BitReader, BitWriter
from mafdn.pictures.codecs.jxl.color import converted, wide_profile
from mafdn.pictures.codecs.jxl.container import FILE_TYPE, SIGNATURE, read_codestream
from mafdn.pictures.codecs.jxl.header import read_header as read_codestream_header
from mafdn.pictures.codecs.jxl.icc import decode_icc, encode_icc
from mafdn.pictures.encoding import EncodeOptions, save_picture
from mafdn.pictures.formats import FORMATS
from mafdn.pictures.icc import PRIMARIES, SRGB_CURVE, profile_of_curve, profile_of_primaries
from mafdn.pictures.picture import CodePoints, Picture
from mafdn.pictures.reading import open_picture, read_header
from mafdn.upscaling.output import Output
from tests.support import Repeat, upscale_file

JXL = FORMATS["JPEG XL"]
P3 = profile_of_primaries(PRIMARIES[12], SRGB_CURVE, name="P3")
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
LOSSLESS_P3 = base64.b64decode(
    "AAAADEpYTCANCocKAAAAFGZ0eXBqeGwgAAAAAGp4bCAAAAFJanhsY/8KA0EIXwoSDpAN2XoqFPwemRVa/nekhBMpSnz6OPZWWOB7wM6zvPOsfs9o7Tsy"
    "Go2WvkUImzFtZgcAgP+KvZZMjG1DGkDmhLkzZwwdOSwAAED59X+NV1BxUZG7qOJ+71fON1dJ3UdqrQsAAAAgZSoAn2HcTAaWMwe6mQFSpgL4DONm8ms5"
    "Q4aDUHutPuj0mm8Ygb96+++/8yv8d0L7hfTff/cN9d9//XF4q6HAJTrol+v9AVH6o7G7jFrj0GE2RhQZ3IsnZlIq74lpMnYKZZQNCAQBAKgBSygx3Yy9"
    "h+VhulCQuEFBQUFJBgUYRXQAjRgFI2O8OyUJ1MHCSgAwgBBgAEGAAGBi447Hgf3/AOf2vy9E+tn/q23+52jh8dqjOJWXghLJTbYv2mCUYApvZYRhwPrT"
    "SnwDpPx8v0VJ6cHZAw=="
)
"""`ramps`, encoded by pylibjxl 0.5 without loss, with libvips's profile of Display P3."""
LOSSY_ODD = base64.b64decode(
    "AAAADEpYTCANCocKAAAAFGZ0eXBqeGwgAAAAAGp4bCAAAAGpanhsY/8KA0EKNwsDEqYBsKVSwgZWdVtmcp8XcdnTEyq/llxuPpadLgWeg80uM8fwc7TG"
    "akmr1ZqqgfcBEDZj2sws4E/cFXMyRIc20wBpeJM5Ye7MGUNHDstHyNdfxvlnpEzFL4pm3Ew0GM4caGeGT2avDGfIsBDQrpUCcLqNakaAm17//p1vecw5"
    "AftC/Pt3b8i/f/1x4FQDAofAgV/Y7o8XUfyBsb3QsgaLFsNEC0QG5wkBPXFrhckQ5N8/fN0HABOIAHwD//+qAgBQoTLKuMHLuZ4vP3RYTNu4ztBW2xaW"
    "JIqMY5N0AocksaRuc4LHjo6uHpEgJEq7Yr7GlbRMs3voMh8K8pHzFDWLzDr4Id64iVpGxqgdEgBQIQVW2JWOl8fLTIk8MpMZL2PMGDNekIj85xQjNh4Z"
    "Cb+aDCzwpa5KJvzetuGc56t3C1ZQJnP5oJzUwWT6It5tNnmGHvRvWMF3ElyYlEJYIhm88UjzZBlksnuHxFkYcRcqJJSQUEfiRdqYyUMAhI5Pvu7xXf2s"
    "5sCNhpkKCYMliAT0JFRZVFbeoxMKCw=="
)
"""The same by cjxl 0.7 at distance 0.1, in the codec's own color space, with `odd_profile`."""


def ramps() -> np.ndarray:
    levels = np.linspace(0, 255, 24).astype(np.uint8)
    across, down = np.tile(levels, (16, 1)), np.tile(levels[:16, None], (1, 24))
    return np.stack([across, across[:, ::-1], down], -1)


def vips_p3() -> bytes:
    return bytes(pyvips.Operation.call("profile_load", "p3"))


def odd_profile() -> bytes:
    """libvips's Display P3 with a curve of five points, which no parameters describe."""
    profile = vips_p3()
    curve = b"curv" + bytes(4) + struct.pack(">I5H", 5, 0, 3000, 14_000, 36_000, 65_535) + bytes(2)
    count = struct.unpack_from(">I", profile, 128)[0]
    table, body = b"", b""
    for number in range(count):
        name, start, length = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        data = curve if name.endswith(b"TRC") else profile[start : start + length]
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, 132 + 12 * count + len(body), len(data))
        body += data
    head = struct.pack(">I", 132 + len(table) + len(body)) + profile[4:84] + bytes(16) + profile[100:132]
    return head + table + body


def soft(bits: int, channels: int, height: int = 20, width: int = 30) -> np.ndarray:
    """Ramps of whole steps of `bits` bits, over the full range of 8 or 16; alpha is opaque on the left."""
    y, x = np.mgrid[:height, :width] / np.array([max(1, height - 1), max(1, width - 1)])[:, None, None]
    planes = [0.2 + 0.6 * x, 0.3 + 0.4 * y, 0.8 - 0.5 * x * y][: 3 if channels > 2 else 1]
    planes += [np.clip(1.5 - x, 0, 1)] if channels in (2, 4) else []
    steps = np.rint(np.dstack(planes) * (2**bits - 1))
    full = 255 if bits == 8 else 65_535
    return np.rint(steps * full / (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def picture(planes: np.ndarray, bits: int, **facts: Any) -> Picture:
    return Picture(planes=planes, format=FORMATS["PNG"], file_bits=bits if bits in (10, 12) else None, **facts)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (20, 30)])
def test_lossless_pictures_are_read_by_libjxl_and_by_us(
    tmp_path: Path, bits: int, channels: int, size: tuple[int, int]
) -> None:
    path, planes = tmp_path / "a.jxl", soft(bits, channels, *size)
    profile = P3 if channels > 2 else profile_of_curve((1.8,), name="grey")
    for kept in (None, profile):
        notes = save_picture(picture(planes, bits, profile=kept), path, JXL, options=EncodeOptions(lossless=True))
        values = imagecodecs.jpegxl_decode(path.read_bytes()).reshape(planes.shape)
        back = open_picture(path)
        top = 255 if bits == 8 else 65_535
        assert np.array_equal(np.rint(values * (top / (2**bits - 1))), planes)
        assert np.array_equal(back.planes[:], planes)
        assert (back.profile, back.bits, back.notes, notes) == (kept, bits, (), ())


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("profile", [None, P3])
def test_lossy_pictures_keep_depth_and_colors(tmp_path: Path, bits: int, channels: int, profile: bytes | None) -> None:
    path, planes = tmp_path / "a.jxl", soft(bits, channels)
    profile = profile_of_curve((1.8,), name="grey") if profile and channels < 3 else profile
    assert save_picture(picture(planes, bits, profile=profile), path, JXL) == ()
    back = open_picture(path)
    assert (back.profile, back.bits, back.notes) == (profile, bits, ())
    difference = (back.planes[:].astype(float) - planes) / (1 if bits == 8 else 257)
    assert abs(difference).mean() < 1
    assert abs(difference.mean((0, 1))).max() < 0.3


def test_quality_is_used(tmp_path: Path) -> None:
    sizes: list[int] = []
    for quality in (30, 95):
        save_picture(picture(ramps(), 8), tmp_path / "a.jxl", JXL, options=EncodeOptions(quality=quality))
        sizes.append((tmp_path / "a.jxl").stat().st_size)
    assert sizes[0] < sizes[1]


def test_other_encoders_profiles_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.jxl"
    path.write_bytes(LOSSLESS_P3)
    back = open_picture(path)
    assert np.array_equal(back.planes[:], ramps())
    assert back.profile == vips_p3()


def test_pixels_in_the_codecs_own_space_come_back_in_their_profile(tmp_path: Path) -> None:
    path = tmp_path / "a.jxl"
    path.write_bytes(LOSSY_ODD)
    linear = imagecodecs.jpegxl_decode(path.read_bytes())  # what would have been read without the header's replacement
    assert abs(linear.astype(int) - ramps()).mean() > 30
    back = open_picture(path)
    assert (back.profile, back.bits, back.notes) == (odd_profile(), 8, ())
    assert abs(back.planes[:].astype(int) - ramps()).mean() < 1.5


@pytest.mark.parametrize("profile", [b"", b"x", bytes(127), P3, odd_profile(), odd_profile() + bytes(99_000)])
def test_profiles_are_encoded(profile: bytes) -> None:
    reader = BitReader(encode_icc(profile).to_bytes())
    assert decode_icc(reader) == profile


def test_damaged_profiles_are_errors_of_one_kind(tmp_path: Path) -> None:
    path, stream = tmp_path / "a.jxl", bytearray(LOSSLESS_P3)
    read = 0
    for place in range(50, 250):
        stream[place] ^= 0x55
        path.write_bytes(stream)
        stream[place] ^= 0x55
        with contextlib.suppress(PictureError):
            open_picture(path)
            read += 1
    assert read < 100


@pytest.mark.parametrize(
    ("primaries", "transfer"), [("SRGB", "SRGB"), ("P3", "SRGB"), ("BT2100", "SRGB"), ("SRGB", "LINEAR"), ("P3", "DCI")]
)
def test_colors_stated_by_number_have_a_profile(tmp_path: Path, primaries: str, transfer: str) -> None:
    """The header is that of our encoder, with other numbers in it."""
    from mafdn.pictures.codecs.jxl import header as jxl

    save_picture(picture(ramps(), 8), tmp_path / "a.jxl", JXL, options=EncodeOptions(lossless=True))
    data = (tmp_path / "a.jxl").read_bytes()
    found = jxl.read_header(data)
    number = {"SRGB": 1, "BT2100": 9, "P3": 11}[primaries]
    colors = jxl.Colors(primaries=number, transfer={"SRGB": 13, "LINEAR": 8, "DCI": 17}[transfer])
    changed = jxl.with_header(data, found, colors=colors, depth=None, frames_at=-(-found.end // 8))
    (tmp_path / "b.jxl").write_bytes(changed)
    back = open_picture(tmp_path / "b.jxl")
    assert np.array_equal(back.planes[:], imagecodecs.jpegxl_decode(changed))
    if (primaries, transfer) == ("SRGB", "SRGB"):
        assert back.profile is None
        return
    assert back.profile is not None
    curve = {"SRGB": SRGB_CURVE, "LINEAR": (1.0,), "DCI": (2.6,)}[transfer]
    points = PRIMARIES[{"SRGB": 1, "BT2100": 9, "P3": 12}[primaries]]
    ours = profile_of_primaries(points, curve, name="other name")
    sample = ramps()
    assert abs(converted(sample, back.profile, ours).astype(int) - sample.astype(int) * 257).max() < 300


@pytest.mark.parametrize("transfer", [16, 18])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_hdr_is_kept_by_number(tmp_path: Path, transfer: int, bits: int) -> None:
    path, planes = tmp_path / "a.jxl", soft(bits, 3)
    points = CodePoints(primaries=9, transfer=transfer)
    assert save_picture(picture(planes, bits, code_points=points), path, JXL) == ()
    header, back = read_header(path), open_picture(path)
    assert (header.code_points, back.code_points, back.notes) == (points, points, ())
    assert np.array_equal(back.planes[:], planes)
    with path.open("rb") as file:
        assert read_codestream_header(read_codestream(file)).colors.transfer == transfer


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("profile", [None, P3])
def test_floating_point_numbers_are_kept(tmp_path: Path, channels: int, half: bool, profile: bytes | None) -> None:
    path = tmp_path / "a.jxl"
    planes = np.random.default_rng(0).normal(0.5, 0.7, (7, 9, channels)).astype(np.float32)
    if channels in (2, 4):
        planes[..., -1] = np.clip(planes[..., -1], 0, 1)
    planes = planes.astype(np.float16).astype(np.float32) if half else planes
    profile = None if channels < 3 else profile
    original = Picture(planes=planes, format=FORMATS["TIFF"], profile=profile, file_bits=16 if half else None)
    assert save_picture(original, path, JXL) == ()
    assert np.array_equal(imagecodecs.jpegxl_decode(path.read_bytes()).reshape(planes.shape), planes)
    back = open_picture(path)
    assert np.array_equal(back.planes[:], planes)
    assert (back.bits, back.notes) == (16 if half else 32, ())
    assert back.profile is not None  # linear light, where there was none


def exif() -> bytes:
    block = Image.Exif()
    block[ExifTags.Base.Artist] = "Somebody"
    block[ExifTags.IFD.Exif] = {ExifTags.Base.ExifImageWidth: 9, ExifTags.Base.DateTimeOriginal: "2026:01:02 03:04:05"}
    return block.tobytes().removeprefix(b"Exif\0\0")


def boxes_of(data: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    place = 0
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        found[kind] = data[place + 8 : place + size]
        place += size
    return found


@pytest.mark.parametrize("compressed", [False, True])
def test_exif_and_xmp_are_kept(tmp_path: Path, compressed: bool) -> None:
    stream = bytes(imagecodecs.jpegxl_encode(ramps()))
    blocks = {b"Exif": bytes(4) + exif(), b"xml ": XMP}
    parts = [box(kind, content) for kind, content in blocks.items()]
    if compressed:
        parts = [box(b"brob", kind + bytes(imagecodecs.brotli_encode(content))) for kind, content in blocks.items()]
    source = tmp_path / "in.jxl"
    source.write_bytes(SIGNATURE + FILE_TYPE + b"".join(parts) + box(b"jxlc", stream))
    upscale_file(source, tmp_path / "out.jxl", engine=Repeat())
    found = boxes_of((tmp_path / "out.jxl").read_bytes())
    kept = Image.Exif()
    kept.load(b"Exif\0\0" + found[b"Exif"][4:])
    assert kept[ExifTags.Base.Artist] == "Somebody"
    inner = kept.get_ifd(ExifTags.IFD.Exif)
    assert inner[ExifTags.Base.DateTimeOriginal] == "2026:01:02 03:04:05"
    assert inner[ExifTags.Base.ExifImageWidth] == 2 * 24
    assert b"xmpmeta" in found[b"xml "]
    assert imagecodecs.jpegxl_decode((tmp_path / "out.jxl").read_bytes()).shape == (32, 48, 3)
    upscale_file(source, tmp_path / "bare.jxl", engine=Repeat(), output=Output(strip_metadata=True))
    assert (tmp_path / "bare.jxl").read_bytes().startswith(b"\xff\x0a")


def test_of_several_boxes_of_a_kind_the_first_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, count = imagecodecs.brotli_decode, list[int]()

    def counted(data: bytes, out: int) -> bytes:
        count.append(len(data))
        return bytes(decode(data, out=out))

    monkeypatch.setattr(imagecodecs, "brotli_decode", counted)
    first, other = (box(b"brob", b"xml " + bytes(imagecodecs.brotli_encode(text))) for text in (XMP, bytes(99_999)))
    damaged = box(b"brob", b"Exif" + b"\xff" * 20)
    stream = box(b"jxlc", bytes(imagecodecs.jpegxl_encode(ramps(), lossless=True)))
    (tmp_path / "a.jxl").write_bytes(SIGNATURE + FILE_TYPE + first + (other + damaged) * 20 + stream)
    back = open_picture(tmp_path / "a.jxl")
    assert back.fields["xmp-data"][1] == XMP
    assert back.notes == ("its EXIF is damaged: it was left out",)
    assert len(count) == 2


def test_codestreams_in_parts_are_joined(tmp_path: Path) -> None:
    stream = bytes(imagecodecs.jpegxl_encode(ramps(), lossless=True))
    parts = box(b"jxlp", struct.pack(">I", 0) + stream[:40]) + box(
        b"jxlp", struct.pack(">I", 1 << 31 | 1) + stream[40:]
    )
    (tmp_path / "a.jxl").write_bytes(SIGNATURE + FILE_TYPE + parts)
    assert np.array_equal(open_picture(tmp_path / "a.jxl").planes[:], ramps())


def test_a_codestream_in_very_many_parts_costs_no_time() -> None:
    parts = b"".join(box(b"jxlp", struct.pack(">I", number) + b"x") for number in range(90_000))
    began = time.perf_counter()
    assert read_codestream(io.BytesIO(SIGNATURE + FILE_TYPE + parts), 80_000) == b"x" * 80_000
    assert time.perf_counter() - began < 20  # the quadratic time was minutes


def test_a_jpeg_in_jpeg_xl_is_the_same_picture(tmp_path: Path) -> None:
    target = io.BytesIO()
    Image.fromarray(ramps()).save(target, "JPEG", quality=95, icc_profile=P3)
    (tmp_path / "a.jxl").write_bytes(imagecodecs.jpegxl_encode_jpeg(target.getvalue()))
    back = open_picture(tmp_path / "a.jxl")
    assert abs(back.planes[:].astype(int) - np.asarray(Image.open(target))).max() <= 3
    assert back.profile == P3


def test_animations_are_read_up_to_their_first_frame(tmp_path: Path) -> None:
    frames = np.stack([ramps(), 255 - ramps()])
    (tmp_path / "a.jxl").write_bytes(imagecodecs.jpegxl_encode(frames, photometric="rgb", lossless=True))
    back = open_picture(tmp_path / "a.jxl")
    assert np.array_equal(back.planes[:], ramps())
    assert back.notes == ("only the first of several frames was read",)


def test_truncated_files_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jxl"
    save_picture(picture(soft(12, 4, 90, 90), 12, profile=P3), path, JXL)
    whole = path.read_bytes()
    for part in (3, 13, 40, 60, len(whole) // 2, len(whole) * 9 // 10, len(whole) - 1):
        path.write_bytes(whole[:part])
        with pytest.raises(DamagedError) as caught:
            open_picture(path)
        assert "\n" not in str(caught.value)
    assert str(caught.value) == f"{path} seems damaged or incomplete (it ends too early)"  # by one byte


def test_a_length_beyond_the_end_needs_no_memory(tmp_path: Path) -> None:
    length = 1 << 31  # bits, as a number 256 MiB
    writer = BitWriter()
    writer.write(1 | 0 << 1 | 1 << 6, 9)  # 8 x 8 pixels
    writer.write(0, 2)  # not all-default, no details
    writer.write(0, 3 + 1 + 2 + 1)  # 8 bits, 32 while decoding, no further channels, not in the codec's own space
    writer.write(1, 1)  # sRGB
    writer.write(1 | 0 << 2, 6)  # the first extension only
    writer.write(3 | (length & 0xFFF) << 2, 14)
    for shift in (12, 20, 28):
        writer.write(1 | (length >> shift & 0xFF) << 1, 9)
    writer.write(0, 1)
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a" + writer.to_bytes() + bytes(9))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedError, match="it ends too early"):
            open_picture(tmp_path / "a.jxl")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_without_imagecodecs_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (tmp_path / "a.jxl").write_bytes(LOSSLESS_P3)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    for attempt in (
        lambda: read_header(tmp_path / "a.jxl"),
        lambda: save_picture(picture(ramps(), 8), tmp_path / "b", JXL),
    ):
        with pytest.raises(
            MissingPackageError, match=r'is JPEG XL, which needs imagecodecs: pip install "mafdn\[formats\]"'
        ):
            attempt()


def test_the_wide_space_holds_display_p3() -> None:
    there = converted(ramps(), vips_p3(), wide_profile(grey=False))
    back = converted(there, wide_profile(grey=False), vips_p3())
    assert abs(back.astype(int) - ramps().astype(int) * 257).max() < 257
