"""Metadata of a picture, carried over to a picture of another size.

Orientation and size are stated in EXIF and again in XMP; both are made consistent with the pixels. What consists of
pixels itself, such as thumbnails and gain maps, is left out.
"""

import io
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyvips

from mafdn.pictures import photoshop, xmp
from mafdn.pictures.codecs.tiff.entries import EXIF as EXIF_DIRECTORY
from mafdn.pictures.codecs.tiff.entries import EXIF_MARK, Layout, read_layout, read_pointer, read_table, read_values
from mafdn.pictures.picture import PNG_SIGNATURE, Picture, PngChunk

ICC, EXIF, XMP, IPTC = "icc-profile-data", "exif-data", "xmp-data", "iptc-data"
"""libvips fields of whole blocks of metadata."""
BLOCKS = {EXIF: "EXIF", XMP: "XMP", IPTC: "IPTC"}
Fields = Mapping[str, tuple[Any, Any]]
"""Metadata by libvips field name: GType and value."""
TEXTS = ("exif-ifd", "image-description")
"""How the names of fields with single texts begin."""

RESOLUTION_TAGS = (0x011A, 0x011B)
"""EXIF tags of the horizontal and vertical print resolution."""
FOCAL_PLANE_TAGS = (0xA20E, 0xA20F)
"""EXIF tags of the pixels per unit of length on the sensor, across and down."""
FOCAL_PLANE_FIELDS = ("exif-ifd2-FocalPlaneXResolution", "exif-ifd2-FocalPlaneYResolution")
SUBJECT_TAGS = (0x9214, 0xA214)
"""EXIF tags of the place of the subject, in pixels of the picture as it was stored."""
SUBJECT_FIELDS = ("exif-ifd2-SubjectArea", "exif-ifd2-SubjectLocation")
RATIONAL = 5
"""EXIF type of a fraction."""


def read_fields(image: pyvips.Image, *, orientation: int = 1) -> dict[str, tuple[Any, Any]]:
    """EXIF, XMP, IPTC and texts of an image that has been turned upright, from this EXIF orientation."""
    kept: dict[str, tuple[Any, Any]] = {}
    for name in image.get_fields():
        stale = name.startswith("exif-ifd1-") or name.endswith("-Orientation")
        if name in BLOCKS or (name.startswith(TEXTS) and not stale):
            kept[name] = (image.get_typeof(name), image.get(name))
    if XMP in kept:
        kind, packet = kept[XMP]
        kept[XMP] = (kind, xmp.upright(packet, orientation))
    return kept


