"""Photoshop's resources, in which JPEG files store IPTC data, and TIFF files and Photoshop documents more."""

import struct
from collections.abc import Iterator

PHOTOSHOP = b"Photoshop 3.0\0"
"""How a block of resources begins in a JPEG file."""
IPTC_RESOURCE, RESOLUTION_RESOURCE = 0x0404, 0x03ED
THUMBNAIL_RESOURCES = (0x0409, 0x040C)


def read_resources(block: bytes, place: int = 0) -> Iterator[tuple[int, bytes, int, int]]:
    """The resources from `place` on: number, all bytes, where its data begin in them, and their size.

    Raises:
        ValueError: The block is damaged; `struct.error` where it ends too early.
    """
    while place < len(block):
        mark, number, name = struct.unpack_from(">4sHB", block, place)
        start = 6 + (name // 2 + 1) * 2  # a name with its length is padded to an even number of bytes
        size = struct.unpack_from(">I", block, place + start)[0]
        if mark != b"8BIM" or place + start + 4 + size > len(block):
            raise ValueError("not a resource")
        end = place + start + 4 + size + size % 2
        yield number, block[place:end], start + 4, size
        place = end


def corrected(block: bytes, finer: tuple[float, float]) -> bytes:
    """Remove thumbnails from a block and multiply its print resolution.

    Args:
        block: Resources as in a JPEG file. A damaged block is returned unchanged.
        finer: Factors of the horizontal and vertical resolution.
    """
    if not block.startswith(PHOTOSHOP):
        return block
    kept = [PHOTOSHOP]
    try:
        for number, resource, start, size in read_resources(block, len(PHOTOSHOP)):
            changed = bytearray(resource)
            if number == RESOLUTION_RESOURCE and size == 16:
                for at, factor in zip((start, start + 8), finer, strict=True):
                    fixed = struct.unpack_from(">I", changed, at)[0]
                    struct.pack_into(">I", changed, at, min(round(fixed * factor), 2**32 - 1))
            if number not in THUMBNAIL_RESOURCES:
                kept.append(bytes(changed))
    except (struct.error, ValueError):
        return block
    return b"".join(kept)


def block_of_tiff(iptc: bytes, resources: bytes) -> bytes | None:
    """Join what a TIFF file stores apart, IPTC data and resources, to a block as in a JPEG file.

    IPTC data among the resources are replaced. Damaged resources are left out.

    Returns:
        The block; `None` if there is nothing.
    """
    kept: list[bytes] = []
    try:
        for number, resource, _, _ in read_resources(resources):
            if number != IPTC_RESOURCE or not iptc:
                kept.append(resource)
    except (struct.error, ValueError):
        kept = []
    if iptc:
        kept.append(struct.pack(">4sHHI", b"8BIM", IPTC_RESOURCE, 0, len(iptc)) + iptc + bytes(len(iptc) % 2))
    return PHOTOSHOP + b"".join(kept) if kept else None


def parts_for_tiff(block: bytes) -> tuple[bytes, bytes]:
    """Split a block as in a JPEG file into what a TIFF file stores apart.

    Returns:
        The IPTC data, and all resources if there are others; each may be empty.
    """
    if not block.startswith(PHOTOSHOP):
        return (block, b"") if block.startswith(b"\x1c") else (b"", b"")
    iptc, others = b"", False
    try:
        for number, resource, start, size in read_resources(block, len(PHOTOSHOP)):
            if number == IPTC_RESOURCE:
                iptc = resource[start : start + size]
            else:
                others = True
    except (struct.error, ValueError):
        return b"", b""
    return iptc, block[len(PHOTOSHOP) :] if others else b""
