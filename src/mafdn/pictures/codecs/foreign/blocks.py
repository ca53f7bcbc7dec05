"""EXIF and XMP as blocks of bytes, for codecs other than libvips's own."""

import io
import struct
from typing import Any, cast

import pyvips

from mafdn.pictures.codecs.png_chunks import find_chunks
from mafdn.pictures.codecs.tiff.entries import EXIF, EXIF_MARK, LONG, read_layout, read_pointer, read_table
from mafdn.pictures.metadata import ICC, XMP, fields_of_exif, read_fields

TIFF_STARTS = (b"II*\0", b"MM\0*")
WIDTH_TAG, HEIGHT_TAG = 0xA002, 0xA003
"""EXIF tags of the picture's size."""
SHORT = 3
"""EXIF type of unsigned integers of 2 bytes."""


def fields_of_blocks(*, exif: bytes | None = None, xmp: bytes | None = None) -> dict[str, tuple[Any, Any]]:
    """Metadata for `Picture.fields`.

    Args:
        exif: A TIFF structure, with or without `Exif` before it; an invalid one is left out.
        xmp: A packet of XMP.
    """
    block = exif.removeprefix(EXIF_MARK) if exif else b""
    fields = fields_of_exif(EXIF_MARK + block) if block[:4] in TIFF_STARTS else {}
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
    file = io.BytesIO(carrier.pngsave_buffer())
    for kind, _, length in find_chunks(file):
        if kind == b"eXIf":
            block = file.read(length).removeprefix(EXIF_MARK)
            return with_size(block, width=image.width, height=image.height)
    return None


def icc_of(image: pyvips.Image) -> bytes | None:
    """The color profile of `image`, or `None`."""
    return bytes(cast(Any, image.get(ICC))) if image.get_typeof(ICC) else None


def xmp_of(image: pyvips.Image) -> bytes | None:
    """The XMP packet of `image`, or `None`."""
    return bytes(cast(Any, image.get(XMP))) if image.get_typeof(XMP) else None


def with_size(block: bytes, *, width: int, height: int) -> bytes:
    """An EXIF block with the picture's size corrected where it is stated; an invalid block is returned unchanged."""
    file, changed = io.BytesIO(block), bytearray(block)
    try:
        layout = read_layout(file)
        places = [read_pointer(file, layout, layout.pointer_place)]
        for place in places:
            for raw in read_table(file, layout, place):
                if raw.tag == EXIF and len(places) == 1:
                    places.append(struct.unpack(layout.pointer, raw.held)[0])
                elif raw.tag in (WIDTH_TAG, HEIGHT_TAG) and raw.kind in (SHORT, LONG) and raw.count == 1:
                    size = width if raw.tag == WIDTH_TAG else height
                    struct.pack_into(f"{layout.order}HII", changed, raw.place - 6, LONG, 1, size)
    except (ValueError, struct.error):
        return block
    return bytes(changed)
