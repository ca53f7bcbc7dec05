"""All combinations of formats, channels, depths, profiles and orientations, upscaled by 2."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import pyvips

import mafdn
from mafdn.inference import Engine
from mafdn.pictures.formats import FORMATS
from mafdn.pictures.reading import open_picture
from mafdn.pixels import imresize
from tests.support import Repeat, upscale_file

HEIGHT, WIDTH = 12, 20
PROFILES = {"sRGB": "sRGB-v4.icc", "P3": "DisplayP3-v4.icc", "Adobe": "AdobeCompat-v4.icc", "none": None}
GREY_PROFILE = "sGrey-v4.icc"
GVALUE = pyvips.GValue


@dataclass(frozen=True)
class Case:
    format: str
    channels: str
    bits: int

    def __str__(self) -> str:
        return f"{self.format}-{self.channels}-{self.bits}"


CASES = [
    *(Case("JPEG", channels, 8) for channels in ("grey", "rgb")),
    *(Case("PNG", channels, bits) for channels in ("grey", "rgb", "rgba") for bits in (8, 16)),
    Case("PNG", "palette", 8),
    *(Case("WebP", channels, 8) for channels in ("rgb", "rgba")),
    *(Case("TIFF", channels, bits) for channels in ("grey", "rgb", "rgba") for bits in (8, 16)),
    *(Case("AVIF", channels, bits) for channels in ("rgb", "rgba") for bits in (8, 10, 12)),
]


def source_pixels(channels: str, bits: int) -> np.ndarray:
    """Soft ramps; the alpha has opaque, clear and half-clear parts. (H, W, C) over the range of 8 or 16 bits."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] / np.array([HEIGHT, WIDTH])[:, None, None]
    planes = [0.2 + 0.6 * x, 0.3 + 0.4 * y, 0.8 - 0.5 * x * y]
    if channels == "grey":
        planes = planes[:1]
    if channels == "rgba":
        planes.append(np.clip(2.5 - 4 * x, 0, 1))
    if channels == "palette":
        planes = [np.rint(p * 5) / 5 for p in planes]
    top = 255 if bits == 8 else 65_535
    return np.rint(np.dstack(planes) * top).astype(np.uint8 if bits == 8 else np.uint16)


def turned(image: pyvips.Image, orientation: int) -> pyvips.Image:
    """``image`` as it is stored under ``orientation``."""
    return {
        1: lambda: image,
        2: image.fliphor,
        3: image.rot180,
        4: image.flipver,
        5: lambda: image.rot90().fliphor(),
        6: image.rot270,
        7: lambda: image.rot270().fliphor(),
        8: image.rot90,
    }[orientation]().copy()


def write_source(path: Path, case: Case, profile: bytes | None, orientation: int) -> None:
    pixels = source_pixels(case.channels, case.bits)
    deep, grey = pixels.dtype == np.uint16, case.channels == "grey"
    space = ("grey16" if deep else "b-w") if grey else ("rgb16" if deep else "srgb")
    image = turned(pyvips.Image.new_from_array(pixels, interpretation=space), orientation)
    fields: dict[str, str | bytes] = {"xmp-data": XMP % (orientation, image.width, image.height)}
    if case.format != "TIFF":
        fields["exif-ifd0-Artist"] = "Nobody (Nobody, ASCII, 7 components, 7 bytes)"
        fields["exif-ifd0-ImageWidth"] = f"{image.width} (0, Long, 1 components, 4 bytes)"
    if profile:
        fields["icc-profile-data"] = profile
    for name, value in fields.items():
        image.set_type(GVALUE.blob_type if isinstance(value, bytes) else GVALUE.gstr_type, name, cast(Any, value))
    image.set_type(GVALUE.gint_type, "orientation", orientation)
    if case.format == "JPEG":
        image.jpegsave(str(path), Q=100, subsample_mode="off")
    elif case.format == "PNG":
        image.pngsave(str(path), palette=case.channels == "palette")
    elif case.format == "WebP":
        image.webpsave(str(path), lossless=True, exact=True)
    elif case.format == "TIFF":
        image.tiffsave(str(path))
    else:
        image.heifsave(str(path), compression="av1", bitdepth=case.bits, lossless=True, effort=0)


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d" tiff:ImageWidth="%d"'
    b' dc:title="kept"><exif:PixelYDimension>%d</exif:PixelYDimension></rdf:Description></x:xmpmeta>'
)