def listed(names: Sequence[str], *, most: int = 5) -> str:
    """Join names for a note; of many, only the first `most` are named."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def fields_of_exif(block: bytes) -> dict[str, tuple[Any, Any]]:
    """Fields as in `Picture.fields` of an EXIF block: the block, and the entries that libvips finds in it."""
    carrier = pyvips.Image.pngload_buffer(
        PNG_SIGNATURE  # a PNG file of one pixel: libvips parses only what it finds in a file
        + PngChunk(kind=b"IHDR", data=struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)).encoded()
        + PngChunk(kind=b"eXIf", data=block.removeprefix(EXIF_MARK)).encoded()
        + PngChunk(kind=b"IDAT", data=zlib.compress(b"\0\0")).encoded()
        + PngChunk(kind=b"IEND", data=b"").encoded()
    )
    fields = {name: value for name, value in read_fields(carrier).items() if name.startswith("exif-")}
    return {**fields, EXIF: (pyvips.GValue.blob_type, block)}


def with_new_size(
    picture: Picture, *, width: int, height: int, keep_print_size: bool = False, cropped: bool = False
) -> Picture:
    """Correct the sizes in the metadata of a picture that is going to be resized or cropped.

    Args:
        picture: The original.
        width: Columns of the result.
        height: Rows of the result.
        keep_print_size: Raise the print resolution with the size in pixels.
        cropped: Whether the result is a part of the picture, whose pixels keep their size.

    Returns:
        The picture with its pixels unchanged.
    """
    larger = (1.0, 1.0) if cropped else (width / picture.width, height / picture.height)
    finer = larger if keep_print_size else (1.0, 1.0)
    across, down = picture.pixels_per_mm
    return replace(
        picture,
        fields=resized(picture.fields, width=width, height=height, larger=larger, finer=finer),
        pixels_per_mm=(across * finer[0], down * finer[1]),
    )


def resized(
    fields: Fields, *, width: int, height: int, larger: tuple[float, float], finer: tuple[float, float] = (1.0, 1.0)
) -> dict[str, tuple[Any, Any]]:
    """Correct metadata for a picture that has been resized.

    EXIF's own PixelXDimension and PixelYDimension are set by libvips when it writes, and it leaves out the entries
    whose fields are missing.

    Args:
        fields: The metadata of the original.
        width: Columns of the result.
        height: Rows of the result.
        larger: Factors by which the picture was enlarged, horizontally and vertically.
        finer: Factors by which the print resolution is raised, likewise.

    Returns:
        The fields with sizes and resolutions corrected, and without thumbnails, what describes gain maps, and the place
        of the subject; others are unchanged.
    """
    changed = {name: value for name, value in fields.items() if name not in SUBJECT_FIELDS}
    if IPTC in changed:
        kind, block = changed[IPTC]
        changed[IPTC] = (kind, photoshop.corrected(block, finer))
    for name, number in (("ImageWidth", width), ("ImageLength", height)):
        field = f"exif-ifd0-{name}"
        if field in changed:
            changed[field] = (pyvips.GValue.gstr_type, f"{number} ({number}, Long, 1 components, 4 bytes)")
    for field, factor in zip(FOCAL_PLANE_FIELDS, larger, strict=True):
        found = re.match(r"([0-9]{1,10})/([1-9][0-9]{0,9}) ", str(changed.get(field, ("", ""))[1]))
        if found and factor != 1.0:
            above, below = xmp.multiplied(int(found[1]), int(found[2]), factor)
            text = f"{above}/{below} ({above / below:g}, Rational, 1 components, 8 bytes)"
            changed[field] = (pyvips.GValue.gstr_type, text)
    if EXIF in changed:
        kind, block = changed[EXIF]
        changed[EXIF] = (kind, _corrected(block, larger=larger, finer=finer))
    if EXIF in changed and finer != (1.0, 1.0):
        for axis in "XY":
            changed.pop(f"exif-ifd0-{axis}Resolution", None)  # so that libvips takes the value in the block
    if XMP in changed:
        kind, packet = changed[XMP]
        changed[XMP] = (kind, xmp.resized(packet, width=width, height=height, larger=larger, finer=finer))
    return changed


def _corrected(block: bytes, *, larger: tuple[float, float], finer: tuple[float, float]) -> bytes:
    """Multiply the resolutions of print and sensor in an EXIF block, and remove the place of the subject.

    libvips never changes a print resolution that the block already states. No values move, as maker notes may refer to
    places in the block. An unparsable block is returned unchanged.
    """
    factors: dict[int, float] = dict(zip((*RESOLUTION_TAGS, *FOCAL_PLANE_TAGS), (*finer, *larger), strict=True))
    start, changed = len(EXIF_MARK) if block.startswith(EXIF_MARK) else 0, bytearray(block)
    file = io.BytesIO(block[start:])
    try:
        layout = read_layout(file)
        places = [read_pointer(file, layout, layout.pointer_place)]
        for place in places:
            table = read_table(file, layout, place)
            for raw in table:
                if raw.tag == EXIF_DIRECTORY and len(places) == 1:
                    places.append(struct.unpack(layout.pointer, raw.held)[0])
                elif factors.get(raw.tag, 1.0) != 1.0 and (raw.kind, raw.count) == (RATIONAL, 1):
                    above, below = struct.unpack(f"{layout.order}II", read_values(file, layout, raw))
                    value = xmp.multiplied(above, below, factors[raw.tag])
                    struct.pack_into(f"{layout.order}II", changed, start + raw.values_at(layout), *value)
            if place != places[0]:
                _remove_entries(changed, start + place, [raw.tag in SUBJECT_TAGS for raw in table], layout)
    except (ValueError, struct.error, ZeroDivisionError):
        return block
    return bytes(changed)


def _remove_entries(block: bytearray, place: int, removed: Sequence[bool], layout: Layout) -> None:
    """Remove entries from the directory at `place` of an EXIF block; zeros follow it instead."""
    first, size = place + struct.calcsize(layout.counter), 4 + 2 * layout.inline
    end = first + size * len(removed)
    kept = [block[first + size * i : first + size * (i + 1)] for i, gone in enumerate(removed) if not gone]
    after = end + layout.inline  # the place of the next directory
    block[first:after] = b"".join(kept) + block[end:after] + bytes(size * sum(removed))
    struct.pack_into(layout.counter, block, place, len(kept))
