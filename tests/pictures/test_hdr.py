"""HDR and wide colors that files state by number: values and statements survive, or are refused by name."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import imagecodecs
import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from mafdn.errors import PictureError
from mafdn.pictures.codecs.heif.boxes import read_top_box
from mafdn.pictures.codecs.heif.colors import HeifColors, read_colors, state_colors
from mafdn.pictures.icc import GAMMAS, LIKE_SRGB, PRIMARIES, make_profile
from mafdn.pictures.picture import CodePoints, PngChunk
from mafdn.pictures.profiles import check_profile, find_tone
from mafdn.pictures.reading import open_picture
from mafdn.pixels import imresize
from mafdn.upscaling.output import Output
from tests.pictures.test_png import png
from tests.support import Repeat, upscale_file

codecs = cast(Any, imagecodecs)
SOFT = imresize(np.random.default_rng(0).random((6, 8, 4)), shape=(48, 64)).clip(0.02, 0.98)
"""A picture of soft spots: RGB and alpha."""
PQ, HLG, WIDE = (9, 16), (9, 18), (9, 1)
MASTERING = (35_400, 14_600, 8_500, 39_850, 6_550, 2_300, 15_635, 16_450, 10_000_000, 50)
"""BT.2020 and 1,000 cd/m2, as PNG has it."""
LEVELS = (9_870_000, 1_230_000)


def image(bits: int, channels: int) -> pyvips.Image:
    top = 2**bits - 1
    pixels = SOFT[..., :channels] if channels != 2 else SOFT[..., 2:]
    values = np.rint(pixels * top).astype(np.uint8 if bits == 8 else np.uint16)
    space = ("b-w" if bits == 8 else "grey16") if channels < 3 else ("srgb" if bits == 8 else "rgb16")
    return pyvips.Image.new_from_array(values).copy(interpretation=space)


def pixels_of(path: Path) -> np.ndarray:
    """The pixels of a PNG or AVIF file by imagecodecs, in [0, 1]."""
    content = path.read_bytes()
    values = codecs.png_decode(content) if path.suffix == ".png" else codecs.avif_decode(content)
    top = 255 if values.dtype == np.uint8 else 65_535 if path.suffix == ".png" else 2 ** avif_bits(content) - 1
    return values / top


def colors_of(path: Path) -> HeifColors:
    with path.open("rb") as file:
        return read_colors(file, read_top_box(file, b"meta"))


def chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """All chunks of a PNG file."""
    found: list[tuple[bytes, bytes]] = []
    place = 8
    while place < len(content):
        length = int.from_bytes(content[place : place + 4])
        found.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def boxes(content: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box of an AVIF file."""
    while start < end:
        size, kind = struct.unpack_from(">I4s", content, start)
        yield kind, start + 8, start + size
        start += size


def properties(content: bytes) -> list[tuple[bytes, bytes]]:
    """The properties of all items in an AVIF file; their associations must be valid."""
    meta = next((start, end) for kind, start, end in boxes(content, 0, len(content)) if kind == b"meta")
    iprp = next((start, end) for kind, start, end in boxes(content, meta[0] + 4, meta[1]) if kind == b"iprp")
    inside = {kind: (start, end) for kind, start, end in boxes(content, *iprp)}
    found = [(kind, content[start:end]) for kind, start, end in boxes(content, *inside[b"ipco"])]
    ipma = content[slice(*inside[b"ipma"])]
    place, used = 8, list[tuple[bytes, bytes]]()
    for item in range(int.from_bytes(ipma[4:8])):
        numbers = [number & 0x7F for number in ipma[place + 3 : place + 3 + ipma[place + 2]]]
        place += 3 + ipma[place + 2]
        used += [found[number - 1] for number in numbers] if item == 0 else []
    assert place == len(ipma)
    return used


def avif_bits(content: bytes) -> int:
    return dict(properties(content))[b"pixi"][5]


def cicp(path: Path) -> tuple[int, int, int]:
    """Primaries, transfer and full range as a PNG or AVIF file states them."""
    content = path.read_bytes()
    if path.suffix == ".png":
        numbers = dict(chunks(content))[b"cICP"]
        assert numbers[2] == 0, "PNG is RGB"
        return numbers[0], numbers[1], numbers[3]
    (box,) = [box for kind, box in properties(content) if kind == b"colr" and box[:4] == b"nclx"]
    return *struct.unpack_from(">HH", box, 4), box[10] >> 7


