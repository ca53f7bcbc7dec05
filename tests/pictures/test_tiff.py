"""TIFF files that libvips alone reads wrongly or incompletely: tiles, color spaces, tags."""

import contextlib
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pytest
import pyvips
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mafdn.errors import DamagedError, PictureError
from mafdn.pictures.codecs.tiff.directory import TILE_BYTES, TILE_OFFSETS, read_directory
from mafdn.pictures.codecs.tiff.entries import parse_exif
from mafdn.pictures.encoding import EncodeOptions, save_picture
from mafdn.pictures.formats import format_of_name
from mafdn.pictures.reading import open_picture, read_header
from mafdn.upscaling.output import Output
from mafdn.upscaling.size import Size
from tests.support import Repeat, upscale_file

Order = Literal["<", ">"]
Tags = Mapping[int, tuple[int, ...] | bytes]
RGB = np.random.default_rng(0).integers(1, 255, (40, 50, 3), np.uint8)


def make(pixels: np.ndarray, tags: Tags, *, order: Order = "<", big: bool = False, tile: int | None = None) -> bytes:
    """An uncompressed TIFF file: pixels, directory, values; ``tags`` come on top of the required ones."""
    height, width, samples = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder(order))
    if tile:
        padded = np.pad(data, ((0, -height % tile), (0, -width % tile), (0, 0)))
        grid = padded.reshape(padded.shape[0] // tile, tile, -1, tile, samples).swapaxes(1, 2)
        parts = [part.tobytes() for row in grid for part in row]
    else:
        parts = [data.tobytes()]
    start, number = (16, 8) if big else (8, 4)
    offsets = [start + sum(len(p) for p in parts[:n]) for n in range(len(parts))]
    where = {322: (tile,), 323: (tile,), 324: (*offsets,)} if tile else {273: (*offsets,), 278: (height,)}
    entries: dict[int, tuple[int, ...] | bytes] = {
        256: (width,),
        257: (height,),
        258: (8 * data.dtype.itemsize,) * samples,
        259: (1,),
        262: (2,),
        277: (samples,),
        **where,
        325 if tile else 279: tuple(len(p) for p in parts),
        **tags,
    }
    place = start + sum(len(p) for p in parts)
    values = place + (8 + 20 * len(entries) + 8 if big else 2 + 12 * len(entries) + 4)
    table, more = b"", b""
    for tag, value in sorted(entries.items()):
        raw = value if isinstance(value, bytes) else struct.pack(f"{order}{len(value)}I", *value)
        count = len(raw) if isinstance(value, bytes) else len(value)
        held = raw.ljust(number, b"\0")
        if len(raw) > number:
            held = struct.pack(order + ("Q" if big else "I"), values + len(more))
            more += raw
        table += struct.pack(order + ("HHQ" if big else "HHI"), tag, 2 if isinstance(value, bytes) else 4, count) + held
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + ("HHHQ" if big else "HI"), *((43, 8, 0) if big else (42,)), place)
    counted = struct.pack(order + ("Q" if big else "H"), len(entries))
    return head + b"".join(parts) + counted + table + bytes(number) + more


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_tiled_files_are_read_and_their_first_parts_refused(tmp_path: Path, order: Order, big: bool) -> None:
    path = tmp_path / "in.tif"
    whole = make(RGB, {65_000: (7,)}, order=order, big=big, tile=16)  # and a tag that nobody knows
    path.write_bytes(whole)
    assert np.array_equal(open_picture(path).color, RGB)
    assert open_picture(path).notes == ()
    assert open_picture(path).lost_metadata == ("its other metadata (tags 65000) were left out",)
    for part in range(0, len(whole), 61):
        path.write_bytes(whole[:part])
        with pytest.raises(DamagedError):
            open_picture(path)


@pytest.mark.parametrize("tag", [TILE_OFFSETS, TILE_BYTES])
@pytest.mark.parametrize("value", [20_000, 2**32 - 1])
def test_a_tile_beyond_the_end_is_refused_by_the_header(tmp_path: Path, tag: int, value: int) -> None:
    path = tmp_path / "in.tif"
    right = {TILE_OFFSETS: [8 + n * 768 for n in range(12)], TILE_BYTES: [768] * 12}
    path.write_bytes(make(RGB, {tag: (*right[tag][:-1], value)}, tile=16))
    with pytest.raises(DamagedError, match="tiles"):
        read_header(path)


