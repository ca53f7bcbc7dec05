"""What used to be dropped without a word: odd profiles, comments, segments of applications."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from mafdn.errors import EncodeError
from mafdn.pictures.picture import PngChunk
from mafdn.pictures.profiles import check_profile, grey_profile
from mafdn.pictures.reading import open_picture
from mafdn.pictures.sequences.gif_timing import read_gif_comments
from mafdn.upscaling.output import Output
from tests.support import Repeat, upscale_file
from tests.upscaling.conftest import upscale

NOISE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
IGNORED = "it was ignored, the picture taken as sRGB"


def png(path: Path, mode: str, iccp: bytes) -> Path:
    buffer = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(buffer, "PNG")
    content = buffer.getvalue()
    path.write_bytes(content[:33] + PngChunk(kind=b"iCCP", data=iccp).encoded() + content[33:])
    return path


def stored(profile: bytes) -> bytes:
    return b"name\0\0" + zlib.compress(profile)


@pytest.mark.parametrize("name", ["sRGB-v4.icc", "AdobeCompat-v4.icc", "DisplayP3-v4.icc"])
@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_a_grey_picture_keeps_the_tones_of_an_rgb_profile(icc: Path, tmp_path: Path, name: str, ending: str) -> None:
    profile = (icc / name).read_bytes()
    source = tmp_path / f"in.{ending}"
    if ending == "png":
        png(source, "L", stored(profile))
    else:
        Image.fromarray(NOISE).convert("L").save(source, icc_profile=profile)
    report = upscale_file(source, engine=Repeat())
    assert report.notes == ()
    with Image.open(report.target) as image:
        assert image.mode == "L"
        grey = image.info["icc_profile"]
        assert grey[16:20] == b"GRAY"
        levels = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    srgb = ImageCms.createProfile("sRGB")
    tones = [
        np.asarray(ImageCms.profileToProfile(levels.convert(mode), io.BytesIO(p), srgb, outputMode="RGB"))  # pyright: ignore[reportArgumentType]
        for mode, p in (("RGB", profile), ("L", grey))
    ]
    assert np.abs(tones[0].astype(int) - tones[1]).max() <= 1


def test_only_rgb_profiles_with_one_curve_are_made_grey(icc: Path) -> None:
    files = sorted(icc.glob("*.icc"))
    assert files
    for path in files:
        profile = path.read_bytes()
        made = grey_profile(profile)
        assert (made is not None) == (profile[16:20] == b"RGB ")
        assert made is None or check_profile(made, 1) is None
    profile = bytearray((icc / "sRGB-v4.icc").read_bytes())
    count = struct.unpack_from(">I", profile, 128)[0]
    entry = next(at for at in range(132, 132 + 12 * count, 12) if profile.startswith(b"rTRC", at))
    start = len(profile)
    profile += b"curv" + struct.pack(">IIH", 0, 1, 512) + bytes(2)
    struct.pack_into(">II", profile, entry + 4, start, 14)
    struct.pack_into(">I", profile, 0, len(profile))
    assert check_profile(bytes(profile), 3) is None
    assert grey_profile(bytes(profile)) is None, "red has another curve"
    assert grey_profile(b"damaged") is None


def test_profiles_of_a_png_that_do_not_fit_are_noted(icc: Path, tmp_path: Path) -> None:
    grey = (icc / "sGrey-v4.icc").read_bytes()
    rgb = (icc / "DisplayP3-v4.icc").read_bytes()
    for iccp, why in (
        (stored(grey), "its color profile is for GRAY, which the picture is not"),
        (stored(rgb[:200]), "its color profile is damaged"),
        (b"name\0\0not compressed", "its color profile is damaged"),
        (b"name", "its color profile is damaged"),
        (b"", "its color profile is damaged"),
        (stored(bytes(64 << 20)), "its color profile is damaged"),
    ):
        source = png(tmp_path / "in.png", "RGB", iccp)
        report = upscale_file(source, tmp_path / "out.png", engine=Repeat(), overwrite=True)
        assert report.notes == (f"{why}: {IGNORED}",)
        assert open_picture(report.target).profile is None
    source = png(tmp_path / "right.png", "RGB", stored(rgb))
    assert upscale_file(source, tmp_path / "right-out.png", engine=Repeat()).notes == ()
    assert open_picture(tmp_path / "right-out.png").profile == rgb


def jpeg(path: Path, *segments: tuple[int, bytes]) -> Path:
    """A JPEG file by Pillow with these segments, by marker, after its first."""
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, "JPEG", quality=95)
    content = buffer.getvalue()
    added = b"".join(struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data for marker, data in segments)
    path.write_bytes(content[:20] + added + content[20:])
    return path


def test_damaged_exif_is_noted(tmp_path: Path) -> None:
    damaged = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12" * 40
    source = jpeg(tmp_path / "in.jpg", (0xE1, damaged))
    report = upscale_file(source, tmp_path / "out.jpg", engine=Repeat())
    assert report.notes == ("its EXIF is damaged: what could not be read was left out",)
    stripped = Output(strip_metadata=True)
    assert upscale_file(source, tmp_path / "bare.jpg", engine=Repeat(), output=stripped).notes == ()
    exif = Image.Exif()
    exif[0x010E] = "kept"
    source = jpeg(tmp_path / "intact.jpg", (0xE1, exif.tobytes()))
    report = upscale_file(source, tmp_path / "intact-out.jpg", engine=Repeat())
    assert report.notes == ()
    with Image.open(report.target) as image:
        assert image.getexif()[0x010E] == "kept"


def comments(path: Path) -> list[bytes]:
    """The comments of a JPEG file before its pixels."""
    content, place, found = path.read_bytes(), 2, list[bytes]()
    while content[place + 1] != 0xDA:
        length = int.from_bytes(content[place + 2 : place + 4])
        found += [content[place + 4 : place + 2 + length]] if content[place + 1] == 0xFE else []
        place += 2 + length
    return found


def test_comments_of_a_jpeg_are_kept_to_the_byte(tmp_path: Path) -> None:
    written = [b"first", b"\xff\xfe\0odd", b"", b"x" * 65_533, "größe".encode()]
    source = jpeg(tmp_path / "in.jpg", *((0xFE, comment) for comment in written))
    report = upscale_file(source, engine=Repeat())
    assert report.notes == ()
    assert comments(report.target) == written
    assert np.array_equal(
        open_picture(report.target).color,
        open_picture(upscale_file(jpeg(tmp_path / "p.jpg"), engine=Repeat()).target).color,
    )
    bare = upscale_file(source, tmp_path / "bare.jpg", engine=Repeat(), output=Output(strip_metadata=True))
    assert (bare.notes, comments(bare.target)) == ((), [])


@pytest.mark.parametrize("ending", ["webp", "avif", "tif"])
def test_comments_become_exif_elsewhere(tmp_path: Path, ending: str) -> None:
    source = jpeg(tmp_path / "in.jpg", (0xFE, "größe".encode()))
    report = upscale_file(source, tmp_path / f"out.{ending}", engine=Repeat())
    assert report.notes == ()
    with Image.open(report.target) as image:
        assert image.getexif().get_ifd(0x8769)[0x9286] == b"UNICODE\0" + "größe".encode("utf-16-be")
    ppm = upscale_file(source, tmp_path / "out.ppm", engine=Repeat())
    assert ppm.notes == ("PPM files are written without these texts: Comment",)


def test_a_comment_of_a_gif_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "in.gif"
    Image.fromarray(NOISE).convert("P").save(source, comment=b"made by hand " * 40)
    for ending in ("gif", "jpg", "png"):
        report = upscale_file(source, tmp_path / f"out.{ending}", engine=Repeat())
        assert not any("Comment" in note for note in report.notes)
        with Image.open(report.target) as image:
            text = image.info.get("comment", str(image.info.get("Comment", "")).encode())
        assert text == b"made by hand " * 40


def test_a_comment_that_is_too_long_for_a_jpeg_is_noted(tmp_path: Path) -> None:
    source = tmp_path / "in.gif"
    for length, note in ((65_533, ()), (65_534, ("JPEG files are written without these texts: Comment",))):
        Image.fromarray(NOISE).convert("P").save(source, comment=b"x" * length)
        report = upscale_file(source, tmp_path / "out.jpg", engine=Repeat(), overwrite=True)
        assert (report.notes, comments(report.target)) == (note, [] if note else [b"x" * length])


def test_comments_of_a_gif_are_read_up_to_their_limits(tmp_path: Path) -> None:
    source = tmp_path / "in.gif"
    Image.fromarray(NOISE).convert("P").save(source)
    content = source.read_bytes()
    pixels_at = 13 + 3 * 2 ** ((content[10] & 7) + 1)

    def read(added: bytes) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
        source.write_bytes(content[:pixels_at] + added + content[pixels_at:])
        return read_gif_comments(source)

    assert read(b"\x21\xfe\3one\0\x21\xfe\0\x21\xfe\3two\0") == ((b"one", b"", b"two"), ())
    many = read(b"\x21\xfe\0" * 30_000)
    assert many == ((b"",) * 10_000, ("comments that are too long or too many were left out (20000)",))
    long = b"\x21\xfe" + (b"\xff" + b"x" * 255) * 4_200 + b"\0"  # beyond 1 MiB
    found = read(long + b"\x21\xfe\3end\0")
    assert found == ((b"end",), ("comments that are too long or too many were left out (1)",))
    assert open_picture(source).lost_metadata == found[1]


def test_a_failure_to_insert_comments_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(head: bytearray, _: object) -> bytes:
        return len(head).to_bytes(0)

    monkeypatch.setattr("mafdn.pictures.codecs.jpeg._with_comments", fail)
    source = jpeg(tmp_path / "in.jpg", (0xFE, b"comment"))
    with pytest.raises(EncodeError, match=r"out\.jpg cannot be written \(int too big to convert\)"):
        upscale_file(source, tmp_path / "out.jpg", engine=Repeat())


def test_segments_that_are_not_read_are_noted(tmp_path: Path) -> None:
    source = jpeg(
        tmp_path / "in.jpg",
        (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(80)),
        (0xEB, b"JP\0\1" + bytes(20)),
        (0xE4, b"vendor"),
        (0xEC, b"Ducky\0\1\0\4\0\0\0\x3c"),
        (0xEE, b"Adobe\0\x64\0\0\0\0\1"),
    )
    report = upscale_file(source, engine=Repeat())
    assert report.notes == ("its extended XMP, JUMBF, APP4 data were left out",)
    assert upscale_file(source, tmp_path / "bare.jpg", engine=Repeat(), output=Output(strip_metadata=True)).notes == ()


def test_blocks_that_are_too_long_for_a_jpeg_are_noted(tmp_path: Path) -> None:
    packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + b" " * 70_000 + b"</x:xmpmeta>"
    image = pyvips.Image.new_from_array(NOISE, interpretation="srgb").copy()
    image.set_type(pyvips.GValue.blob_type, "xmp-data", packet)  # pyright: ignore[reportArgumentType]
    image.webpsave(str(tmp_path / "in.webp"), keep=2)
    report = upscale_file(tmp_path / "in.webp", tmp_path / "out.jpg", engine=Repeat())
    assert report.notes == ("its XMP data are too long for JPEG: they were left out",)
    report = upscale_file(tmp_path / "in.webp", tmp_path / "out.png", engine=Repeat())
    assert report.notes == ()
    assert open_picture(report.target).fields["xmp-data"][1] == packet


def test_notes_on_metadata_are_in_the_report_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    jpeg(tmp_path / "in" / "a.jpg", (0xE4, b"vendor"))
    report = upscale(tmp_path / "in", tmp_path / "out")
    assert [item.notes for item in report.items] == [("its APP4 data were left out",)]
