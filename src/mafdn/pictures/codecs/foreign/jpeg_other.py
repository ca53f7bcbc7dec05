"""JPEG files that libvips opens but cannot decode, recognized by their frame header; imagecodecs decodes some."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.codecs.foreign.arrays import decoder_errors, image_of, over_full_range, require, with_three_axes
from mafdn.pictures.codecs.jpeg_segments import read_segments

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of frame headers."""
UNSUPPORTED = {
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "a hierarchical JPEG"),
    0xCB: "a lossless JPEG with arithmetic coding",
}
"""Kinds of frames that nothing at hand decodes."""


@dataclass(frozen=True)
class Frame:
    """The header of a JPEG frame."""

    marker: int
    bits: int
    """Bits per channel."""
    channels: int


def read_frame(path: Path) -> Frame | None:
    """The first frame header of a JPEG file; `None` if there is none."""
    with path.open("rb") as file:
        for marker, _ in read_segments(file):
            if marker in FRAMES:
                content = file.read(6)
                return Frame(marker, content[0], content[5]) if len(content) == 6 else None
    return None


def check_frame(path: Path, frame: Frame | None) -> None:
    """Raise `PictureError` for kinds of JPEG that are not read."""
    if frame is None:
        return
    if frame.marker in UNSUPPORTED:
        raise PictureError(f"{printable(path)} is {UNSUPPORTED[frame.marker]}; convert it to PNG first")
    if frame.bits > 8 and frame.channels not in (1, 3):
        raise PictureError(f"{printable(path)} is a JPEG of {frame.bits} bits in CMYK; convert it to RGB first")


def decode_deep(path: Path, header: pyvips.Image, frame: Frame) -> pyvips.Image:
    """Decode a JPEG file of more than 8 bits per channel.

    Args:
        path: The file.
        header: What libvips opened, with the metadata.
        frame: Its frame header.

    Returns:
        The pixels in 16 bits, over the full range, with the metadata.

    Raises:
        MissingPackageError: imagecodecs is not installed.
        DamagedError: The file is damaged.
    """
    codecs = require("imagecodecs", path, f"is a JPEG of {frame.bits} bits per channel")
    with decoder_errors(path):
        values = with_three_axes(codecs.jpeg8_decode(path.read_bytes()))
        if values.shape[2] not in (1, 3):
            raise ValueError("its channels are invalid")
        pixels = over_full_range(values.astype(np.uint16), frame.bits)
    image = image_of(pixels).copy(xres=header.xres, yres=header.yres)
    for name in header.get_fields():
        if name == "orientation" or name.startswith(("exif-", "xmp-", "iptc-", "icc-profile", "resolution-")):
            image.set_type(header.get_typeof(name), name, header.get(name))
    return image
