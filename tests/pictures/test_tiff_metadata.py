"""EXIF, GPS, IPTC and Photoshop data of TIFF files, read and written; checked with Pillow and tifffile."""

import io
import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from mafdn.pictures.codecs.tiff import file as tiff
from mafdn.pictures.codecs.tiff.entries import (
    Entry,
    build_exif,
    extend_directory,
    parse_exif,
    read_layout,
    read_pointer,
    read_table,
)
from mafdn.pictures.formats import FORMATS
from mafdn.pictures.metadata import fields_of_exif
from mafdn.pictures.reading import open_picture
from mafdn.upscaling.output import Output
from tests.support import Repeat, upscale_file

NOISE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
IIM = b"\x1c\x02\x05\x00\x05title\x1c\x02\x78\x00\x0a" + "größe  ".encode("latin-1")[:7] + b"abc"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:ImageWidth="16" tiff:Orientation="1"/></x:xmpmeta>'
MAKER_NOTE = b"Maker\0" + bytes(range(200))


def exif() -> Image.Exif:
    """EXIF with what cameras write: texts, fractions, a maker note, places, interoperability."""
    made = Image.Exif()
    made[270], made[271], made[315], made[306] = "a cat", "Acme", "Somebody", "2020:01:02 03:04:05"
    made[40_091] = "Title\0".encode("utf-16-le")
    inner = made.get_ifd(0x8769)
    inner[0x829A], inner[0x9204], inner[0x8827] = IFDRational(1, 125), IFDRational(-1, 3), 400
    inner[0x9003], inner[0x927C] = "2020:01:02 03:04:05", MAKER_NOTE
    inner[0x9286] = b"UNICODE\0" + "größe 大きさ".encode("utf-16-le")
    inner[0xA002], inner[0xA003], inner[0xA432] = 16, 12, (24.0, 70.0, 2.8, 4.0)
    inner[0xA005] = {1: "R98"}
    places = made.get_ifd(0x8825)
    places[1], places[2], places[3], places[4] = "N", (48.0, 8.0, 14.5), "E", (11.0, 34.0, 31.3)
    return made


def found(path: Path) -> dict[tuple[int, int], Any]:
    """EXIF as Pillow reads it, by directory and tag, without what describes the file itself."""
    with Image.open(path) as image:
        read = image.getexif()
        parts = {0: dict(read), **{tag: read.get_ifd(tag) for tag in (0x8769, 0x8825, 0xA005)}}
    values = {(part, tag): value for part, entries in parts.items() for tag, value in entries.items()}
    return {key: value for key, value in values.items() if key in RELEVANT}


RELEVANT = {
    *((0, tag) for tag in (270, 271, 315, 306, 40_091)),
    *((0x8769, tag) for tag in (0x829A, 0x9204, 0x8827, 0x9003, 0x927C, 0x9286, 0xA002, 0xA003, 0xA432)),
    *((0x8825, tag) for tag in (1, 2, 3, 4)),
    (0xA005, 1),
}


def write(path: Path, *, order: str = "<") -> Path:
    """A picture with EXIF by Pillow, in the format of its name."""
    if path.suffix != ".tif":
        Image.fromarray(NOISE).save(path, exif=exif().tobytes())
        return path
    made = exif()  # Pillow writes no such directories into TIFF files, but its EXIF block is one
    made.endian = order
    pixels = {
        256: 16,
        257: 12,
        258: (8, 8, 8),
        259: 1,
        262: 2,
        273: 0,
        277: 3,
        278: 12,
        279: NOISE.nbytes,
    }  # Pillow adds to 273
    for tag, value in pixels.items():
        made[tag] = value
    path.write_bytes(made.tobytes()[6:] + NOISE.tobytes())
    return path


def right(path: Path) -> dict[tuple[int, int], Any]:
    return {**found(path), (0x8769, 0xA002): 32, (0x8769, 0xA003): 24}


@pytest.mark.parametrize("ending", ["tif", "jpg", "png", "webp", "avif"])
def test_exif_of_a_tiff_arrives_in_every_format(tmp_path: Path, ending: str) -> None:
    source = write(tmp_path / "in.tif")
    assert len(found(source)) == len(RELEVANT)
    report = upscale_file(source, tmp_path / f"out.{ending}", engine=Repeat())
    assert report.notes == ()
    assert found(report.target) == right(source)
    stripped = upscale_file(source, tmp_path / f"bare.{ending}", engine=Repeat(), output=Output(strip_metadata=True))
    assert stripped.notes == ()
    assert found(stripped.target) == {}


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "avif"])
def test_exif_of_every_format_arrives_in_a_tiff(tmp_path: Path, ending: str) -> None:
    source = write(tmp_path / f"in.{ending}")
    report = upscale_file(source, tmp_path / "out.tif", engine=Repeat())
    assert report.notes == ()
    assert found(report.target) == right(source)
    with tifffile.TiffFile(report.target) as file:  # the pixels and a second reader's view
        assert file.pages.first.tags["Artist"].value == "Somebody"
        assert file.pages.first.tags["ExifTag"].value["ISOSpeedRatings"] == 400
        assert file.pages.first.tags["GPSTag"].value["GPSLatitudeRef"] == "N"
        assert file.asarray().shape == (24, 32, 3)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(tmp_path: Path, order: str) -> None:
    source = write(tmp_path / "in.tif", order=order)
    assert source.read_bytes()[:2] == (b"II" if order == "<" else b"MM")
    with tifffile.TiffFile(source) as file:
        assert np.array_equal(file.asarray(), NOISE)
    report = upscale_file(source, tmp_path / "out.tif", engine=Repeat())
    assert report.notes == ()
    assert found(report.target) == right(source)


