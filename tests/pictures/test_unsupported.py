"""Formats that are not read are called by their names, and rare kinds of JPEG and TIFF are read."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from mafdn.errors import DamagedError, MissingPackageError, PictureError, UnsupportedError
from mafdn.pictures.codecs.foreign.unsupported import RAW_SUFFIXES, SIGNATURES, unsupported_kind
from mafdn.pictures.formats import FORMATS, sniff
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import open_picture, read_header
from tests.support import Repeat, upscale_file

EXAMPLES = {
    "OpenEXR": b"v/1\x01\x02\0\0\0",
    "Radiance HDR": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n",
    "DDS": b"DDS |\0\0\0",
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "PDF": b"%PDF-1.7\n",
    "raw photograph (CR2)": b"II*\0\x10\0\0\0CR\x02\0",
    "raw photograph (CR3)": b"\0\0\0\x18ftypcrx ",
    "raw photograph (RAF)": b"FUJIFILMCCD-RAW 0201",
    "film (MP4 or QuickTime)": b"\0\0\0\x18ftypisom\0\0\2\0",
    "film (Matroska or WebM)": b"\x1a\x45\xdf\xa3\x01\0\0\0",
    "film (AVI)": b"RIFF\0\0\1\0AVI LIST",
    "WMF": b"\xd7\xcd\xc6\x9a\0\0",
    "EMF": b"\1\0\0\0" + bytes(36) + b" EMF",
    "DjVu": b"AT&TFORM\0\0\0\0DJVM",
    "FITS": b"SIMPLE  =                    T",
    "DICOM": bytes(128) + b"DICM\2\0",
    "GIMP": b"gimp xcf v011\0",
    "JPEG-LS": b"\xff\xd8\xff\xf7\0\x0b\x08",
    "JPEG XR": b"II\xbc\1\x08\0\0\0",
}


def ramps(bits: int = 8) -> np.ndarray:
    y, x = np.mgrid[:70, :90]
    values = np.stack([x * 2, y * 3, x + y], -1)
    return values.astype(np.uint8) if bits == 8 else (values * (2**bits - 1) // 255).astype(np.uint16)


@pytest.mark.parametrize("name", EXAMPLES)
def test_formats_are_called_by_their_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.png").write_bytes(EXAMPLES[name] + bytes(40))
    with pytest.raises(UnsupportedError) as caught:
        sniff(tmp_path / "a.png")
    text = str(caught.value)
    assert name in text.split(" is ", 1)[1]
    assert ";" in text  # and what to do
    assert "\n" not in text


def test_no_signature_hides_a_format_that_is_read() -> None:
    for known in FORMATS.values():
        for magic in known.magic:
            start = magic.replace(b"?", b"x").ljust(256, b"x")
            assert unsupported_kind(start, Path("a")) is None
    assert len({(place, signature) for place, signature, _ in SIGNATURES}) == len(SIGNATURES)


@pytest.mark.parametrize("suffix", [".nef", ".dng", ".ARW"])
def test_tiff_files_named_as_raw_photographs_are_refused(tmp_path: Path, suffix: str) -> None:
    assert suffix.lower() in RAW_SUFFIXES
    Image.fromarray(ramps()).save(tmp_path / "a.tif")
    raw = (tmp_path / "a.tif").rename(tmp_path / f"a{suffix}")
    with pytest.raises(UnsupportedError, match=f"raw photograph \\({suffix[1:].upper()}\\); develop it"):
        read_header(raw)


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("lossless", [False, True])
def test_deep_jpeg_is_read(tmp_path: Path, bits: int, lossless: bool) -> None:
    if bits == 16 and not lossless:
        pytest.skip("16 bits are lossless in JPEG")
    values = ramps(bits)
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(values, 98, lossless=lossless, bitspersample=bits))
    header, back = read_header(tmp_path / "a.jpg"), open_picture(tmp_path / "a.jpg")
    assert (header.bits, back.bits, back.notes) == (16, bits, ())
    difference = abs(back.planes[:] / 65_535 - values / (2**bits - 1)).max() * 255
    assert difference < (0.01 if lossless else 2)
    report = upscale_file(tmp_path / "a.jpg", engine=Repeat())
    assert report.notes == (f"JPEG stores 8 bits per channel: {bits} were rounded",)


def test_lossless_jpeg_of_8_bits_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(ramps(), lossless=True))
    assert np.array_equal(open_picture(tmp_path / "a.jpg").planes[:], ramps())


@pytest.mark.parametrize("marker", [0xC5, 0xC7, 0xCB, 0xCF])
def test_jpeg_that_nothing_decodes_is_called_by_its_kind(tmp_path: Path, marker: int) -> None:
    data = bytearray(imagecodecs.jpeg8_encode(ramps(), 90))
    data[data.index(b"\xff\xc0") + 1] = marker
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(PictureError, match=r"hierarchical|arithmetic") as caught:
        read_header(tmp_path / "a.jpg")
    assert not isinstance(caught.value, DamagedError)


def test_deep_jpeg_without_imagecodecs_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(ramps(12), 90, bitspersample=12))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(MissingPackageError, match=r"12 bits per channel, which needs imagecodecs: pip install"):
        open_picture(tmp_path / "a.jpg")


COMPRESSIONS = ["zstd", "lerc", "lzma", "jpegxl", "jpeg2000", "png", "jpegxr"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("tile", [None, (32, 32)])
def test_rare_compressions_of_tiff_are_read(
    tmp_path: Path, compression: str, deep: bool, grey: bool, tile: tuple[int, int] | None
) -> None:
    values = ramps(16 if deep else 8)[..., : 1 if grey else 3]
    path = tmp_path / "a.tif"
    data = values[..., 0] if grey else values
    tifffile.imwrite(path, data, photometric="minisblack" if grey else "rgb", compression=compression, tile=tile)
    back = open_picture(path)
    assert np.array_equal(back.planes[:], tifffile.imread(path).reshape(values.shape))
    assert (back.bits, back.notes) == (16 if deep else 8, ())


def test_palettes_and_alpha_of_compressed_tiff_are_read(tmp_path: Path) -> None:
    chance, path = np.random.default_rng(0), tmp_path / "a.tif"
    colors, index = chance.integers(0, 256, (3, 256)), chance.integers(0, 256, (20, 30), dtype=np.uint8)
    tifffile.imwrite(path, index, photometric="palette", colormap=(colors * 257).astype(np.uint16), compression="zstd")
    assert np.array_equal(open_picture(path).planes[:], colors.T[index])
    pixels = chance.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb", extrasamples=["unassalpha"], compression="zstd")
    assert np.array_equal(open_picture(path).planes[:], pixels)


@pytest.mark.parametrize("compression", [None, "jpeg"])
def test_tiff_of_12_bits_is_read(tmp_path: Path, compression: str | None) -> None:
    values, path = ramps(12), tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", bitspersample=12, compression=compression)
    back = open_picture(path)
    assert back.bits == 12
    assert abs(back.planes[:] / 65_535 - values / 4095).max() * 255 < (2.5 if compression else 0.01)


@pytest.mark.parametrize("code", [34_713, 65_000, 34_661])
def test_compressions_that_nothing_decodes_are_called_by_name(tmp_path: Path, code: int) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramps(), photometric="rgb", compression="zstd")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        place = file.pages[0].tags["Compression"].valueoffset  # pyright: ignore[reportAttributeAccessIssue]
    data[place : place + 2] = code.to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(PictureError, match="compression") as caught:
        open_picture(path)
    assert not isinstance(caught.value, DamagedError)


@pytest.mark.slow
def test_mutated_files_of_the_new_formats_are_pictures_or_one_line(tmp_path: Path) -> None:
    chance, seeds = np.random.default_rng(1), dict[str, bytes]()
    for suffix in ("bmp", "tga", "qoi", "ico", "jp2"):
        Image.fromarray(ramps()[:48, :64]).save(tmp_path / f"seed.{suffix}")
        seeds[suffix] = (tmp_path / f"seed.{suffix}").read_bytes()
    seeds["jxl"] = bytes(imagecodecs.jpegxl_encode(ramps(), usecontainer=True))
    for number in range(240):
        suffix = list(seeds)[number % len(seeds)]
        data = bytearray(seeds[suffix])
        if chance.random() < 0.3:
            data = data[: chance.integers(1, len(data))]
        for place in chance.integers(0, min(len(data), 400), chance.integers(1, 9)):
            data[place] = chance.integers(0, 256)
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(data)
        try:
            open_picture(path, limits=Limits(pixels=20_000_000))
        except PictureError as error:
            assert "\n" not in str(error)  # noqa: PT017 - some are read
