"""The quality of JPEG files from their quantization tables: standard ones, others, in TIFF, and hostile ones."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mafdn.pictures.codecs.jpeg_coding import TABLES, ZIGZAG, read_coding
from mafdn.pictures.codecs.jpeg_quality import (
    CHROMA,
    EXTENDED_LIMIT,
    LUMA,
    JpegQuality,
    estimate_quality,
    nearest_quality,
    standard_table,
)
from mafdn.pictures.codecs.jpeg_segments import read_segments
from mafdn.pictures.reading import read_header

NOISE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


def encoded(mode: str = "RGB", **options: Any) -> bytes:
    """A JPEG file by Pillow."""
    file = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def quality_of(data: bytes) -> JpegQuality | None:
    coding = read_coding(io.BytesIO(data))
    return None if coding is None else estimate_quality(coding)


def with_tables(data: bytes, segment: bytes) -> bytes:
    """The file with this in place of its segments of tables."""
    kept, file = [data[:2]], io.BytesIO(data)
    end = 2
    for marker, length in read_segments(file):
        start = file.tell() - 4
        end = start + 4 + length
        if marker != TABLES:
            kept.append(data[start:end])
    return b"".join([*kept, segment, data[end:]])


def table_segment(steps: np.ndarray, number: int = 0, *, wide: bool = False) -> bytes:
    """A DQT segment of one table of (8, 8) steps in natural order."""
    values = steps.ravel()[ZIGZAG].tolist()
    content = bytes([wide << 4 | number]) + struct.pack(f">64{'H' if wide else 'B'}", *values)
    return b"\xff\xdb" + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"mode": "L"}, {"mode": "CMYK"}, {"progressive": True}])
def test_every_standard_quality_is_found_exactly(options: dict[str, Any]) -> None:
    for quality in range(1, 101):
        found = quality_of(encoded(quality=quality, **options))
        assert found == JpegQuality(quality=quality, misfit=0)
        assert found is not None
        assert found.standard


def test_sixteen_bit_tables_are_those_of_libjpeg_without_its_limit() -> None:
    for quality in (1, 5, 20, 75):
        luma, chroma = (standard_table(table, quality, limit=EXTENDED_LIMIT) for table in (LUMA, CHROMA))
        segments = table_segment(luma, wide=True) + table_segment(chroma, 1, wide=True)
        assert quality_of(with_tables(encoded(), segments)) == JpegQuality(quality=quality, misfit=0)


def test_other_tables_are_mapped_by_their_low_frequencies() -> None:
    flat = np.add.outer(np.arange(8), np.arange(8)) * 2 + 6
    qualities: list[int] = []
    for factor in (0.2, 0.5, 1, 2, 4, 8):
        table = np.clip(np.rint(flat * factor), 1, 255).astype(int)
        found = quality_of(encoded(qtables=[table.ravel().tolist()] * 2))
        assert found
        assert not found.standard
        qualities.append(found.quality)
    assert qualities == sorted(qualities, reverse=True)
    assert qualities[0] > 90 > qualities[2] > 50 > qualities[-1]


def test_only_the_table_of_luma_is_needed() -> None:
    whole, luma = encoded(quality=60), table_segment(standard_table(LUMA, 60))
    assert quality_of(with_tables(whole, luma)) == JpegQuality(quality=60, misfit=0)
    assert quality_of(with_tables(whole, table_segment(standard_table(CHROMA, 60), 1))) is None
    assert quality_of(with_tables(whole, b"")) is None
    assert quality_of(with_tables(whole, table_segment(standard_table(LUMA, 60) * 0))) is None


def test_of_several_definitions_the_last_one_before_the_pixels_is_valid() -> None:
    segments = b"".join(table_segment(standard_table(LUMA, quality)) for quality in (20, 90))
    assert quality_of(with_tables(encoded("L"), segments)) == JpegQuality(quality=90, misfit=0)


def test_steps_count_relative_to_eight_bits() -> None:
    data = bytearray(encoded("L", quality=50))
    frame = data.index(b"\xff\xc0") + 4
    data[frame] = 12
    found = quality_of(bytes(data))
    assert found
    assert found.quality > 90  # steps of 12-bit samples are 16 times as fine


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_in_tiff(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(NOISE).convert(mode).save(path, compression="jpeg", quality=70)
    coding = read_header(path).file.coding
    assert coding is not None
    assert estimate_quality(coding) == JpegQuality(quality=70, misfit=0)
    Image.fromarray(NOISE).save(path, compression="tiff_lzw")
    assert read_header(path).file.coding is None


def test_some_steps_suffice_for_the_nearest_quality() -> None:
    steps = standard_table(LUMA, 75) * (np.add.outer(np.arange(8), np.arange(8)) < 4)
    found = nearest_quality(steps)
    assert found is not None
    assert abs(found - 75) <= 1
    steps[1, 1] = 99  # one wrong step
    found = nearest_quality(steps)
    assert found is not None
    assert abs(found - 75) <= 1
    assert nearest_quality(np.zeros((8, 8), int)) is None


WHOLE = encoded(quality=80)
PLACE = WHOLE.index(b"\xff\xdb")


@given(st.dictionaries(st.integers(PLACE, PLACE + 140), st.integers(0, 255), max_size=20), st.integers(0, len(WHOLE)))
def test_broken_tables_give_a_valid_quality_or_none(changes: dict[int, int], length: int) -> None:
    data = bytearray(WHOLE)
    for place, value in changes.items():
        data[place] = value
    for content in (bytes(data), bytes(data[:length])):
        found = quality_of(content)
        assert found is None or (1 <= found.quality <= 100 and found.misfit >= 0)


@given(st.binary(max_size=400), st.integers(0, 65_535), st.booleans())
def test_any_bytes_in_place_of_tables(content: bytes, length: int, honest: bool) -> None:
    stated = len(content) + 2 if honest else length
    found = quality_of(with_tables(WHOLE, b"\xff\xdb" + struct.pack(">H", stated) + content))
    assert found is None or 1 <= found.quality <= 100


@given(st.lists(st.integers(1, 65_535), min_size=64, max_size=64))
def test_any_steps(steps: list[int]) -> None:
    found = quality_of(with_tables(WHOLE, table_segment(np.array(steps), wide=True)))
    assert found
    assert 1 <= found.quality <= 100