def test_a_damaged_tile_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "in.tif"
    image = pyvips.Image.new_from_array(RGB, interpretation="srgb")
    image.tiffsave(str(path), tile=True, tile_width=16, tile_height=16, compression="deflate")
    assert np.array_equal(open_picture(path).color, RGB)
    content = bytearray(path.read_bytes())
    directory = read_directory(path)
    middle = int(directory.numbers[TILE_OFFSETS][5] + directory.numbers[TILE_BYTES][5] // np.uint64(2))
    content[middle : middle + 40] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        open_picture(path)


def test_omitted_tiles_are_black_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "in.tif"
    path.write_bytes(
        make(RGB, {TILE_OFFSETS: (0, *(8 + n * 768 for n in range(1, 12))), TILE_BYTES: (0, *[768] * 11)}, tile=16)
    )
    picture = open_picture(path)
    assert (picture.color[:16, :16] == 0).all()
    assert np.array_equal(picture.color[16:], RGB[16:])
    assert len(picture.notes) == 1
    assert picture.notes[0].startswith("tiles that the file omits (1) became black")


@pytest.mark.parametrize(
    ("name", "pixels", "tags"),
    [
        ("YCbCr", RGB, {262: (6,), 530: (1, 1)}),
        ("YCbCr", RGB.astype(np.uint16), {262: (6,), 530: (1, 1)}),
        ("8-bit CIELab", RGB, {262: (8,)}),
        ("ICC Lab", RGB, {262: (9,)}),
        ("ICC Lab", RGB.astype(np.uint16), {262: (9,)}),
        ("ITU Lab", RGB, {262: (10,)}),
    ],
)
def test_unsupported_color_spaces_are_named(tmp_path: Path, name: str, pixels: np.ndarray, tags: Tags) -> None:
    path = tmp_path / "in.tif"
    path.write_bytes(make(pixels, tags))
    for opened in (read_header, open_picture):
        with pytest.raises(PictureError, match=f"is a TIFF in {name}; convert") as caught:
            opened(path)
        assert not isinstance(caught.value, DamagedError)


def test_color_spaces_that_libvips_reads_correctly_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "deep-lab.tif"
    path.write_bytes(make(np.full((8, 8, 3), (32_896, 2_570, 63_222), np.uint16), {262: (8,)}))
    assert (open_picture(path).color[0, 0] // 257).tolist() == [129, 114, 134]
    path = tmp_path / "jpeg.tif"
    image = pyvips.Image.new_from_array(np.full((16, 16, 3), (200, 90, 30), np.uint8), interpretation="srgb")
    image.tiffsave(str(path), compression="jpeg", Q=80)  # in YCbCr below 90
    assert read_directory(path).first(262) == 6
    assert np.abs(open_picture(path).color[0, 0].astype(int) - (200, 90, 30)).max() < 5
    path = tmp_path / "subsampled.tif"  # four of Y and then Cb and Cr
    path.write_bytes(make(np.full((8, 4, 3), (100, 100, 100), np.uint8), {262: (6,), 530: (2, 2), 279: (48,)}))
    assert open_picture(path).color[0, 0].tolist() == [61, 130, 50]


@pytest.mark.parametrize("space", [0, 1])
@pytest.mark.parametrize("extra", [None, (0, 0), (2, 0)])
def test_further_samples_of_grey_are_alpha_only_where_named(
    tmp_path: Path, space: int, extra: tuple[int, ...] | None
) -> None:
    path = tmp_path / "in.tif"
    path.write_bytes(make(RGB, {262: (space,), **({338: extra} if extra else {})}))
    picture = open_picture(path)
    assert np.array_equal(picture.color[..., 0], RGB[..., 0] if space else 255 - RGB[..., 0])
    if extra == (2, 0):
        assert picture.alpha is not None
        assert np.array_equal(picture.alpha, RGB[..., 1])
        assert picture.notes == ("of 3 channels only the first 2 were read",)
    else:
        assert picture.alpha is None
        assert picture.notes == ("of 3 channels only the first was read",)


@pytest.mark.parametrize("extra", [None, (0,), (2,)])
def test_a_fourth_channel_of_unstated_meaning_is_noted(tmp_path: Path, extra: tuple[int, ...] | None) -> None:
    path = tmp_path / "in.tif"
    pixels = np.dstack([RGB, RGB[..., :1]])
    path.write_bytes(make(pixels, {338: extra} if extra else {}))
    picture = open_picture(path)
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, RGB[..., 0])
    stated = "its fourth channel, of unstated meaning, was taken as transparency"
    assert picture.notes == (() if extra == (2,) else (stated,))


@pytest.mark.parametrize("extra", [None, (0,), (2,)])
def test_a_second_channel_of_unstated_meaning_is_noted(tmp_path: Path, extra: tuple[int, ...] | None) -> None:
    path = tmp_path / "in.tif"
    path.write_bytes(make(RGB[..., :2], {262: (1,), **({338: extra} if extra else {})}))
    picture = open_picture(path)
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, RGB[..., 1])
    stated = "its second channel, of unstated meaning, was taken as transparency"
    assert picture.notes == (() if extra == (2,) else (stated,))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("more", [1, 2])
