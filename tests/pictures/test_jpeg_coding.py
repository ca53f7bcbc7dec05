"""Quantization tables and sampling of JPEG files, compared with what Pillow finds, and on invalid headers."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mafdn.pictures.codecs.jpeg_coding import Component, JpegCoding, read_coding

NOISE = np.random.default_rng(0).integers(0, 256, (40, 24, 3), np.uint8)


def encoded(mode: str = "RGB", **options: Any) -> bytes:
    """A JPEG file by Pillow."""
    file = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


WHOLE = encoded(quality=80)


def coding_of(data: bytes) -> JpegCoding:
    coding = read_coding(io.BytesIO(data))
    assert coding is not None
    return coding


@pytest.mark.parametrize("quality", [1, 30, 75, 100])
@pytest.mark.parametrize("progressive", [False, True])
def test_tables_equal_those_of_pillow(quality: int, progressive: bool) -> None:
    data = encoded(quality=quality, progressive=progressive)
    coding, image = coding_of(data), Image.open(io.BytesIO(data))
    assert isinstance(image, Image.Image)
    tables: dict[int, list[int]] = image.quantization  # pyright: ignore[reportAttributeAccessIssue]
    assert {number: table.ravel().tolist() for number, table in coding.tables.items()} == tables
    assert (coding.width, coding.height, coding.bits) == (24, 40, 8)


def test_tables_are_in_natural_order() -> None:
    coding = coding_of(encoded(qtables=[list(range(1, 65)), [5] * 64]))
    assert coding.tables[0].tolist() == np.arange(1, 65).reshape(8, 8).tolist()


@pytest.mark.parametrize(("subsampling", "factors"), [(0, (1, 1)), (1, (2, 1)), (2, (2, 2))])
def test_sampling_factors(subsampling: int, factors: tuple[int, int]) -> None:
    coding = coding_of(encoded(subsampling=subsampling))
    assert coding.components == (Component(1, *factors, 0), Component(2, 1, 1, 1), Component(3, 1, 1, 1))


@pytest.mark.parametrize(
    ("data", "transform"),
    [
        (encoded(), "ycc"),
        (encoded("L"), "gray"),
        (encoded("CMYK"), "other"),
        (encoded(keep_rgb=True), "rgb"),
        (encoded(keep_rgb=True).replace(b"Adobe", b"Other"), "rgb"),
        (encoded().replace(b"JFIF", b"Else"), "ycc"),
    ],
)
def test_transform_is_found_as_libjpeg_does(data: bytes, transform: str) -> None:
    assert coding_of(data).transform == transform


def test_tables_of_16_bits_and_invalid_ones() -> None:
    data = encoded()
    wide = b"\xff\xdb" + (2 + 129).to_bytes(2) + b"\x13" + (300).to_bytes(2) * 64
    zeros = b"\xff\xdb" + (2 + 65).to_bytes(2) + b"\2" + bytes(64)
    short = b"\xff\xdb" + (2 + 33).to_bytes(2) + b"\2" + b"\1" * 32
    coding = coding_of(data[:2] + wide + zeros + short + data[2:])
    assert sorted(coding.tables) == [0, 1, 3]
    assert (coding.tables[3] == 300).all()


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"\xff\xd8" + b"\xff\xc0\0\x05\x08\0\x08" * 3, b"GIF89a" * 9])
def test_nothing_is_found_in_what_is_no_jpeg(data: bytes) -> None:
    assert read_coding(io.BytesIO(data)) is None


@given(st.data())
def test_damaged_headers_never_raise_and_tables_have_no_zeros(data: st.DataObject) -> None:
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, 650))] = data.draw(st.integers(0, 255))
    coding = read_coding(io.BytesIO(bytes(content[: data.draw(st.integers(0, len(content)))])))
    if coding is not None:
        assert 1 <= len(coding.components) <= 4
        assert all(table.shape == (8, 8) and table.min() >= 1 for table in coding.tables.values())
