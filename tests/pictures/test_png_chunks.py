"""Chunks of PNG files: written into a file while it is encoded, and copied from one file to another."""

import errno
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mafdn.errors import PictureError
from mafdn.pictures.encoding import save_picture
from mafdn.pictures.formats import FORMATS
from mafdn.pictures.picture import Picture, PngChunk

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