def lab(color: np.ndarray, profile: bytes | None) -> np.ndarray:
    """The mean of an (H, W, 1 or 3) picture in CIELAB, by its profile."""
    image = pyvips.Image.new_from_array(
        color,
        interpretation={(1, 1): "b-w", (3, 1): "srgb", (1, 2): "grey16", (3, 2): "rgb16"}[
            color.shape[2], color.itemsize
        ],
    )
    if profile:
        image.set_type(GVALUE.blob_type, "icc-profile-data", cast(Any, profile))
        values = image.icc_import(embedded=True, pcs="lab")
    else:
        values = image.colourspace("lab")
    return values.numpy().reshape(-1, 3).mean(0)


def check(
    case: Case, profile_name: str, orientation: int, icc: Path, folder: Path, *, engine: Engine | None = None
) -> None:
    wanted = PROFILES[profile_name]
    if case.channels == "grey" and wanted:
        wanted = GREY_PROFILE
    profile = (icc / wanted).read_bytes() if wanted else None
    # libvips keeps what it has opened by name, so every file has its own.
    source = folder / f"{profile_name}{orientation}{FORMATS[case.format].suffixes[0]}"
    write_source(source, case, profile, orientation)
    report = upscale_file(source, engine=engine or Repeat(), overwrite=True)
    result = open_picture(report.target)
    before = open_picture(source)
    what = f"{case}, {profile_name}, orientation {orientation}"
    assert (result.width, result.height) == report.new_size == (2 * WIDTH, 2 * HEIGHT), what
    assert result.format.name == case.format, what
    assert result.bits == report.bits == case.bits, what
    assert result.color.shape[2] == (1 if case.channels == "grey" else 3), what
    assert (result.alpha is not None) == (case.channels == "rgba"), what
    assert result.profile == profile, what
    # The tags, as libvips finds them in the file.
    image = pyvips.Image.new_from_file(str(report.target))
    names = image.get_fields()
    assert "orientation" not in names or image.get("orientation") == 1, what
    assert image.get("xmp-data") == XMP % (1, 2 * WIDTH, 2 * HEIGHT), what
    if case.format != "TIFF":
        assert str(image.get("exif-ifd0-Artist")).startswith("Nobody"), what
        assert str(image.get("exif-ifd0-ImageWidth")).startswith(f"{2 * WIDTH} "), what
        assert str(image.get("exif-ifd2-PixelXDimension")).startswith(f"{2 * WIDTH} "), what
        assert str(image.get("exif-ifd2-PixelYDimension")).startswith(f"{2 * HEIGHT} "), what
    # The colors, against a plain resize of the upright source.
    visible = slice(None) if before.alpha is None else slice(0, WIDTH // 2 - 4)
    plain = imresize(before.color, shape=(2 * HEIGHT, 2 * WIDTH))
    both = [lab(np.ascontiguousarray(c[:, visible]), profile) for c in (plain, result.color)]
    assert np.linalg.norm(both[0] - both[1]) < 1, what
    assert not report.notes, what
    if before.alpha is not None:
        assert result.alpha is not None
        top = np.iinfo(str(result.alpha.dtype)).max
        assert (result.alpha[:, : WIDTH // 2] == top).all(), what
        assert (result.alpha[:, -WIDTH // 2 :] == 0).all(), what


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_orientation_and_every_profile(case: Case, icc: Path, tmp_path: Path) -> None:
    for orientation, profile in zip(range(1, 9), itertools.cycle(PROFILES)):
        check(case, profile, orientation, icc, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_combination(case: Case, icc: Path, tmp_path: Path) -> None:
    for orientation, profile in itertools.product(range(1, 9), PROFILES):
        check(case, profile, orientation, icc, tmp_path)


@pytest.mark.parametrize("case", [Case("PNG", "rgba", 16), Case("JPEG", "rgb", 8), Case("TIFF", "grey", 16)], ids=str)
def test_the_network_keeps_colors_too(case: Case, icc: Path, tmp_path: Path) -> None:
    engine = mafdn.load("x2", engine=mafdn.EngineOptions(threads=1)).engine
    check(case, "P3", 6, icc, tmp_path, engine=engine)
