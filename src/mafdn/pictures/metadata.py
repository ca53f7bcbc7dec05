"""What a picture file says beside its pixels, carried over to a picture of another size.

Orientation and size are stated in EXIF and again in XMP; both are made to agree with the pixels. A thumbnail shows the
old picture and is left out; so are a gain map and whatever else is made of pixels.

Public names: :data:`ICC`, :data:`EXIF`, :data:`XMP`, :data:`IPTC`, :data:`BLOCKS`, :data:`TAGS`, :func:`read_fields`,
:func:`fields_of_tags`, :func:`resized`.
"""

import re
import struct
from collections.abc import Mapping
from typing import Any, cast

import pyvips

ICC, EXIF, XMP, IPTC = "icc-profile-data", "exif-data", "xmp-data", "iptc-data"
BLOCKS = {EXIF: "EXIF", XMP: "XMP", IPTC: "IPTC"}
Fields = Mapping[str, tuple[Any, Any]]
TEXTS = ("exif-ifd", "png-comment-", "image-description")
XMP_VALUE = rb"""(\b%s(?:\s*=\s*["']|\s*>\s*))[0-9]+"""
WIDTHS = (b"tiff:ImageWidth", b"exif:PixelXDimension")
XMP_RATIONAL = rb"""(\b%s(?:\s*=\s*["']|\s*>\s*))([0-9]+)/([0-9]+)"""
XMP_THUMBNAILS = re.compile(rb"<xmp:Thumbnails\b.*?</xmp:Thumbnails>\s*", re.DOTALL)
PHOTOSHOP = b"Photoshop 3.0\0"
THUMBNAILS, SHOWN_AT = (0x0409, 0x040C), 0x03ED  # Photoshop's numbers; the latter is the resolution
RESOLUTIONS, RATIONAL = (0x011A, 0x011B), 5
TAGS = {271: "Make", 272: "Model", 305: "Software", 306: "DateTime", 315: "Artist", 33_432: "Copyright"}
"""Texts that a TIFF file has in itself, and other formats in EXIF under the same number."""
ASCII = 2
HEIGHTS = (b"tiff:ImageLength", b"exif:PixelYDimension")


def read_fields(image: pyvips.Image) -> dict[str, tuple[Any, Any]]:
    """EXIF, XMP, IPTC and texts of an upright picture by libvips name: type and value."""
    kept: dict[str, tuple[Any, Any]] = {}
    for name in image.get_fields():
        stale = name.startswith("exif-ifd1-") or name.endswith("-Orientation")
        if name in BLOCKS or (name.startswith(TEXTS) and not stale):
            kept[name] = (image.get_typeof(name), image.get(name))
    if XMP in kept:
        kind, packet = kept[XMP]
        kept[XMP] = (kind, _replaced(packet, (b"tiff:Orientation",), 1))
    return kept


def fields_of_tags(texts: Mapping[int, bytes]) -> dict[str, tuple[Any, Any]]:
    """The texts of a TIFF file by tag as EXIF: the block, and the fields that libvips would make of it."""
    texts = {tag: texts[tag].rstrip(b"\0") + b"\0" for tag in TAGS if texts.get(tag, b"").strip(b"\0")}
    if not texts:
        return {}
    table, values, place = b"", b"", 8 + 2 + 12 * len(texts) + 4
    for tag, text in texts.items():
        held = text.ljust(4, b"\0") if len(text) <= 4 else struct.pack("<I", place + len(values))
        values += text if len(text) > 4 else b""
        table += struct.pack("<HHI", tag, ASCII, len(text)) + held
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(texts)) + table + bytes(4) + values
    carrier = pyvips.Image.black(1, 1).copy()
    carrier.set_type(pyvips.GValue.blob_type, EXIF, cast(Any, block))
    carrier = pyvips.Image.jpegload_buffer(carrier.jpegsave_buffer())
    names = [f"exif-ifd0-{TAGS[tag]}" for tag in texts]
    read = {name: (carrier.get_typeof(name), carrier.get(name)) for name in names if carrier.get_typeof(name)}
    return {EXIF: (pyvips.GValue.blob_type, block), **read}