def test_further_inks_of_cmyk_are_no_transparency(tmp_path: Path, more: int, dtype: type) -> None:
    inks = (np.dstack([255 - RGB, RGB[..., :1]]).astype(np.uint32) * np.iinfo(dtype).max // 255).astype(dtype)
    spots = np.zeros((*RGB.shape[:2], more), dtype)
    tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated")
    tifffile.imwrite(tmp_path / "b.tif", np.dstack([inks, spots]), photometric="separated", extrasamples=[0] * more)
    expected, picture = open_picture(tmp_path / "a.tif"), open_picture(tmp_path / "b.tif")
    assert np.array_equal(picture.planes[:], expected.planes[:])
    assert picture.profile == expected.profile
    assert picture.notes == (f"of {4 + more} channels only the first 4 were read", *expected.notes)


def test_transparency_of_cmyk_is_read(tmp_path: Path) -> None:
    pixels = np.dstack([255 - RGB, RGB[..., :1], RGB[..., 1:2]])
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="separated", extrasamples=[2])
    picture = open_picture(tmp_path / "a.tif")
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, RGB[..., 1])


@pytest.mark.parametrize("compression", [None, "zstd"])  # decoded by libvips, and by tifffile
@pytest.mark.parametrize(
    ("unit", "stated", "dpi"), [(1, (300, 300), 72), (1, (1, 1), 72), (2, (300, 300), 300), (3, (100, 100), 254)]
)
def test_a_resolution_without_a_unit_is_no_print_resolution(
    tmp_path: Path, unit: int, stated: tuple[int, int], dpi: int, compression: str | None
) -> None:
    path = tmp_path / "in.tif"
    tifffile.imwrite(
        path, RGB, photometric="rgb", resolution=stated, resolutionunit=unit, metadata=None, compression=compression
    )
    report = upscale_file(path, engine=Repeat(), size=Size(scale=2))
    assert report.notes == ()
    with Image.open(report.target) as image:
        assert image.info["dpi"] == (dpi, dpi)


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_the_shape_of_pixels_is_noted(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", resolution=(2, 1), resolutionunit=1, compression=compression)
    report = upscale_file(path, engine=Repeat(), size=Size(scale=2))
    assert report.notes == ("the shape of its pixels, which it states not to be square, was left out",)
    with Image.open(report.target) as image:
        assert image.info["dpi"] == (72, 72)
    stripped = Output(strip_metadata=True)
    assert upscale_file(path, tmp_path / "b.tif", engine=Repeat(), size=Size(scale=2), output=stripped).notes == ()


@pytest.mark.parametrize(
    ("dtype", "kind"), [("i1", "signed 8-bit integers"), ("i2", "signed 16-bit integers"), ("u4", "32-bit integers")]
)
def test_unsupported_types_of_pixels_are_named(tmp_path: Path, dtype: str, kind: str) -> None:
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, RGB.astype(dtype), photometric="rgb")
    with pytest.raises(PictureError, match=f"in.tif has pixels of {kind}; unsigned integers of 8 and 16 bits"):
        open_picture(path)