def stream_colors(path: Path) -> tuple[int, int]:
    """Primaries and transfer in the AV1 stream of an AVIF file, as libavif's kind of stream has them."""
    content = path.read_bytes()
    media = next((start, end) for kind, start, end in boxes(content, 0, len(content)) if kind == b"mdat")
    header = content.index(b"\x0a", media[0])  # the unit with the sequence header, of a few bytes
    bits = "".join(f"{byte:08b}" for byte in content[header + 2 : header + 2 + content[header + 1]])
    assert bits[4] == "1", "a reduced header, as pictures have it"
    wide, high = int(bits[10:14], 2) + 1, int(bits[14:18], 2) + 1
    place = 18 + wide + high + 3 + 3
    place += 1 + (int(bits[:3], 2) == 2 and bits[place] == "1") + (int(bits[:3], 2) != 1)
    assert bits[place] == "1", "they are stated"
    return int(bits[place + 1 : place + 9], 2), int(bits[place + 9 : place + 17], 2)


def hdr_png(path: Path, numbers: tuple[int, int], *, bits: int = 16, channels: int = 3, full: int = 1) -> Path:
    display = struct.pack(">8H2I", *MASTERING)
    stated = (b"cICP", bytes([*numbers, 0, full])), (b"mDCV", display), (b"cLLI", struct.pack(">2I", *LEVELS))
    return png(path, *stated, image=image(bits, channels))


def hdr_avif(path: Path, numbers: tuple[int, int], *, bits: int) -> Path:
    values = np.rint(SOFT[..., :3] * (2**bits - 1)).astype(np.uint16)
    settings = {"primaries": numbers[0], "transfer": numbers[1], "matrix": 0}
    path.write_bytes(codecs.avif_encode(values, level=100, bitspersample=bits, **settings))
    return path


def profile_in(path: Path) -> bytes | None:
    with Image.open(path) as file:
        return file.info.get("icc_profile")


def eight_bits(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file)