def resized(
    fields: Fields, *, width: int, height: int, finer: tuple[float, float] = (1.0, 1.0)
) -> dict[str, tuple[Any, Any]]:
    """``fields`` for a picture that now has this size; fields that state no size stay as they are.

    The print resolution becomes ``finer`` times as high, horizontally and vertically.

    EXIF's own PixelXDimension and PixelYDimension are set by libvips when it writes.
    """
    changed = dict(fields)
    if IPTC in changed:
        kind, block = changed[IPTC]
        changed[IPTC] = (kind, _resources(block, finer))
    for name, number in (("ImageWidth", width), ("ImageLength", height)):
        field = f"exif-ifd0-{name}"
        if field in changed:
            changed[field] = (pyvips.GValue.gstr_type, f"{number} ({number}, Long, 1 components, 4 bytes)")
    if EXIF in changed and finer != (1.0, 1.0):
        kind, block = changed[EXIF]
        changed[EXIF] = (kind, _finer(block, finer))
        for axis in "XY":
            changed.pop(f"exif-ifd0-{axis}Resolution", None)  # libvips takes what the block says
    if XMP in changed:
        kind, packet = changed[XMP]
        packet = XMP_THUMBNAILS.sub(b"", packet)
        packet = _replaced(packet, WIDTHS, width)
        packet = _replaced(packet, HEIGHTS, height)
        for name, factor in zip((b"tiff:XResolution", b"tiff:YResolution"), finer, strict=True):
            packet = _multiplied(packet, name, factor)
        changed[XMP] = (kind, packet)
    return changed


def _replaced(packet: bytes, names: tuple[bytes, ...], number: int) -> bytes:
    for name in names:
        packet = re.sub(XMP_VALUE % name, rb"\g<1>%d" % number, packet)
    return packet


def _multiplied(packet: bytes, name: bytes, factor: float) -> bytes:
    """The packet with a rational number so many times as large; a factor of 1 leaves it as it is written."""

    def times(found: re.Match[bytes]) -> bytes:
        above, below = int(found[2]), int(found[3])
        return found[0] if factor == 1 or not below else b"%s%d/1000" % (found[1], round(above / below * factor * 1000))

    return re.sub(XMP_RATIONAL % name, times, packet)


def _resources(block: bytes, finer: tuple[float, float]) -> bytes:
    """Photoshop's block, which has IPTC in it, without thumbnails and at another resolution; as it is if damaged."""
    if not block.startswith(PHOTOSHOP):
        return block
    kept, place = [PHOTOSHOP], len(PHOTOSHOP)
    try:
        while place < len(block):
            mark, number, name = struct.unpack_from(">4sHB", block, place)
            start = place + 6 + (name // 2 + 1) * 2  # a name and its length are an even number of bytes
            size = struct.unpack_from(">I", block, start)[0]
            end = start + 4 + size + size % 2
            if mark != b"8BIM" or start + 4 + size > len(block):
                return block
            resource = bytearray(block[place:end])
            if number == SHOWN_AT and size == 16:
                for at, factor in zip((0, 8), finer, strict=True):
                    at += start - place + 4
                    fixed = struct.unpack_from(">I", resource, at)[0]
                    struct.pack_into(">I", resource, at, min(round(fixed * factor), 2**32 - 1))
            if number not in THUMBNAILS:
                kept.append(bytes(resource))
            place = end
    except struct.error:
        return block
    return b"".join(kept)


def _finer(block: bytes, factors: tuple[float, float]) -> bytes:
    """An EXIF block with its print resolution so many times as high; as it is where it cannot be understood.

    libvips never changes a resolution that the block already states.
    """
    changed = bytearray(block)
    start = 6 if block.startswith(b"Exif\0\0") else 0
    order = "<" if block[start : start + 2] == b"II" else ">"
    try:
        first = start + struct.unpack_from(f"{order}I", block, start + 4)[0]
        for number in range(struct.unpack_from(f"{order}H", block, first)[0]):
            tag, kind, count, place = struct.unpack_from(f"{order}HHII", block, first + 2 + 12 * number)
            if tag in RESOLUTIONS and (kind, count) == (RATIONAL, 1):
                above, below = struct.unpack_from(f"{order}II", block, start + place)
                finer = round(above / below * factors[RESOLUTIONS.index(tag)] * 1000)
                struct.pack_into(f"{order}II", changed, start + place, finer, 1000)
    except (struct.error, ZeroDivisionError):
        return block
    return bytes(changed)
