"""Transparency of TIFF files in CMYK and CIELab, whose colors are converted to sRGB."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from mafdn.errors import DamagedError, PictureError
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import open_picture

CHANCE = np.random.default_rng(0)
LEVELS = CHANCE.integers(0, 2**16, (12, 9, 4), np.uint16)
ALPHA = CHANCE.integers(0, 2**16, (12, 9), np.uint16)
ALPHA[0, :2] = 0, 65_535


def read(path: Path, pixels: np.ndarray, space: str, extra: tuple[int, ...] = ()) -> Picture:
    tifffile.imwrite(path, pixels, photometric=space, planarconfig="contig", extrasamples=extra or None)
    return open_picture(path)


@pytest.mark.parametrize("extra", [(2,), (2, 0)])
@pytest.mark.parametrize(
    ("space", "colors", "alpha"),
    [
        ("cielab", LEVELS[..., :3], ALPHA),
        ("cielab", (LEVELS[..., :3] / 656).astype(np.float32), (ALPHA / 65_535).astype(np.float32)),
        ("separated", LEVELS, ALPHA),
        ("separated", (LEVELS >> 8).astype(np.uint8), (ALPHA >> 8).astype(np.uint8)),
    ],
)
def test_alpha_is_kept(
    tmp_path: Path, space: str, colors: np.ndarray, alpha: np.ndarray, extra: tuple[int, ...]
) -> None:
    opaque = read(tmp_path / "opaque.tif", colors, space)
    picture = read(tmp_path / "a.tif", np.dstack([colors, *[alpha] * len(extra)]), space, extra)
    assert np.array_equal(picture.color, opaque.color)
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, alpha if alpha.dtype == picture.planes.dtype else ALPHA)
    others = () if extra == (2,) else ("of 5 channels only the first 4 were read",)  # counted after the conversion
    assert picture.notes == (*others, *opaque.notes)


@pytest.mark.parametrize("more", [1, 2])
def test_other_channels_of_lab_are_no_transparency(tmp_path: Path, more: int) -> None:
    opaque = read(tmp_path / "opaque.tif", LEVELS[..., :3], "cielab")
    picture = read(tmp_path / "a.tif", np.dstack([LEVELS[..., :3], *[ALPHA] * more]), "cielab", (0,) * more)
    assert np.array_equal(picture.planes[:], opaque.planes[:])
    assert picture.notes == (f"of {3 + more} channels only the first 3 were read", *opaque.notes)


@pytest.mark.parametrize(
    ("name", "space", "pixels", "extra"),
    [
        ("8-bit CIELab", "cielab", (LEVELS >> 8).astype(np.uint8), 2),
        ("premultiplied CIELab of more than 8 bits", "cielab", LEVELS, 1),
        ("premultiplied CMYK of more than 8 bits", "separated", np.dstack([LEVELS, ALPHA]), 1),
    ],
)
def test_what_libvips_reads_wrongly_is_refused(
    tmp_path: Path, name: str, space: str, pixels: np.ndarray, extra: int
) -> None:
    with pytest.raises(PictureError, match=f"is a TIFF in {name}; convert it to RGB first") as caught:
        read(tmp_path / "a.tif", pixels, space, (extra,))
    assert not isinstance(caught.value, DamagedError)
