"""PBM, PGM and PPM files of every kind."""

from pathlib import Path

import pytest

from mafdn.errors import PictureError
from mafdn.pictures.reading import open_picture


@pytest.mark.parametrize(
    ("start", "pixels"), [(b"P6 2 1 255\n", 6), (b"P5\n2 1\n65535\n", 4), (b"P4 9 1\n", 2), (b"P5 2 1 100\n", 2)]
)
def test_further_pictures_in_a_ppm_are_noted(tmp_path: Path, start: bytes, pixels: int) -> None:
    path = tmp_path / "in.ppm"
    one = start + bytes(pixels)
    for rest, told in ((b"", False), (b"\n", False), (b"trailing", False), (one, True), (b"\n" + one, True)):
        path.write_bytes(one + rest)
        assert ("only the first of several pictures was read" in open_picture(path).notes) == told, rest


def test_netpbm_of_every_kind(tmp_path: Path) -> None:
    files = {
        b"P1\n# a comment\n3 1\n1 0\n1\n": [0, 255, 0],
        b"P1 3 1 101": [0, 255, 0],
        b"P2 3 1 15 0 5 15": [0, 85, 255],
        b"P3 1 1 255 1 2 3": [1, 2, 3],
        b"P4 3 1\n\xa0": [0, 255, 0],
        b"P5 3 1 255\n\x00\x80\xff": [0, 128, 255],
        b"P5\n#x\n2 1\n65535\n\x01\x00\xff\xff": [256, 65_535],
        b"P6 1 1 1\n\x00\x01\x01": [0, 255, 255],
    }
    path = tmp_path / "in.pnm"
    for content, values in files.items():
        path.write_bytes(content)
        assert open_picture(path).color.ravel().tolist() == values, content
    for damaged in (
        b"P5\n",
        b"P5 0 1 255\n1",
        b"P5 3 1 99999\n123",
        b"P2 2 1 9 1 x",
        b"P5 2 1 7\n\x01\xff",
        b"P3 1 1 255 1 2",
    ):
        path.write_bytes(damaged)
        with pytest.raises(PictureError, match="damaged"):
            open_picture(path)
