"""EXIF and XMP as blocks of bytes, for codecs other than libvips's own."""

import struct
from typing import Any, cast

import pyvips

from mafdn.pictures.metadata import XMP, fields_of_exif, read_fields

EXIF_START = b"Exif\0\0"
"""What libvips, as in JPEG, puts before an EXIF block."""
PNG_SIGNATURE = 8
"""Bytes before the first chunk of a PNG file."""
TIFF_STARTS = (b"II*\0", b"MM\0*")
EXIF_DIRECTORY, WIDTH_TAG, HEIGHT_TAG = 0x8769, 0xA002, 0xA003
"""EXIF tags: the directory that states the picture's size, and that size."""
SHORT, LONG = 3, 4
"""EXIF types of unsigned integers."""


def fields_of_blocks(*, exif: bytes | None = None, xmp: bytes | None = None) -> dict[str, tuple[Any, Any]]:
    """Metadata for `Picture.fields`.

    Args:
        exif: A TIFF structure, with or without `Exif` before it; an invalid one is left out.
        xmp: A packet of XMP.
    """
    block = exif.removeprefix(EXIF_START) if exif else b""
    fields = fields_of_exif(EXIF_START + block) if block[:4] in TIFF_STARTS else {}
    if xmp:
        image = pyvips.Image.black(1, 1).copy()
        image.set_type(pyvips.GValue.blob_type, XMP, cast(Any, xmp))
        fields |= read_fields(image)
    return fields


def exif_of(image: pyvips.Image) -> bytes | None:
    """The EXIF block, a TIFF structure, that libvips would write for `image`; `None` if it has none."""
    names = [name for name in image.get_fields() if name.startswith("exif-") or name == "orientation"]
    if not any(name.startswith("exif-") for name in names):
        return None
    carrier = pyvips.Image.black(1, 1).copy(xres=image.xres, yres=image.yres)
    for name in names:
        carrier.set_type(image.get_typeof(name), name, image.get(name))
    data = bytes(carrier.pngsave_buffer())
    place = PNG_SIGNATURE
    while place + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        if name == b"eXIf":
            block = data[place + 8 : place + 8 + length].removeprefix(EXIF_START)
            return with_size(block, width=image.width, height=image.height)
        place += 12 + length
    return None


def xmp_of(image: pyvips.Image) -> bytes | None:
    """The XMP packet of `image`, or `None`."""
    return bytes(cast(Any, image.get(XMP))) if image.get_typeof(XMP) else None


def with_size(block: bytes, *, width: int, height: int) -> bytes:
    """An EXIF block with the picture's size corrected where it is stated; an invalid block is returned unchanged."""
    changed, order = bytearray(block), "<" if block[:2] == b"II" else ">"
    try:
        places = [struct.unpack_from(f"{order}I", block, 4)[0]]
        for place in places:
            for number in range(struct.unpack_from(f"{order}H", block, place)[0]):
                entry = place + 2 + 12 * number
                tag, kind, count = struct.unpack_from(f"{order}HHI", block, entry)
                if tag == EXIF_DIRECTORY and len(places) == 1:
                    places.append(struct.unpack_from(f"{order}I", block, entry + 8)[0])
                elif tag in (WIDTH_TAG, HEIGHT_TAG) and kind in (SHORT, LONG) and count == 1:
                    struct.pack_into(f"{order}HII", changed, entry + 2, LONG, 1, width if tag == WIDTH_TAG else height)
    except struct.error:
        return block
    return bytes(changed)
