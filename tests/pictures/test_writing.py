"""Writing results: what formats keep, notes on what they cannot, and output options."""

import struct
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import pyvips
from PIL import Image

from mafdn.errors import PictureError, UsageError
from mafdn.pictures.codecs.tiff.entries import Entry, build_exif, parse_exif
from mafdn.pictures.metadata import resized
from mafdn.pictures.reading import open_picture
from mafdn.upscaling.output import Output
from mafdn.upscaling.size import Size
from tests.conftest import Run
from tests.support import Repeat, upscale_file

GVALUE = pyvips.GValue


def test_a_palette_with_holes_keeps_them(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[4:12, 4:12] = (200, 30, 10, 255)
    for ending in ("gif", "png"):
        source = tmp_path / f"in.{ending}"
        image = pyvips.Image.new_from_array(pixels, interpretation="srgb")
        image.gifsave(str(source)) if ending == "gif" else image.pngsave(str(source), palette=True)
        report = upscale_file(source, engine=Repeat())
        result = open_picture(report.target)
        assert result.format.name == ending.upper()
        assert result.alpha is not None
        assert (result.alpha[12:20, 12:20] == 255).all()
        assert (result.alpha[:6] == 0).all()


def test_the_first_frame_of_an_animation_is_read_with_a_note(tmp_path: Path) -> None:
    pixels = np.arange(3, dtype=np.uint8).repeat(8 * 8 * 3).reshape(24, 8, 3) * 80
    frames = pyvips.Image.new_from_array(pixels, interpretation="srgb").copy()
    frames.set_type(pyvips.GValue.gint_type, "page-height", 8)
    frames.gifsave(str(tmp_path / "in.gif"))
    report = upscale_file(tmp_path / "in.gif", tmp_path / "out.jpg", engine=Repeat())
    assert report.new_size == (16, 16)
    assert "only the first of 3 frames was read" in report.notes


@pytest.mark.parametrize("premultiplied", [False, True])
def test_both_kinds_of_alpha_in_tiff_are_understood(tmp_path: Path, premultiplied: bool) -> None:
    pixels = np.full((8, 8, 4), (200, 100, 50, 128), np.uint8)
    path = tmp_path / "in.tif"
    pyvips.Image.new_from_array(pixels, interpretation="srgb").tiffsave(str(path), premultiply=premultiplied)
    picture = open_picture(path)
    assert np.abs(picture.color.astype(int) - (200, 100, 50)).max() <= 2
    assert picture.alpha is not None
    assert (picture.alpha == 128).all()


def test_contradictory_options(png: Path) -> None:
    with pytest.raises(UsageError, match="not both"):
        Output(quality=90, lossless=True)
    with pytest.raises(UsageError, match="strength"):
        upscale_file(png, engine=Repeat(), strength=1.5)


def camera(path: Path, **fields: str | bytes) -> Path:
    """A small JPEG with metadata and 300 dots per inch, lying on its side."""
    pixels = np.random.default_rng(0).integers(60, 200, (16, 24, 3), np.uint8)
    image = pyvips.Image.new_from_array(pixels, interpretation="srgb").copy(xres=300 / 25.4, yres=300 / 25.4)
    texts = {"exif-ifd0-Artist": "Nobody (Nobody, ASCII, 7 components, 7 bytes)"}
    for name, value in {**texts, **fields}.items():
        image.set_type(GVALUE.blob_type if isinstance(value, bytes) else GVALUE.gstr_type, name, cast(Any, value))
    image.set_type(GVALUE.gint_type, "orientation", 6)
    image.jpegsave(str(path), Q=95)
    return path


def test_another_reader_finds_the_metadata_right(tmp_path: Path) -> None:
    report = upscale_file(camera(tmp_path / "in.jpg"), engine=Repeat())
    with Image.open(report.target) as image:
        exif = image.getexif()
        assert image.size == report.new_size == (32, 48)
        assert exif.get(0x0112, 1) == 1
        assert exif[0x013B] == "Nobody"
        assert exif.get_ifd(0x8769)[0xA002] == 32
        assert exif.get_ifd(0x8769)[0xA003] == 48
        assert not exif.get_ifd(1), "the thumbnail of the old picture"
        assert image.info["dpi"] == (300, 300)


def test_thumbnails_are_left_out(corpora: Path, tmp_path: Path) -> None:
    checked = 0
    for path in sorted((corpora / "exif-samples").glob("*.jpg"))[:12]:
        try:
            report = upscale_file(path, tmp_path / path.name, engine=Repeat())
        except PictureError:
            continue
        with Image.open(report.target) as image:
            assert not image.getexif().get_ifd(1)
        checked += 1
    assert checked > 5


PANORAMA = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" GPano:FullPanoWidthPixels="%d" '
    b'GPano:FullPanoHeightPixels="%d" GPano:CroppedAreaLeftPixels="%d" GPano:PoseHeadingDegrees="90">'
    b"<GPano:CroppedAreaTopPixels>%d</GPano:CroppedAreaTopPixels></rdf:Description></rdf:RDF></x:xmpmeta>"
)


