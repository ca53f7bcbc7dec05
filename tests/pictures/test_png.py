"""PNG files: what their chunks state that libvips does not report."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import pyvips

from mafdn.pictures.codecs.png import read_chunks
from mafdn.pictures.reading import open_picture

COLORS = pyvips.Image.new_from_array(np.full((8, 8, 3), (200, 90, 30), np.uint8), interpretation="srgb")
ONE_OF_THREE = "only the first of 3 frames was read"


def png(
    path: Path, *chunks: tuple[bytes, bytes], image: pyvips.Image = COLORS, after: bool = False, keep: int = 0
) -> Path:
    """A PNG file with these chunks before its pixels, or after them."""
    content = image.pngsave_buffer(keep=keep)
    place = len(content) - 12 if after else 33
    added = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    path.write_bytes(content[:place] + added + content[place:])
    return path


def test_an_animated_png_is_noted(tmp_path: Path) -> None:
    frames = (b"acTL", struct.pack(">2I", 3, 0))
    assert open_picture(png(tmp_path / "moving.png", frames)).notes == (ONE_OF_THREE,)
    assert open_picture(png(tmp_path / "late.png", frames, after=True)).notes == ()
    assert open_picture(png(tmp_path / "still.png", (b"acTL", struct.pack(">2I", 1, 0)))).notes == ()


SRGB = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
ADOBE = (31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000)
GREY = pyvips.Image.new_from_array(np.full((8, 8), 90, np.uint8), interpretation="b-w")


def gamma(value: int) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", value)


def points(values: Sequence[int]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *values)


@pytest.mark.parametrize(
    ("chunks", "what"),
    [
        ([gamma(45_455)], None),
        ([gamma(45_455), points(SRGB)], None),
        ([gamma(45_000), points([value + 100 for value in SRGB[:2]] + list(SRGB[2:]))], None),
        ([gamma(100_000)], "gAMA"),
        ([gamma(45_455), points(ADOBE)], "cHRM"),
        ([gamma(55_000), points(ADOBE)], "gAMA and cHRM"),
        ([(b"sRGB", b"\0"), gamma(55_000), points(ADOBE)], None),
        ([(b"gAMA", b"odd")], None),
    ],
)
def test_gamma_and_primaries_other_than_srgb_are_noted(
    tmp_path: Path, chunks: list[tuple[bytes, bytes]], what: str | None
) -> None:
    picture = open_picture(png(tmp_path / "in.png", *chunks))
    assert picture.notes == ((f"its colors ({what}, no profile) were taken as sRGB",) if what else ())
    grey = open_picture(png(tmp_path / "grey.png", *chunks, image=GREY))
    assert len(grey.notes) == ("gAMA" in (what or "")), "grey has no primaries"
    profiled = COLORS.copy()
    profile = pyvips.Operation.call("profile_load", "p3")
    profiled.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    path = png(tmp_path / "profile.png", *chunks, image=profiled, keep=8)
    assert open_picture(path).notes == ()
    assert open_picture(path).profile == bytes(profile)


def test_colors_that_a_png_states_by_number(tmp_path: Path) -> None:
    p3 = open_picture(png(tmp_path / "p3.png", (b"cICP", bytes([12, 13, 0, 1])), gamma(100_000)))
    assert p3.profile == bytes(pyvips.Operation.call("profile_load", "p3"))
    assert p3.notes == ()
    grey = open_picture(png(tmp_path / "grey.png", (b"cICP", bytes([12, 13, 0, 1])), image=GREY))
    assert (grey.profile, grey.notes) == (None, ())
    for number, name in ((16, "PQ"), (18, "HLG")):
        bright = open_picture(png(tmp_path / f"{name}.png", (b"cICP", bytes([9, number, 0, 1]))))
        assert bright.code_points is not None
        assert (bright.code_points.hdr, bright.profile, bright.notes) == (name, None, ())
    usual = open_picture(png(tmp_path / "usual.png", (b"cICP", bytes([1, 13, 0, 1]))))
    assert (usual.code_points, usual.notes) == (None, ())


def test_chunks_that_lie_about_their_length_end_the_search(tmp_path: Path) -> None:
    path = png(tmp_path / "in.png")
    content = path.read_bytes()
    path.write_bytes(content[:33] + b"\xff\xff\xff\xfftEXt" + content[33:])
    assert set(read_chunks(path)) == {b"IHDR", b"tEXt"}
    path.write_bytes(content[:33] + b"\0\0\0\0none\0\0\0\0" * 20_000 + content[33:])
    assert set(read_chunks(path)) == {b"IHDR", b"none"}