@pytest.mark.parametrize("order", ["<", ">"])
def test_big_files_are_read(tmp_path: Path, order: Literal["<", ">"]) -> None:
    source = tmp_path / "in.tif"
    tifffile.imwrite(source, NOISE, byteorder=order, bigtiff=True, photometric="rgb", metadata=None, software=False)
    with source.open("rb+") as file:
        layout = read_layout(file)
        extend_directory(file, layout, layout.pointer_place, parse_exif(exif().tobytes())[0])
    with tifffile.TiffFile(source) as file:
        assert file.pages.first.tags["ExifTag"].value["LensSpecification"] is not None
        assert file.pages.first.tags["GPSTag"].value["GPSLatitudeRef"] == "N"
        assert np.array_equal(file.asarray(), NOISE)
    report = upscale_file(source, tmp_path / "out.tif", engine=Repeat())
    assert report.notes == ()
    assert found(report.target) == right(write(tmp_path / "same.tif"))


@pytest.mark.parametrize("big", [False, True])
def test_metadata_are_added_to_both_kinds_of_files_that_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, big: bool
) -> None:
    monkeypatch.setattr(tiff, "BIG", 0 if big else 1 << 31)
    source = write(tmp_path / "in.jpg")
    target = upscale_file(source, tmp_path / "out.tif", engine=Repeat()).target
    with tifffile.TiffFile(target) as file:
        assert file.is_bigtiff == big
        assert len(file.pages) == 1
        assert file.asarray().shape == (24, 32, 3)
        assert file.pages.first.tags["ExifTag"].value["PixelXDimension"] == 32
        assert file.pages.first.tags["Make"].value == "Acme"
    if not big:  # Pillow reads no directories of BigTIFF
        assert found(target) == right(source)
    assert open_picture(target).notes == ()


def resources(path: Path) -> tuple[bytes | None, bytes | None, bytes | None]:
    """XMP, IPTC and Photoshop's resources of a TIFF file."""
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        values = [tags[tag].value if tag in tags else None for tag in (700, 33_723, 34_377)]
    return tuple(value if value is None or isinstance(value, bytes) else bytes(value) for value in values)  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize("length", [1, 3, 4, 60_000, 200_000])
def test_iptc_and_xmp_of_a_tiff_survive_to_the_byte(tmp_path: Path, length: int) -> None:
    iptc = IIM + b"\x1c\x02\x78\x80\x04" + struct.pack(">I", length) + bytes(length)
    others = struct.pack(">4sHHI", b"8BIM", 0x0408, 0, 3) + b"abc\0"
    tags = [(700, 1, len(XMP), XMP, True), (33_723, 7, len(iptc), iptc, True), (34_377, 1, len(others), others, True)]
    source = tmp_path / "in.tif"
    tifffile.imwrite(source, NOISE, photometric="rgb", metadata=None, software=False, extratags=tags)  # pyright: ignore[reportArgumentType]
    report = upscale_file(source, tmp_path / "out.tif", engine=Repeat())
    assert report.notes == ()
    packet, written, photoshop = resources(report.target)
    assert written == iptc
    assert packet == XMP.replace(b'"16"', b'"32"')
    block = struct.pack(">4sHHI", b"8BIM", 0x0404, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
    assert photoshop == others + block
    report = upscale_file(source, tmp_path / "out.jpg", engine=Repeat())
    with Image.open(report.target) as image:
        if length < 65_000:
            assert report.notes == ()
            assert image.info["photoshop"][0x0404] == iptc
        else:
            assert report.notes == ("its IPTC data are too long for JPEG: they were left out",)


def test_iptc_goes_from_jpeg_to_tiff_and_back(tmp_path: Path) -> None:
    block = b"Photoshop 3.0\0" + struct.pack(">4sHHI", b"8BIM", 0x0404, 0, len(IIM)) + IIM + bytes(len(IIM) % 2)
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, "JPEG")
    content = buffer.getvalue()
    source = tmp_path / "in.jpg"
    source.write_bytes(content[:2] + b"\xff\xed" + struct.pack(">H", len(block) + 2) + block + content[2:])
    report = upscale_file(source, tmp_path / "out.tif", engine=Repeat())
    assert report.notes == ()
    assert resources(report.target) == (None, IIM, None)
    with Image.open(upscale_file(report.target, tmp_path / "back.jpg", engine=Repeat()).target) as image:
        assert image.info["photoshop"][0x0404] == IIM