@pytest.mark.parametrize("ending", ["jpg", "tif", "png", "webp", "avif", "jxl"])
def test_positions_in_pixels_are_corrected_or_left_out(tmp_path: Path, ending: str) -> None:
    exif = {
        0x9214: Entry(kind=3, data=struct.pack("<4H", 10, 5, 4, 3)),
        0xA214: Entry(kind=3, data=struct.pack("<2H", 10, 5)),
        0xA20E: Entry(kind=5, data=struct.pack("<2I", 5_000, 1)),
        0xA20F: Entry(kind=5, data=struct.pack("<2I", 3_000_000, 1)),
    }
    fields = {
        "exif-data": build_exif({0x8769: Entry(kind=4, children=exif)}),
        "xmp-data": PANORAMA % (96, 24, 7, 5),
    }
    source = camera(tmp_path / "in.jpg", **fields)
    with Image.open(source) as image:
        assert image.getexif().get_ifd(0x8769)[0x9214] == (10, 5, 4, 3)
    report = upscale_file(source, tmp_path / f"out.{ending}", size=Size(scale=4), engine=Repeat())
    picture = open_picture(report.target)
    written = parse_exif(picture.fields["exif-data"][1])[0][0x8769].children or {}
    focal = [struct.unpack("<II", written[tag].data) for tag in (0xA20E, 0xA20F)]
    assert [above / below for above, below in focal] == [20_000, 12_000_000]
    assert not {0x9214, 0xA214} & set(written)
    assert picture.fields["xmp-data"][1].strip(b"\0 \n") == PANORAMA % (384, 96, 28, 20)


def test_numbers_of_any_length_in_a_packet_do_no_harm() -> None:
    long = b"9" * 5_000
    packet = (PANORAMA % (96, 24, 7, 5)).replace(b'"96"', b'"%s"' % long) + b'<a tiff:XResolution="%s/1">' % long
    changed = resized({"xmp-data": (0, packet)}, width=8, height=8, larger=(2.0, 2.0), finer=(2.0, 2.0))
    right = (PANORAMA % (96, 48, 14, 10)).replace(b'"96"', b'"%s"' % long) + b'<a tiff:XResolution="%s/1">' % long
    assert changed["xmp-data"][1] == right


def photoshop(*resources: tuple[int, bytes]) -> bytes:
    """A block as Photoshop writes it; names of resources are of odd and even lengths."""
    parts = [b"Photoshop 3.0\0"]
    for number, data in resources:
        name = b"\x05named" if number % 2 else b"\0\0"
        parts.append(struct.pack(">4sH", b"8BIM", number) + name + struct.pack(">I", len(data)) + data)
        parts.append(b"\0" * (len(data) % 2))
    return b"".join(parts)


@pytest.mark.parametrize("finer", [1.0, 2.0])
def test_resolution_and_thumbnails_in_photoshop_blocks_are_corrected(finer: float) -> None:
    iptc, shown_at = (0x0404, b"\x1c\x02\x78\0\5words"), struct.pack(">IHHIHH", 300 << 16, 1, 1, 150 << 16, 1, 1)
    block = photoshop((0x03ED, shown_at), (0x0409, b"old"), iptc, (0x040C, b"thumbnail"))
    packet = (
        b'<xmp:Thumbnails><rdf:Alt>pixels</rdf:Alt></xmp:Thumbnails><a tiff:XResolution="300/1">'
        b"<tiff:YResolution>1500/10</tiff:YResolution>"
    )
    fields = {"iptc-data": (0, block), "xmp-data": (0, packet)}
    changed = resized(fields, width=8, height=8, larger=(2.0, 2.0), finer=(finer, finer))
    better = struct.pack(">IHHIHH", round(300 * finer) << 16, 1, 1, round(150 * finer) << 16, 1, 1)
    assert changed["iptc-data"][1] == photoshop((0x03ED, better), iptc)
    stated = (b"300/1", b"1500/10") if finer == 1 else (b"600000/1000", b"300000/1000")
    assert changed["xmp-data"][1] == b'<a tiff:XResolution="%s"><tiff:YResolution>%s</tiff:YResolution>' % stated
    for end in range(20, len(block) - 1):  # what is damaged stays as it is, or loses whole resources only
        torn = resized({"iptc-data": (0, block[:end])}, width=8, height=8, larger=(2.0, 2.0))["iptc-data"][1]
        assert torn == block[:end] or block.startswith(torn[:14])


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp", "avif"])
def test_no_metadata_is_invented(tmp_path: Path, ending: str) -> None:
    pyvips.Image.black(16, 16, bands=3).copy(interpretation="srgb").webpsave(str(tmp_path / "in.webp"), keep=0)
    path = upscale_file(tmp_path / "in.webp", tmp_path / f"out.{ending}", engine=Repeat()).target
    picture = open_picture(path)
    assert picture.pixels_per_mm == pytest.approx((72 / 25.4, 72 / 25.4), rel=1e-3)
    assert not picture.fields


