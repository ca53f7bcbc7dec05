"""JPEG files: how many pictures they hold."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import pyvips

from mafdn.pictures.reading import open_picture

COLORS = pyvips.Image.new_from_array(np.full((8, 8, 3), (200, 90, 30), np.uint8), interpretation="srgb")


def mpo(path: Path, kinds: Sequence[int], *, order: str = "<", entries: bytes | None = None) -> Path:
    """A JPEG file whose index lists pictures of these types."""
    listed = b"".join(struct.pack(f"{order}4I", kind, 1000, 0, 0) for kind in kinds) if entries is None else entries
    mark = b"II" if order == "<" else b"MM"
    index = mark + struct.pack(f"{order}HIH", 42, 8, 1) + struct.pack(f"{order}HHII", 0xB002, 7, len(listed), 26)
    segment = b"MPF\0" + index + bytes(4) + listed
    other = b"\xff\xe2\0\x06ICC_"
    content = COLORS.jpegsave_buffer()
    start = content[:2] + other + b"\xff\xff\xff\xe2" + struct.pack(">H", len(segment) + 2)
    path.write_bytes(start + segment + content[2:] + COLORS.jpegsave_buffer())
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_several_pictures_in_a_jpeg_are_noted(tmp_path: Path, order: str) -> None:
    stereo = mpo(tmp_path / "stereo.jpg", [0x2003_0000 + 0x02_0002, 0x02_0002], order=order)
    assert open_picture(stereo).notes == ("only the first of 2 pictures was read",)
    preview = mpo(tmp_path / "preview.jpg", [0x2003_0000, 0x01_0001, 0x01_0002], order=order)
    assert open_picture(preview).notes == (), "thumbnails are no loss"
    assert open_picture(mpo(tmp_path / "odd.jpg", [], entries=b"odd", order=order)).notes == ()
