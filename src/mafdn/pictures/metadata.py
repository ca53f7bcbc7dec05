"""Metadata of a picture, carried over to a picture of another size.

Orientation and size are stated in EXIF and again in XMP; both are made consistent with the pixels. What consists of
pixels itself, such as thumbnails and gain maps, is left out.
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyvips

from mafdn.pictures.picture import Picture

ICC, EXIF, XMP, IPTC = "icc-profile-data", "exif-data", "xmp-data", "iptc-data"
"""libvips fields of whole blocks of metadata."""
BLOCKS = {EXIF: "EXIF", XMP: "XMP", IPTC: "IPTC"}
Fields = Mapping[str, tuple[Any, Any]]
"""Metadata by libvips field name: GType and value."""
TEXTS = ("exif-ifd", "png-comment-", "image-description")
"""How the names of fields with single texts begin."""

XMP_NUMBER = rb"""(\b%s(?:\s*=\s*["']|\s*>\s*))[0-9]+"""
XMP_RATIONAL = rb"""(\b%s(?:\s*=\s*["']|\s*>\s*))([0-9]+)/([0-9]+)"""
XMP_THUMBNAILS = re.compile(rb"<xmp:Thumbnails\b.*?</xmp:Thumbnails>\s*", re.DOTALL)
XMP_WIDTHS = (b"tiff:ImageWidth", b"exif:PixelXDimension")
XMP_HEIGHTS = (b"tiff:ImageLength", b"exif:PixelYDimension")

PHOTOSHOP = b"Photoshop 3.0\0"
"""How a block of Photoshop's resources begins."""
THUMBNAIL_RESOURCES, RESOLUTION_RESOURCE = (0x0409, 0x040C), 0x03ED
RESOLUTION_TAGS = (0x011A, 0x011B)
"""EXIF tags of the horizontal and vertical print resolution."""
RATIONAL = 5
"""EXIF type of a fraction."""


def read_fields(image: pyvips.Image) -> dict[str, tuple[Any, Any]]:
    """EXIF, XMP, IPTC and texts of an image that has been turned upright."""
    kept: dict[str, tuple[Any, Any]] = {}
    for name in image.get_fields():
        stale = name.startswith("exif-ifd1-") or name.endswith("-Orientation")
        if name in BLOCKS or (name.startswith(TEXTS) and not stale):
            kept[name] = (image.get_typeof(name), image.get(name))
    if XMP in kept:
        kind, packet = kept[XMP]
        kept[XMP] = (kind, _with_number(packet, (b"tiff:Orientation",), 1))
    return kept


def with_new_size(picture: Picture, *, width: int, height: int, keep_print_size: bool = False) -> Picture:
    """Correct the sizes in the metadata of a picture that is going to be resized.

    Args:
        picture: The original.
        width: Columns of the result.
        height: Rows of the result.
        keep_print_size: Raise the print resolution with the size in pixels.

    Returns:
        The picture with its pixels unchanged.
    """
    factors = (width / picture.width, height / picture.height) if keep_print_size else (1.0, 1.0)
    across, down = picture.pixels_per_mm
    return replace(
        picture,
        fields=resized(picture.fields, width=width, height=height, finer=factors),
        pixels_per_mm=(across * factors[0], down * factors[1]),
    )


def resized(
    fields: Fields, *, width: int, height: int, finer: tuple[float, float] = (1.0, 1.0)
) -> dict[str, tuple[Any, Any]]:
    """Correct metadata for a picture that has been resized.

    EXIF's own PixelXDimension and PixelYDimension are set by libvips when it writes.

    Args:
        fields: The metadata of the original.
        width: Columns of the result.
        height: Rows of the result.
        finer: Factors by which the print resolution is raised, horizontally and vertically.

    Returns:
        The fields with sizes and resolutions corrected and thumbnails removed; others are unchanged.
    """
    changed = dict(fields)
    if IPTC in changed:
        kind, block = changed[IPTC]
        changed[IPTC] = (kind, _corrected_photoshop(block, finer))
    for name, number in (("ImageWidth", width), ("ImageLength", height)):
        field = f"exif-ifd0-{name}"
        if field in changed:
            changed[field] = (pyvips.GValue.gstr_type, f"{number} ({number}, Long, 1 components, 4 bytes)")
    if EXIF in changed and finer != (1.0, 1.0):
        kind, block = changed[EXIF]
        changed[EXIF] = (kind, _with_finer_resolution(block, finer))
        for axis in "XY":
            changed.pop(f"exif-ifd0-{axis}Resolution", None)  # so that libvips takes the value in the block
    if XMP in changed:
        kind, packet = changed[XMP]
        packet = XMP_THUMBNAILS.sub(b"", packet)
        packet = _with_number(packet, XMP_WIDTHS, width)
        packet = _with_number(packet, XMP_HEIGHTS, height)
        for name, factor in zip((b"tiff:XResolution", b"tiff:YResolution"), finer, strict=True):
            packet = _with_multiplied(packet, name, factor)
        changed[XMP] = (kind, packet)
    return changed


def _with_number(packet: bytes, names: tuple[bytes, ...], number: int) -> bytes:
    """The XMP packet with these properties set to `number`, where they exist."""
    for name in names:
        packet = re.sub(XMP_NUMBER % name, rb"\g<1>%d" % number, packet)
    return packet


def _with_multiplied(packet: bytes, name: bytes, factor: float) -> bytes:
    """The XMP packet with a fraction multiplied by `factor`; unchanged to the byte if that is 1."""

    def multiply(found: re.Match[bytes]) -> bytes:
        above, below = int(found[2]), int(found[3])
        return found[0] if factor == 1 or not below else b"%s%d/1000" % (found[1], round(above / below * factor * 1000))

    return re.sub(XMP_RATIONAL % name, multiply, packet)


def _corrected_photoshop(block: bytes, finer: tuple[float, float]) -> bytes:
    """A block of Photoshop's resources (IPTC is one) without thumbnails, its print resolution multiplied.

    A damaged block is returned unchanged.
    """
    if not block.startswith(PHOTOSHOP):
        return block
    kept, place = [PHOTOSHOP], len(PHOTOSHOP)
    try:
        while place < len(block):
            mark, number, name = struct.unpack_from(">4sHB", block, place)
            start = place + 6 + (name // 2 + 1) * 2  # a name with its length is padded to an even number of bytes
            size = struct.unpack_from(">I", block, start)[0]
            end = start + 4 + size + size % 2
            if mark != b"8BIM" or start + 4 + size > len(block):
                return block
            resource = bytearray(block[place:end])
            if number == RESOLUTION_RESOURCE and size == 16:
                for at, factor in zip((0, 8), finer, strict=True):
                    at += start - place + 4
                    fixed = struct.unpack_from(">I", resource, at)[0]
                    struct.pack_into(">I", resource, at, min(round(fixed * factor), 2**32 - 1))
            if number not in THUMBNAIL_RESOURCES:
                kept.append(bytes(resource))
            place = end
    except struct.error:
        return block
    return b"".join(kept)


def _with_finer_resolution(block: bytes, factors: tuple[float, float]) -> bytes:
    """Multiply the resolution tags of an EXIF block; an unparsable block is returned unchanged.

    libvips never changes a resolution that the block already states.
    """
    changed = bytearray(block)
    start = 6 if block.startswith(b"Exif\0\0") else 0
    order = "<" if block[start : start + 2] == b"II" else ">"
    try:
        first = start + struct.unpack_from(f"{order}I", block, start + 4)[0]
        for number in range(struct.unpack_from(f"{order}H", block, first)[0]):
            tag, kind, count, place = struct.unpack_from(f"{order}HHII", block, first + 2 + 12 * number)
            if tag in RESOLUTION_TAGS and (kind, count) == (RATIONAL, 1):
                above, below = struct.unpack_from(f"{order}II", block, start + place)
                finer = round(above / below * factors[RESOLUTION_TAGS.index(tag)] * 1000)
                struct.pack_into(f"{order}II", changed, start + place, finer, 1000)
    except (struct.error, ZeroDivisionError):
        return block
    return bytes(changed)