def test_permissions_of_a_replaced_file_are_kept(tmp_path: Path, png: Path) -> None:
    path = upscale_file(png, tmp_path / "out.png", engine=Repeat()).target
    path.chmod(0o600)
    upscale_file(png, path, engine=Repeat(), overwrite=True)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_gif_cannot_store_is_noted(tmp_path: Path) -> None:
    ramp = np.dstack([np.full((16, 16, 3), 90, np.uint8), np.arange(256, dtype=np.uint8).reshape(16, 16)])
    pyvips.Image.new_from_array(ramp, interpretation="srgb").pngsave(str(tmp_path / "in.png"))
    notes = " ".join(upscale_file(tmp_path / "in.png", tmp_path / "out.gif", engine=Repeat()).notes)
    assert "256 colors" in notes
    assert "no partial transparency" in notes


def test_metadata_can_be_left_out_but_for_the_profile(icc: Path, tmp_path: Path) -> None:
    profile = (icc / "DisplayP3-v4.icc").read_bytes()
    source = camera(tmp_path / "in.jpg", **{"icc-profile-data": profile, "xmp-data": b"<x/>"})
    for ending in ("jpg", "png", "webp", "tif", "avif"):
        output = Output(strip_metadata=True)
        report = upscale_file(source, tmp_path / f"out.{ending}", engine=Repeat(), output=output)
        assert report.notes == ()
        assert open_picture(report.target).profile == profile
        content = report.target.read_bytes()
        assert b"Nobody" not in content
        assert b"<x/>" not in content
        assert b"Exif" not in content


def test_the_print_size_can_be_kept(tmp_path: Path) -> None:
    source = camera(tmp_path / "in.jpg")
    output = Output(keep_print_size=True)
    for ending in ("jpg", "png", "tif"):
        report = upscale_file(source, tmp_path / f"out.{ending}", engine=Repeat(), output=output, size=Size(scale=1.5))
        with Image.open(report.target) as image:
            assert [round(float(d)) for d in image.info["dpi"]] == [450, 450]


@pytest.mark.parametrize("ending", ["webp", "avif"])
def test_lossless_is_lossless(png: Path, ending: str) -> None:
    before = open_picture(png).color.repeat(2, 0).repeat(2, 1)
    for lossless in (True, False):
        target = png.with_name(f"{lossless}.{ending}")
        upscale_file(png, target, engine=Repeat(), output=Output(lossless=lossless))
        assert np.array_equal(open_picture(target).color, before) == lossless


def test_quality_changes_size(png: Path) -> None:
    for ending in ("jpg", "webp", "avif"):
        sizes = [
            upscale_file(png, png.with_name(f"{q}.{ending}"), engine=Repeat(), output=Output(quality=q)).target.stat()
            for q in (10, 100)
        ]
        assert sizes[0].st_size < sizes[1].st_size


def test_color_is_right_where_a_format_has_no_profile(icc: Path, tmp_path: Path) -> None:
    pixels = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    image = pyvips.Image.new_from_array(pixels, interpretation="srgb").copy()
    image.set_type(GVALUE.blob_type, "icc-profile-data", (icc / "DisplayP3-v4.icc").read_bytes())  # pyright: ignore[reportArgumentType]
    image.pngsave(str(tmp_path / "in.png"))
    expected = image.icc_transform("srgb", embedded=True).numpy()[0, 0]
    for ending, slack in (("ppm", 0), ("gif", 8)):
        report = upscale_file(tmp_path / "in.png", tmp_path / f"out.{ending}", engine=Repeat())
        assert np.abs(open_picture(report.target).color[4, 4].astype(int) - expected).max() <= slack
        assert "converted to sRGB" in report.notes[0]


def test_grey_with_a_profile_is_converted_where_there_is_no_grey(icc: Path, tmp_path: Path) -> None:
    image = pyvips.Image.new_from_array(np.full((8, 8), 90, np.uint8), interpretation="b-w").copy()
    image.set_type(GVALUE.blob_type, "icc-profile-data", (icc / "sGrey-v4.icc").read_bytes())  # pyright: ignore[reportArgumentType]
    image.pngsave(str(tmp_path / "in.png"))
    for ending in ("webp", "avif"):
        report = upscale_file(tmp_path / "in.png", tmp_path / f"out.{ending}", engine=Repeat())
        picture = open_picture(report.target)
        assert "has no gray" in report.notes[0]
        assert np.abs(picture.color.astype(int) - 90).max() <= 2
        assert picture.notes == ()


def test_sizes_and_options_of_the_command(cli: Run, png: Path) -> None:
    for options, name, size in (
        (("--scale", 2.5), "small_x2.5.png", (80, 60)),
        (("--fit", "100x50", "--strength", 0.5), "small_67x50.png", (67, 50)),
        (("--longest", 48, "--format", "webp", "--lossless"), "small_48x36.webp", (48, 36)),
        (("--height", 6, "--format", "tiff"), "small_8x6.tif", (8, 6)),
        (("--scale", 5, "--format", "jpeg", "--quality", 80), "small_x5.jpg", (160, 120)),
    ):
        code, out, err = cli("upscale", png, *options)
        assert (code, err) == (0, "")
        picture = open_picture(png.with_name(name))
        assert (picture.width, picture.height) == size
        assert ("note: " in out) == (options[1] in (6, 5))