TEXTS = {
    271: b"C\0",
    272: b"EOS\0",
    305: b"a (b) c\0",
    306: b"2020:01:02 03:04:05\0",
    315: "J\u00f6rg (the artist) (c)".encode() + b"\0",
    33_432: b"(c) Me",
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_texts_of_a_tiff_become_exif(tmp_path: Path, order: Order, suffix: str) -> None:
    source, target = tmp_path / "in.tif", tmp_path / f"out{suffix}"
    source.write_bytes(make(RGB, TEXTS, order=order))
    picture = open_picture(source)
    assert picture.notes == ()
    assert save_picture(picture, target, format_of_name(target)) == ()
    block = bytes(cast(bytes, pyvips.Image.new_from_file(str(target)).get("exif-data")))
    written, _ = parse_exif(block)
    assert {tag: written[tag].data.rstrip(b"\0") for tag in TEXTS} == {t: v.rstrip(b"\0") for t, v in TEXTS.items()}
    save_picture(picture, target, format_of_name(target), options=EncodeOptions(strip=True))
    assert "exif-ifd0-Artist" not in pyvips.Image.new_from_file(str(target), revalidate=True).get_fields()


def test_damaged_directories_of_a_tiff_are_noted(tmp_path: Path) -> None:
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    source.write_bytes(make(RGB, {**TEXTS, 34_665: (2**31,), 34_853: (2**31,)}))
    picture = open_picture(source)
    assert picture.lost_metadata == ("its EXIF and GPS data are damaged: they were left out",)
    assert save_picture(picture, target, format_of_name(target)) == picture.lost_metadata
    assert save_picture(picture, target, format_of_name(target), options=EncodeOptions(strip=True)) == ()
    save_picture(picture, target, format_of_name(target))
    assert open_picture(target).lost_metadata == ()
    with Image.open(target) as image:
        assert image.getexif()[271] == "C"


@pytest.mark.parametrize("text", [b"\xff\xfe J\xf6rg\0", b"\0\0", b"\x01\x02\n\0", b"x" * 8_000, b"a\0b\0"])
def test_odd_texts_of_a_tiff_do_no_harm(tmp_path: Path, text: bytes) -> None:
    source, target = tmp_path / "in.tif", tmp_path / "out.jpg"
    source.write_bytes(make(RGB, dict.fromkeys(TEXTS, text)))
    assert save_picture(open_picture(source), target, format_of_name(target)) == ()
    assert np.array_equal(open_picture(source).color, RGB)


def test_a_directory_farther_away_than_any_file_is_long(tmp_path: Path) -> None:
    path = tmp_path / "in.tif"
    path.write_bytes(b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**56))
    with pytest.raises(DamagedError):
        open_picture(path)


@given(st.binary(max_size=200), st.sampled_from([b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0"]))
@settings(deadline=None, max_examples=200)
def test_noise_for_a_directory_is_one_error(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, start: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.tif"
    place = struct.pack(("<" if start[:1] == b"I" else ">") + ("Q" if len(start) == 8 else "I"), 2 * len(start))
    path.write_bytes(start + place + noise)
    with contextlib.suppress(DamagedError):
        assert read_directory(path).size == path.stat().st_size


def test_damaged_entries_print_nothing(tmp_path: Path) -> None:
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", compression="zstd", metadata=None, resolution=(300, 300))
    place = read_directory(path).place
    content = bytearray(path.read_bytes())
    (count,) = struct.unpack_from("<H", content, place)
    tags = [struct.unpack_from("<H", content, place + 2 + 12 * number)[0] for number in range(count)]
    struct.pack_into("<I", content, place + 2 + 12 * tags.index(282) + 8, 2**31)  # beyond the end of the file
    path.write_bytes(content)
    code = "import pathlib, sys; from mafdn.pictures import reading; reading.read_header(pathlib.Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