def twice(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(2, 0).repeat(2, 1)


# --- HDR


@pytest.mark.parametrize("numbers", [PQ, HLG])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("strip", [False, True])
def test_hdr_png_stays_hdr(tmp_path: Path, numbers: tuple[int, int], bits: int, channels: int, strip: bool) -> None:
    source = hdr_png(tmp_path / "in.png", numbers, bits=bits, channels=channels)
    report = upscale_file(source, tmp_path / "out.png", engine=Repeat(), output=Output(strip_metadata=strip))
    assert (report.bits, report.notes) == (bits, ())
    assert np.array_equal(np.squeeze(pixels_of(report.target)), np.squeeze(twice(pixels_of(source))))
    assert cicp(report.target) == (*numbers, 1)
    found = chunks(report.target.read_bytes())
    kinds = [kind for kind, _ in found]
    assert kinds.index(b"cICP") < kinds.index(b"IDAT")
    assert dict(found)[b"mDCV"] == struct.pack(">8H2I", *MASTERING)
    assert dict(found)[b"cLLI"] == struct.pack(">2I", *LEVELS)
    assert not {b"iCCP", b"gAMA", b"sRGB"} & set(kinds)
    assert eight_bits(report.target).shape[:2] == (96, 128)


@pytest.mark.parametrize("numbers", [PQ, HLG])
@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("lossless", [False, True])
def test_hdr_avif_stays_hdr(tmp_path: Path, numbers: tuple[int, int], bits: int, lossless: bool) -> None:
    source = hdr_avif(tmp_path / "in.avif", numbers, bits=bits)
    report = upscale_file(source, tmp_path / "out.avif", engine=Repeat(), output=Output(lossless=lossless))
    assert (report.bits, report.notes) == (bits, ())
    assert cicp(report.target) == (*numbers, 1)
    assert stream_colors(source) == numbers
    assert stream_colors(report.target) == ((1, 13) if lossless else numbers), "with RGB, the syntax would differ"
    before, after = twice(pixels_of(source)), pixels_of(report.target)
    assert np.abs(before - after).max() <= (0 if lossless else 0.02)
    assert np.abs(before.mean((0, 1)) - after.mean((0, 1))).max() * 255 < 0.5
    assert np.abs(eight_bits(report.target) / 255 - before).mean() < 0.01, "by libavif, too"


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_hdr_goes_from_png_to_avif_and_back(tmp_path: Path, channels: int) -> None:
    source = hdr_png(tmp_path / "in.png", PQ, channels=channels)
    avif = upscale_file(source, tmp_path / "out.avif", engine=Repeat(), output=Output(lossless=True)).target
    assert cicp(avif) == (*PQ, 1)
    stated = dict(properties(avif.read_bytes()))
    green_blue_red = (*MASTERING[2:6], *MASTERING[:2], *MASTERING[6:])
    assert stated[b"mdcv"] == struct.pack(">8H2I", *green_blue_red)
    assert stated[b"clli"] == struct.pack(">HH", 987, 123), "in cd/m2"
    back = upscale_file(avif, tmp_path / "back.png", engine=Repeat(), size=0.5).target
    assert cicp(back) == (*PQ, 1)
    found = dict(chunks(back.read_bytes()))
    assert found[b"mDCV"] == struct.pack(">8H2I", *MASTERING)
    assert found[b"cLLI"] == struct.pack(">2I", *LEVELS)
    before, after = pixels_of(source), pixels_of(back)
    before = before[..., None] if before.ndim == 2 else before
    after = after[..., None] if after.ndim == 2 else after
    assert np.abs(before.mean((0, 1)) - after[..., : before.shape[2]].mean((0, 1))).max() * 255 < 0.5


def test_an_hdr_profile_beside_the_numbers_is_kept(tmp_path: Path) -> None:
    profile = make_profile(9, 13, grey=False)
    assert profile is not None
    colors = image(16, 3)
    colors.set_type(pyvips.GValue.blob_type, "icc-profile-data", cast(Any, profile))
    source = png(tmp_path / "in.png", (b"cICP", bytes([*PQ, 0, 1])), image=colors, keep=8)
    result = upscale_file(source, tmp_path / "out.png", engine=Repeat()).target
    assert cicp(result) == (*PQ, 1)
    assert profile_in(result) == profile
    avif = upscale_file(source, tmp_path / "out.avif", engine=Repeat()).target
    assert cicp(avif) == (*PQ, 1)
    assert profile_in(avif) == profile


@pytest.mark.parametrize("name", ["out.jpg", "out.webp", "out.tif", "out.gif", "out.ppm"])
@pytest.mark.parametrize(("numbers", "called"), [(PQ, "PQ"), (HLG, "HLG")])
def test_formats_that_cannot_state_hdr_are_refused(
    tmp_path: Path, name: str, numbers: tuple[int, int], called: str
) -> None:
    source = hdr_png(tmp_path / "in.png", numbers)
    engine = Repeat()
    message = rf"{name}.* cannot state that the picture is HDR \({called}\).*PNG, AVIF or JPEG XL"
    with pytest.raises(PictureError, match=message):
        upscale_file(source, tmp_path / name, engine=engine)
    assert not engine.shapes, "before any work"
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


def test_hdr_heic_becomes_hdr_avif(corpora: Path, tmp_path: Path) -> None:
    pi_heif = pytest.importorskip("pi_heif")
    files = sorted((corpora / "pillow-tests-images").glob("*.heif"))
    heic = next(p for p in files if b"colrnclx" in p.read_bytes())
    points = CodePoints(primaries=9, transfer=16, mastering=MASTERING, light_levels=LEVELS)
    source = tmp_path / "in.heic"
    source.write_bytes(state_colors(heic.read_bytes(), points))
    opened = pi_heif.open_heif(str(source)), pi_heif.open_heif(str(heic))
    before, unchanged = (np.asarray(file) for file in opened)
    assert np.array_equal(before, unchanged), "an intact file"
    assert (opened[0].info["nclx_profile"] or {})["transfer_characteristics"] == 16
    report = upscale_file(source, tmp_path / "out.avif", engine=Repeat(), output=Output(lossless=True))
    assert cicp(report.target) == (*PQ, 1)
    stated = dict(properties(report.target.read_bytes()))
    assert stated[b"clli"] == struct.pack(">HH", 987, 123)
    assert np.abs(pixels_of(report.target)[::2, ::2] * 255 - before[..., :3]).max() <= 1
    with pytest.raises(PictureError, match="HDR"):
        upscale_file(source, tmp_path / "out.jpg", engine=Repeat())


def test_an_hdr_avif_with_metadata_and_transparency(tmp_path: Path) -> None:
    """More items and boxes: the places of all of them are still right."""
    exif = Image.Exif()
    exif[0x010E] = "a description of some length"
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG", exif=exif)
    block = dict(chunks(buffer.getvalue()))[b"eXIf"]
    source = png(tmp_path / "in.png", (b"cICP", bytes([*HLG, 0, 1])), (b"eXIf", block), image=image(16, 4))
    report = upscale_file(source, tmp_path / "out.avif", engine=Repeat(), output=Output(lossless=True))
    with Image.open(report.target) as result:
        assert result.getexif()[0x010E] == "a description of some length"
        assert result.mode == "RGBA"
    assert np.abs(eight_bits(report.target) / 255 - twice(pixels_of(source))).mean() < 0.003
    assert cicp(report.target) == (*HLG, 1)


# --- wide colors


@pytest.mark.parametrize("numbers", [(9, 1), (9, 14), (9, 15), (12, 13), (11, 17), (1, 8), (5, 5), (22, 4)])
def test_other_colors_by_number_are_carried_and_have_a_profile(tmp_path: Path, numbers: tuple[int, int]) -> None:
    source = png(tmp_path / "in.png", (b"cICP", bytes([*numbers, 0, 1])), image=image(16, 3))
    report = upscale_file(source, tmp_path / "out.png", engine=Repeat())
    assert report.notes == ()
    assert cicp(report.target) == (*numbers, 1)
    assert np.abs(pixels_of(report.target) - twice(pixels_of(source))).max() * 65_535 < 1.5
    avif = upscale_file(source, tmp_path / "out.avif", engine=Repeat()).target
    assert cicp(avif) == (*numbers, 1)
    profile = profile_in(upscale_file(source, tmp_path / "out.jpg", engine=Repeat()).target)
    assert profile is not None
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    assert cast(Any, opened).profile.xcolor_space.strip() == "RGB"
    tone = find_tone(profile, 3)
    assert (tone is not None) == (numbers[1] == 8), "only linear light is converted for the network"


def test_wide_colors_become_srgb_where_there_is_no_profile(tmp_path: Path) -> None:
    """A color of sRGB, stated in BT.2020 by matrices of ITU-R BT.2087, comes back as itself."""
    to_wide = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    light = np.array([0.6, 0.3, 0.1])
    shown, wide = (np.rint(255 * (1.055 * v ** (1 / 2.4) - 0.055)).astype(np.uint8) for v in (light, to_wide @ light))
    flat = pyvips.Image.new_from_array(np.full((8, 8, 3), wide, np.uint8)).copy(interpretation="srgb")
    source = png(tmp_path / "in.png", (b"cICP", bytes([*WIDE, 0, 1])), image=flat)
    report = upscale_file(source, tmp_path / "out.ppm", engine=Repeat())
    assert report.notes == ("PPM has no color profile: the picture was converted to sRGB",)
    result = eight_bits(report.target)
    assert np.abs(result[4, 4].astype(int) - shown).max() <= 1


def test_every_profile_by_number_is_one_that_littlecms_takes() -> None:
    for transfer in (*LIKE_SRGB, *GAMMAS):
        grey = make_profile(1, transfer, grey=True)
        assert grey is not None
        assert check_profile(grey, 1) is None
        for primaries in PRIMARIES:
            profile = make_profile(primaries, transfer, grey=False)
            assert profile is not None
            assert check_profile(profile, 3) is None
            opened = cast(Any, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
            white = np.sum([opened.profile.red_colorant[0], opened.profile.green_colorant[0]], axis=0)
            white = white + opened.profile.blue_colorant[0]
            np.testing.assert_allclose(white, (0.9642, 1, 0.8249), atol=2e-4)
    assert make_profile(200, 13, grey=False) is None
    assert make_profile(9, 10, grey=False) is None


def test_the_profile_of_srgb_by_number_is_that_of_littlecms() -> None:
    ours = make_profile(1, 13, grey=False)
    assert ours is not None
    colors = Image.fromarray(np.rint(SOFT[..., :3] * 255).astype(np.uint8))
    both = ImageCms.ImageCmsProfile(io.BytesIO(ours)), ImageCms.createProfile("sRGB")
    result = ImageCms.profileToProfile(colors, both[0], both[1], outputMode="RGB")
    assert np.abs(np.asarray(result).astype(int) - np.asarray(colors)).max() <= 1


def test_values_of_narrow_range_stay_png(tmp_path: Path) -> None:
    for numbers in (PQ, (1, 13)):
        source = hdr_png(tmp_path / "in.png", numbers, full=0)
        result = upscale_file(source, tmp_path / f"{numbers[0]}.png", engine=Repeat()).target
        assert cicp(result) == (*numbers, 0)
        with pytest.raises(PictureError, match="narrow range, which only PNG can state"):
            upscale_file(source, tmp_path / "out.avif", engine=Repeat())


def test_unknown_colors_by_number_are_carried_and_noted_elsewhere(tmp_path: Path) -> None:
    source = png(tmp_path / "in.png", (b"cICP", bytes([9, 10, 0, 1])), image=image(8, 3))
    report = upscale_file(source, tmp_path / "out.png", engine=Repeat())
    assert cicp(report.target) == (9, 10, 1)
    jpeg = upscale_file(source, tmp_path / "out.jpg", engine=Repeat())
    assert jpeg.notes == ("its colors (primaries 9, transfer 10 of H.273, no profile) were taken as sRGB",)


@pytest.mark.parametrize("bits", [10, 12])
def test_colors_that_only_the_av1_stream_states(tmp_path: Path, bits: int) -> None:
    path = hdr_avif(tmp_path / "in.avif", HLG, bits=bits)
    content = path.read_bytes()
    assert content.count(b"colrnclx") == 1
    path.write_bytes(content.replace(b"colrnclx", b"freenclx"))
    assert colors_of(path).code_points == CodePoints(primaries=9, transfer=18)


# --- damage


def test_damaged_boxes_are_no_colors(tmp_path: Path) -> None:
    path = hdr_avif(tmp_path / "in.avif", PQ, bits=10)
    content = path.read_bytes()
    assert colors_of(path).code_points == CodePoints(primaries=9, transfer=16)
    end = content.index(b"mdat")
    for seed in range(300):
        rng = np.random.default_rng(seed)
        changed = bytearray(content)
        for place in rng.integers(0, end, 4):
            changed[place] = int(rng.integers(256))
        path.write_bytes(changed)
        colors_of(path)
    for length in range(0, end, 7):
        path.write_bytes(content[:length])
        assert colors_of(path).code_points is None or length > 200


def test_a_gain_map_of_heif_is_noted(tmp_path: Path) -> None:
    source = upscale_file(hdr_png(tmp_path / "in.png", PQ, channels=4), tmp_path / "in.avif", engine=Repeat()).target
    content = source.read_bytes()
    assert open_picture(source).notes == ()
    alpha, gain_map = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:com:apple:photo:2020:aux:hdrgainmap\0"
    assert content.count(alpha) == 1
    source.write_bytes(content.replace(alpha, gain_map.ljust(len(alpha), b"\0")))
    assert open_picture(source).notes == ("its HDR gain map was left out",)
    second = b"infe\2\0\0\0\0\2\0\0av01"
    assert content.count(second) == 1
    source.write_bytes(content.replace(second, second[:-4] + b"tmap"))
    assert open_picture(source).notes == ("its HDR gain map was left out",)


@pytest.mark.parametrize(
    ("name", "note"),
    [
        (b"urn:mpeg:hevc:2015:auxid:2\0", "its depth map was left out"),
        (b"urn:mpeg:mpegB:cicp:systems:aux:depth\0", "its depth map was left out"),
        (b"urn:com:apple:photo:2019:aux:skinmatte\0", "its mattes were left out"),
        (b"urn:com:example:else\0", "its auxiliary pictures were left out"),
    ],
)
def test_other_auxiliary_pictures_and_videos_of_heif_are_noted(tmp_path: Path, name: bytes, note: str) -> None:
    source = upscale_file(hdr_png(tmp_path / "in.png", PQ, channels=4), tmp_path / "in.avif", engine=Repeat()).target
    alpha = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
    content = source.read_bytes().replace(alpha, name.ljust(len(alpha), b"\0"))
    source.write_bytes(content)
    assert open_picture(source).notes == (note,)
    source.write_bytes(content + (40 << 20).to_bytes(4) + b"mpvd" + bytes((40 << 20) - 8))
    assert open_picture(source).notes == (note, "its video was left out")


def test_an_hdr_animation_stays_hdr(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((16, 16, 3), level, np.uint8)) for level in (40, 200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:], duration=100)
    content = buffer.getvalue()
    source = tmp_path / "in.png"
    source.write_bytes(content[:33] + PngChunk(kind=b"cICP", data=bytes([*HLG, 0, 1])).encoded() + content[33:])
    report = upscale_file(source, tmp_path / "out.png", engine=Repeat())
    assert cicp(report.target) == (*HLG, 1)
    with Image.open(report.target) as result:
        assert cast(Any, result).n_frames == 2
        for level, number in ((40, 0), (200, 1)):
            result.seek(number)
            assert (np.asarray(result.convert("RGB")) == level).all()
    with pytest.raises(PictureError, match="HDR"):
        upscale_file(source, tmp_path / "out.webp", engine=Repeat())
