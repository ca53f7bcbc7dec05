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

from mafdn.pictures import photoshop
from mafdn.pictures.codecs.tiff.entries import EXIF_MARK, read_layout, read_pointer, read_table, read_values
from mafdn.pictures.picture import PNG_SIGNATURE, Picture, PngChunk

ICC, EXIF, XMP, IPTC = "icc-profile-data", "exif-data", "xmp-data", "iptc-data"
"""libvips fields of whole blocks of metadata."""
BLOCKS = {EXIF: "EXIF", XMP: "XMP", IPTC: "IPTC"}
Fields = Mapping[str, tuple[Any, Any]]
"""Metadata by libvips field name: GType and value."""
TEXTS = ("exif-ifd", "image-description")
"""How the names of fields with single texts begin."""

XMP_NUMBER = rb"""(\b%s(?:\s*=\s*["']|\s*>\s*))[0-9]+"""
XMP_RATIONAL = rb"""(\b%s(?:\s*=\s*["']|\s*>\s*))([0-9]+)/([0-9]+)"""
XMP_THUMBNAILS = re.compile(rb"<xmp:Thumbnails\b.*?</xmp:Thumbnails>\s*", re.DOTALL)
COMPANION_SPACES = {
    b"http://ns.adobe.com/hdr-gain-map/1.0/": rb"\w+",
    b"http://ns.apple.com/HDRGainMap/1.0/": rb"\w+",
    b"http://ns.google.com/photos/1.0/container/": rb"\w+",
    b"http://ns.google.com/photos/1.0/camera/": rb"(?:MotionPhoto|MicroVideo)\w*",
}
"""Namespaces of XMP, and their properties, that describe gain maps and videos stored behind the picture."""
XMP_WIDTHS = (b"tiff:ImageWidth", b"exif:PixelXDimension")
XMP_HEIGHTS = (b"tiff:ImageLength", b"exif:PixelYDimension")

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
        The fields with sizes and resolutions corrected, and without thumbnails and what describes gain maps; others
        are unchanged.
    """
    changed = dict(fields)
    if IPTC in changed:
        kind, block = changed[IPTC]
        changed[IPTC] = (kind, photoshop.corrected(block, finer))
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
        packet = _without_companions(XMP_THUMBNAILS.sub(b"", packet))
        packet = _with_number(packet, XMP_WIDTHS, width)
        packet = _with_number(packet, XMP_HEIGHTS, height)
        for name, factor in zip((b"tiff:XResolution", b"tiff:YResolution"), finer, strict=True):
            packet = _with_multiplied(packet, name, factor)
        changed[XMP] = (kind, packet)
    return changed


def _without_companions(packet: bytes) -> bytes:
    """The XMP packet without what describes gain maps and videos that the file had behind its picture."""
    for space, names in COMPANION_SPACES.items():
        for prefix in set(re.findall(rb"""xmlns:(\w+)\s*=\s*["']%s["']""" % re.escape(space), packet)):
            name = rb"%s:%s" % (prefix, names)
            packet = re.sub(rb"""\s%s\s*=\s*(?:"[^"]*"|'[^']*')""" % name, b"", packet)
            packet = re.sub(rb"<(%s)(?:\s[^>]*)?(?:/>|(?<!/)>.*?</\1\s*>)\s*" % name, b"", packet, flags=re.DOTALL)
    return packet


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


def _with_finer_resolution(block: bytes, factors: tuple[float, float]) -> bytes:
    """Multiply the resolution tags of an EXIF block; an unparsable block is returned unchanged.

    libvips never changes a resolution that the block already states.
    """
    start, changed = len(EXIF_MARK) if block.startswith(EXIF_MARK) else 0, bytearray(block)
    file = io.BytesIO(block[start:])
    try:
        layout = read_layout(file)
        for raw in read_table(file, layout, read_pointer(file, layout, layout.pointer_place)):
            if raw.tag in RESOLUTION_TAGS and (raw.kind, raw.count) == (RATIONAL, 1):
                above, below = struct.unpack(f"{layout.order}II", read_values(file, layout, raw))
                finer = round(above / below * factors[RESOLUTION_TAGS.index(raw.tag)] * 1000)
                struct.pack_into(f"{layout.order}II", changed, start + raw.values_at(layout), finer, 1000)
    except (ValueError, struct.error, ZeroDivisionError):
        return block
    return bytes(changed)
