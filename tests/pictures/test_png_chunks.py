"""Chunks of PNG files: written into a file while it is encoded, and copied from one file to another."""

import errno
import io
import json
import struct
import tracemalloc
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mafdn.errors import PictureError
from mafdn.pictures.codecs.png_chunks import read_metadata
from mafdn.pictures.encoding import save_picture
from mafdn.pictures.fitting import fit_metadata
from mafdn.pictures.formats import FORMATS, format_of_name
from mafdn.pictures.picture import Picture, PngChunk
from mafdn.pictures.reading import open_picture
from mafdn.upscaling.output import Output
from tests.support import Repeat, upscale_file

PNG = FORMATS["PNG"]
NOISE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunks_of(path: Path) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG file, whose checksums are verified."""
    content, place, found = path.read_bytes(), 8, list[tuple[bytes, bytes]]()
    assert content[:8] == SIGNATURE
    while place < len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        data = content[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", content, place + 8 + length)[0] == zlib.crc32(kind + data)
        found.append((kind, data))
        place += 12 + length
    assert found[0][0] == b"IHDR"
    assert found[-1] == (b"IEND", b"")
    return found


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_chunks_are_inserted_after_the_header_while_a_picture_is_encoded(tmp_path: Path, dtype: type) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8).astype(dtype)
    added = (
        PngChunk(kind=b"cICP", data=bytes([9, 16, 0, 1])),
        PngChunk(kind=b"tEXt", data=b"key\0" + b"x" * 100_000),
        PngChunk(kind=b"pHYs", data=struct.pack(">IIB", 2, 1, 0)),
        PngChunk(kind=b"tEXt", data=b"key\0"),
    )
    plain, path = tmp_path / "plain.png", tmp_path / "out.png"
    picture = Picture(planes=wide, format=PNG)
    save_picture(picture, plain, PNG)
    save_picture(Picture(planes=wide, format=PNG, chunks=added), path, PNG)
    found, usual = chunks_of(path), chunks_of(plain)
    assert found[1:5] == [(chunk.kind, chunk.data) for chunk in added]
    assert [c for c in found if c[0] == b"pHYs"] == [(b"pHYs", added[2].data)], "instead of that of libvips"
    assert [found[0], *found[5:]] == [c for c in usual if c[0] != b"pHYs"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_reported_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/dev/full")
    picture = Picture(
        planes=np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8),
        format=PNG,
        chunks=(PngChunk(kind=b"tEXt", data=b"a\0b"),),
    )
    with pytest.raises(PictureError, match="No space left") as caught:
        save_picture(picture, tmp_path / "out", PNG)
    assert caught.value.errno == errno.ENOSPC


def test_another_reader_finds_inserted_texts(tmp_path: Path) -> None:
    added = PngChunk(kind=b"iTXt", data=b"Title\0\0\0de\0Titel\0" + "Größe 大きさ".encode())
    save_picture(Picture(planes=NOISE, format=PNG, chunks=(added,)), tmp_path / "out.png", PNG)
    with Image.open(tmp_path / "out.png") as image:
        assert np.array_equal(np.asarray(image), NOISE)
        assert image.info["Title"] == "Größe 大きさ"


def make(path: Path, *chunks: tuple[bytes, bytes], late: Sequence[tuple[bytes, bytes]] = (), mode: str = "RGB") -> Path:
    """A PNG file by Pillow with these chunks after its header, and `late` ones after its pixels."""
    buffer = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(buffer, "PNG")
    content = buffer.getvalue()
    place = content.index(b"IDAT") - 4 if mode == "P" else 33
    parts = [b"".join(PngChunk(kind=k, data=d).encoded() for k, d in some) for some in (chunks, late)]
    path.write_bytes(content[:place] + parts[0] + content[place:-12] + parts[1] + content[-12:])
    return path


def upscaled(source: Path, ending: str = "png", **options: Any) -> tuple[Path, tuple[str, ...]]:
    report = upscale_file(source, source.with_name(f"out.{ending}"), engine=Repeat(), overwrite=True, **options)
    return report.target, report.notes


PARAMETERS = b"a cat, <lora:x:1>\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, Seed: 1, Size: 512x512"
WORKFLOW = '{"1": {"class_type": "KSampler", "inputs": {"text": "größe 大きさ"}}}'
TEXTS = [
    (b"tEXt", b"parameters\0" + PARAMETERS),
    (b"iTXt", b"parameters\0\0\0\0\0" + WORKFLOW.encode()),  # a second text with the same keyword
    (b"tEXt", b"prompt\0" + json.dumps(WORKFLOW).encode()),
    (b"iTXt", b"Title\0\0\0de-CH\0" + "Größe\0Größe 大きさ".encode()),
    (b"iTXt", b"Author\0\1\0\0\0" + zlib.compress("Jörg".encode(), 9)),
    (b"zTXt", b"Description\0\0" + zlib.compress("caf\xe9".encode("latin-1"), 1)),
    (b"tEXt", b"Copyright\0\xa9 me"),
    (b"tEXt", b"Copyright\0\xa9 me"),
]
ODD = [
    (b"tEXt", b"\0no keyword"),
    (b"tEXt", b"no end"),
    (b"tEXt", b"k" * 90 + b"\0longer than 79 bytes"),
    (b"tEXt", b"key\0a\0b"),
    (b"tEXt", b"empty\0"),
    (b"tEXt", b""),
    (b"iTXt", b"key\0\0\0\0\0\xff\xfe not UTF-8"),
    (b"iTXt", b"key\0\1\0\0\0not compressed"),
    (b"iTXt", b"short\0"),
    (b"zTXt", b"bomb\0\0" + zlib.compress(bytes(1 << 24), 9)),
]


@pytest.mark.parametrize("texts", [TEXTS, ODD], ids=["usual", "odd"])
def test_texts_are_copied_bit_for_bit(tmp_path: Path, texts: list[tuple[bytes, bytes]]) -> None:
    source = make(tmp_path / "in.png", *texts, late=texts[::-1])
    target, notes = upscaled(source)
    assert notes == ()
    found = chunks_of(target)
    place = next(n for n, (kind, _) in enumerate(found) if kind == b"IDAT")
    kinds = (b"tEXt", b"zTXt", b"iTXt")
    assert [c for c in found[:place] if c[0] in kinds] == texts
    assert [c for c in found[place:] if c[0] in kinds] == texts[::-1]
    if texts is TEXTS:
        with Image.open(source) as before, Image.open(target) as after:
            before.load()
            after.load()
            assert getattr(after, "text") == getattr(before, "text")  # noqa: B009
            assert getattr(after, "text")["Title"].lang == "de-CH"  # noqa: B009
            assert after.size == (32, 24)
    stripped, notes = upscaled(source, output=Output(strip_metadata=True))
    assert notes == ()
    assert {kind for kind, _ in chunks_of(stripped)} <= {b"IHDR", b"IDAT", b"IEND", b"pHYs"}


def test_xmp_is_not_copied_but_corrected(tmp_path: Path) -> None:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:ImageWidth="16" tiff:Orientation="6"/></x:xmpmeta>'
    for data in (packet, zlib.compress(packet)):
        flag = b"\0" if data is packet else b"\1"
        source = make(tmp_path / "in.png", (b"iTXt", b"XML:com.adobe.xmp\0" + flag + b"\0\0\0" + data))
        target, notes = upscaled(source)
        assert notes == ()
        texts = [data for kind, data in chunks_of(target) if kind == b"iTXt"]
        right = packet.replace(b'"16"', b'"32"').replace(b'"6"', b'"1"')
        assert texts == [b"XML:com.adobe.xmp\0\0\0\0\0" + right]


def test_other_chunks_are_kept_or_noted(tmp_path: Path) -> None:
    kept = [
        (b"tIME", struct.pack(">H5B", 2020, 1, 2, 3, 4, 5)),
        (b"sPLT", b"palette\0\x08" + bytes([1, 2, 3, 255, 0, 9])),
        (b"bKGD", struct.pack(">3H", 1, 2, 3)),
        (b"prIv", b"nobody knows"),
    ]
    lost = [
        (b"prIV", b"unsafe to copy"),
        (b"oFFs", struct.pack(">2iB", 4, 5, 0)),
        (b"sTER", b"\0"),
        (b"caBX", b"signed"),
        (b"sBIT", b"\5\6\5"),
    ]
    silent = [(b"iDOT", bytes(28)), (b"sRGB", b"\0")]
    source = make(tmp_path / "in.png", *kept, *lost, *silent, late=[(b"laTe", b"after")])
    target, notes = upscaled(source)
    assert notes == ("its prIV, oFFs, sTER, caBX, sBIT data were left out",)
    found = chunks_of(target)
    assert [c for c in found if c[0] not in (b"IHDR", b"IDAT", b"IEND", b"pHYs")] == [*kept, (b"laTe", b"after")]
    assert found.index((b"laTe", b"after")) == len(found) - 2
    assert upscaled(source, output=Output(strip_metadata=True))[1] == ()
    _, notes = upscaled(source, "webp")
    assert "WebP files are written without PNG's bKGD, laTe, prIv, sPLT, tIME data" in notes
    assert upscaled(make(tmp_path / "full.png", (b"sBIT", b"\x08\x08\x08")))[1] == ()


@pytest.mark.parametrize(
    ("mode", "stored"), [("L", struct.pack(">H", 200)), ("P", b"\3"), ("1", struct.pack(">H", 1)), ("LA", b"\0\7")]
)
def test_the_background_color_fits_the_pixels(tmp_path: Path, mode: str, stored: bytes) -> None:
    source = make(tmp_path / "in.png", (b"bKGD", stored), mode=mode)
    before, after = dict(chunks_of(source)), dict(chunks_of(upscaled(source)[0]))
    right = {"L": [200], "P": list(before.get(b"PLTE", b"")[9:12]), "1": [255], "LA": [7]}[mode]
    assert list(struct.unpack(f">{len(right)}H", after[b"bKGD"])) == right
    assert after[b"IHDR"][9] & 3 == (0 if len(right) == 1 else 2), "grey or RGB"


def test_a_ratio_of_sides_is_not_a_resolution(tmp_path: Path) -> None:
    source = make(tmp_path / "in.png", (b"pHYs", struct.pack(">IIB", 2, 1, 0)))
    target, notes = upscaled(source)
    assert notes == ()
    assert dict(chunks_of(target))[b"pHYs"] == struct.pack(">IIB", 2, 1, 0)
    target, notes = upscaled(source, "jpg")
    assert notes == ("JPEG files are written without PNG's pHYs data",)
    with Image.open(target) as image:
        assert image.info.get("dpi", (72, 72)) == (72, 72)


def test_damaged_and_huge_chunks_are_left_out_with_a_note(tmp_path: Path) -> None:
    source = make(tmp_path / "in.png", (b"tEXt", b"key\0damaged"), late=[(b"teSt", bytes(9 << 20))])
    content = source.read_bytes()
    source.write_bytes(content.replace(b"key\0damaged", b"key\0changed"))
    target, notes = upscaled(source)
    assert notes == (
        "chunks that are too long were left out (1)",
        "chunks that are damaged were left out (1)",
    )
    assert {kind for kind, _ in chunks_of(target)} == {b"IHDR", b"IDAT", b"IEND", b"pHYs"}


def test_a_text_of_500_mb_is_not_held_in_memory(tmp_path: Path) -> None:
    source = make(tmp_path / "in.png")
    content = source.read_bytes()
    with source.open("wb") as file:  # a file with a hole
        file.write(content[:-12] + struct.pack(">I", 500 << 20) + b"teSt")
        file.seek(500 << 20, io.SEEK_CUR)
        file.write(bytes(4) + content[-12:])
    tracemalloc.start()
    try:
        metadata = read_metadata(source)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert metadata.lost == ("chunks that are too long were left out (1)",)
    assert metadata.chunks == ()


@given(st.binary(max_size=200), st.sampled_from([*TEXTS, *ODD[:8]]))
@settings(deadline=None, max_examples=100)
def test_noise_for_chunks_does_no_harm(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, text: tuple[bytes, bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.png"
    path.write_bytes(SIGNATURE + noise)
    read_metadata(path)
    make(path, (text[0], noise))
    for kind in (PNG, FORMATS["WebP"], FORMATS["JPEG"]):
        chunks = read_metadata(path).chunks
        fitted = fit_metadata(Picture(planes=NOISE, format=PNG, chunks=chunks), kind)
        assert bool(fitted.chunks) == (kind is PNG)


def test_a_note_on_odd_texts_is_short(tmp_path: Path) -> None:
    source = make(tmp_path / "in.png", (b"tEXt", b"\0no keyword"), (b"tEXt", b"x" * 100_000), (b"tEXt", b"a\nb\0text"))
    _, notes = upscaled(source, "webp")
    names = f"one without a keyword, {'x' * 79}, a\\nb"
    assert notes == (f"WebP files are written without these texts: {names}",)
    many = [(b"tEXt", b"key %d\0text" % number) for number in range(9)]
    _, notes = upscaled(make(tmp_path / "many.png", *many), "webp")
    assert notes == ("WebP files are written without these texts: key 0, key 1, key 2, key 3, key 4 and 4 more",)


@pytest.mark.parametrize("ending", ["jpg", "gif", "webp"])
@pytest.mark.parametrize("keyword", [b"Comment", b"Title"])
def test_texts_are_not_decompressed_all_at_once(tmp_path: Path, ending: str, keyword: bytes) -> None:
    text = zlib.compress(bytes(60_000).replace(b"\0", b"x"), 9)
    chunks = tuple(PngChunk(kind=b"zTXt", data=keyword + b"\0\0" + text) for _ in range(1_000))
    kind = format_of_name(tmp_path / f"a.{ending}")
    tracemalloc.start()
    try:
        fitted = fit_metadata(Picture(planes=NOISE, format=PNG, chunks=chunks), kind)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    as_comments = keyword == b"Comment" and ending != "webp"
    assert fitted.comments == ((b"x" * 60_000,) * 64 if as_comments else ())
    assert ("exif-data" in fitted.fields) == (keyword == b"Comment" and not as_comments)
    assert fitted.lost_metadata == (f"{kind.name} files are written without these texts: {keyword.decode()}",)


def exif_of(path: Path) -> dict[int, Any]:
    with Image.open(path) as image:
        exif = image.getexif()
        return {**exif, **exif.get_ifd(0x8769)}


@pytest.mark.parametrize("ending", ["jpg", "webp", "avif", "tif"])
def test_texts_become_exif_where_it_has_a_place_for_them(tmp_path: Path, ending: str) -> None:
    source = make(tmp_path / "in.png", *TEXTS[:1], *TEXTS[2:7])
    target, notes = upscaled(source, ending)
    name = open_picture(target).format.name
    assert notes == (f"{name} files are written without these texts: prompt, Title",)
    exif = exif_of(target)
    assert exif[0x9286] == b"UNICODE\0" + PARAMETERS.decode().encode("utf-16-be")
    texts = [exif[tag].encode("latin-1").decode() for tag in (270, 315, 33_432)]  # Pillow takes UTF-8 for Latin-1
    assert texts == ["café", "Jörg", "© me"]
    assert upscaled(source, ending, output=Output(strip_metadata=True))[1] == ()
    assert 0x9286 not in exif_of(target)


def test_texts_do_not_replace_what_exif_states(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[315] = "Somebody"
    source = make(tmp_path / "in.png", (b"eXIf", exif.tobytes()[6:]), (b"tEXt", b"Author\0Another"))
    target, notes = upscaled(source, "jpg")
    assert notes == ("JPEG files are written without these texts: Author",)
    assert exif_of(target)[315] == "Somebody"
    _, notes = upscaled(source, "gif")
    assert "GIF files are written without these texts: Author" in notes


@pytest.mark.parametrize("comment", ["plain", "caf\xe9", "大きさ"])
def test_comments_of_jpeg_become_texts_and_back(tmp_path: Path, comment: str) -> None:
    Image.fromarray(NOISE).save(tmp_path / "in.jpg", comment=comment.encode())
    target, notes = upscaled(tmp_path / "in.jpg")
    assert notes == ()
    with Image.open(target) as image:
        assert getattr(image, "text") == {"Comment": comment}  # noqa: B009
    back, notes = upscaled(target.rename(tmp_path / "png.png"), "jpg")
    assert notes == ()
    with Image.open(back) as image:
        assert image.info["comment"] == comment.encode()
