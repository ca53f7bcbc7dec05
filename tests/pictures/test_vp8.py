"""The quantizer index of lossy WebP files."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mafdn.pictures.codecs.vp8 import MOST_QUANTIZER, read_quantizer
from mafdn.pictures.reading import read_header

NOISE = np.random.default_rng(0).integers(0, 256, (40, 24, 4), np.uint8)


def encoded(mode: str = "RGB", **options: Any) -> bytes:
    """A WebP file by Pillow."""
    file = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(file, "WEBP", **options)
    return file.getvalue()


def quantizer_of(data: bytes, tmp_path: Path) -> float | None:
    path = tmp_path / "a.webp"
    path.write_bytes(data)
    return read_header(path).file.vp8_quantizer


def test_it_falls_with_quality(tmp_path: Path) -> None:
    found = [quantizer_of(encoded(quality=quality), tmp_path) for quality in (0, 25, 50, 75, 90, 100)]
    assert found[0] == MOST_QUANTIZER
    assert found == sorted(found, key=lambda index: -(index or 0))
    assert found[-1] == 0


@pytest.mark.parametrize("method", [0, 4, 6])
def test_it_hardly_depends_on_the_effort_of_the_encoder(method: int, tmp_path: Path) -> None:
    found = quantizer_of(encoded(quality=75, method=method), tmp_path)
    assert found is not None
    assert 20 <= found <= 32


def test_transparency_and_animations_are_lossy_too(tmp_path: Path) -> None:
    plain = quantizer_of(encoded(quality=60), tmp_path)
    assert plain
    transparent = quantizer_of(encoded("RGBA", quality=60), tmp_path)
    frames = [Image.fromarray(NOISE[..., :3]), Image.fromarray(255 - NOISE[..., :3])]
    animated = encoded(quality=60, save_all=True, append_images=frames[1:])
    assert transparent == pytest.approx(plain, abs=8)
    assert quantizer_of(animated, tmp_path) == pytest.approx(plain, abs=8)


def test_lossless_files_and_other_formats_have_none(tmp_path: Path) -> None:
    assert quantizer_of(encoded(lossless=True), tmp_path) is None
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).save(path)
    assert read_header(path).file.vp8_quantizer is None


@given(st.binary(max_size=64))
def test_any_header(content: bytes) -> None:
    found = read_quantizer(io.BytesIO(b"\x10\0\0\x9d\x01\x2a\x18\0\x28\0" + content), 0)
    assert found is None or 0 <= found <= MOST_QUANTIZER