def test_iptc_that_was_written_as_swapped_numbers_is_read(tmp_path: Path) -> None:
    iptc = IIM + bytes(-len(IIM) % 4)
    for kind, data in (("<", iptc), (">", np.frombuffer(iptc, "<u4").byteswap().tobytes())):
        source = tmp_path / f"{ord(kind)}.tif"
        tag = (33_723, 4, len(data) // 4, tuple(np.frombuffer(data, "<u4").tolist()), True)
        tifffile.imwrite(source, NOISE, photometric="rgb", metadata=None, software=False, extratags=[tag])
        target = upscale_file(source, tmp_path / f"{ord(kind)}-out.tif", engine=Repeat()).target
        assert resources(target)[1] == iptc


@pytest.mark.parametrize(
    ("tag", "value", "note"),
    [
        (33_922, (0.0,) * 6, "its GeoTIFF data were left out"),
        (42_112, "<GDALMetadata/>", "its GDAL data were left out"),
        (65_000, "private", "its other metadata (tags 65000) were left out"),
        (270, "<?xml version='1.0'?><OME><Pixels SizeX='16'/></OME>", "its OME-XML data were left out"),
        (270, '{"shape": [12, 16, 3]}', None),
        (270, "x" * 100_000, None),
    ],
)
def test_what_does_not_fit_another_size_is_noted(tmp_path: Path, tag: int, value: Any, note: str | None) -> None:
    source = tmp_path / "in.tif"
    kind = 2 if isinstance(value, str) else 12
    tags = [(tag, kind, 0 if kind == 2 else len(value), value, True)]
    options: Any = {"description": value} if tag == 270 else {"extratags": tags}
    tifffile.imwrite(source, NOISE, photometric="rgb", metadata=None, software=False, **options)
    report = upscale_file(source, tmp_path / "out.tif", engine=Repeat())
    assert report.notes == ((note,) if note else ())
    with tifffile.TiffFile(report.target) as file:
        assert (tag in file.pages.first.tags) == value.startswith("x") if kind == 2 else True
        assert file.asarray().shape == (24, 32, 3)
    report = upscale_file(source, tmp_path / "out.jpg", engine=Repeat())
    if tag == 270 and value.startswith("x"):
        assert report.notes == ("its EXIF data are too long for JPEG: they were left out",)
        report = upscale_file(source, tmp_path / "out.png", engine=Repeat())
        assert report.notes == ("its EXIF data are too long for PNG: they were left out",)
    else:
        assert report.notes == ((note,) if note else ())


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_block_of_exif_is_rebuilt_with_the_same_values(order: Literal["<", ">"]) -> None:
    entries, _ = parse_exif(exif().tobytes())
    again, read_order = parse_exif(build_exif(entries, order=order))
    assert read_order == order
    assert again == entries
    with Image.open(io.BytesIO(png_with(build_exif(entries, order=order)))) as image:
        assert image.getexif().get_ifd(0x8769)[0xA432] == (24.0, 70.0, 2.8, 4.0)
    assert "exif-ifd3-GPSLatitude" in fields_of_exif(build_exif(entries, order=order))


def png_with(block: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, "PNG", exif=block)
    return buffer.getvalue()


def test_a_directory_is_extended_within_a_chain(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    with tifffile.TiffWriter(path) as file:
        for _ in range(3):
            file.write(NOISE, photometric="rgb", metadata=None, software=False)
    with path.open("rb+") as file:
        layout = read_layout(file)
        place = layout.pointer_place
        for number in range(3):
            added = {315: Entry(kind=2, data=b"page %d\0" % number), 305: Entry(kind=2, data=b"x\0")}
            place = extend_directory(file, layout, place, added)
        assert read_pointer(file, layout, place) == 0
        first = read_table(file, layout, read_pointer(file, layout, layout.pointer_place))
        assert [raw.tag for raw in first] == sorted(raw.tag for raw in first)
    with tifffile.TiffFile(path) as file:
        assert [page.tags["Artist"].value for page in file.pages] == ["page 0", "page 1", "page 2"]  # pyright: ignore[reportAttributeAccessIssue]
        assert np.array_equal(file.asarray(key=2), NOISE)


@given(st.binary(max_size=120), st.integers(0, 400))
@settings(deadline=None, max_examples=150)
def test_damaged_exif_of_a_tiff_does_no_harm(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.tif"
    content = bytearray(write(path).read_bytes())
    inner = content.find(MAKER_NOTE) - 200 + place  # among the entries and values of EXIF
    content[inner : inner + len(noise)] = noise
    path.write_bytes(content)
    try:
        picture = open_picture(path)
    except Exception as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert picture.format is FORMATS["TIFF"]


def test_many_entries_that_share_one_value_do_not_fill_memory() -> None:
    size = 3 << 20
    table = b"".join(struct.pack("<HHII", tag, 7, size, 8) for tag in range(4_000))
    entries, _ = parse_exif(b"II*\0" + struct.pack("<I", size + 8) + bytes(size) + struct.pack("<H", 4_000) + table)
    assert sum(len(entry.data) for entry in entries.values()) < 20 << 20
