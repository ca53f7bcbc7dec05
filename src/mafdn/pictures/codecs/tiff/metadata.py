"""Metadata in TIFF files that libvips leaves out: EXIF, GPS, IPTC and Photoshop's resources."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyvips

from mafdn.pictures.codecs.tiff.entries import (
    EXIF,
    GPS,
    LONG,
    SUBDIRECTORIES,
    UNDEFINED,
    Entry,
    Layout,
    RawEntry,
    build_exif,
    extend_directory,
    parse_exif,
    read_entry,
    read_layout,
    read_pointer,
    read_table,
)
from mafdn.pictures.libvips import field_of
from mafdn.pictures.metadata import EXIF as EXIF_FIELD
from mafdn.pictures.metadata import IPTC as IPTC_FIELD
from mafdn.pictures.metadata import fields_of_exif, listed
from mafdn.pictures.photoshop import block_of_tiff, parts_for_tiff

DESCRIPTION, IPTC, PHOTOSHOP = 270, 33_723, 34_377
EXIF_TEXTS = frozenset(
    {269, DESCRIPTION, 271, 272, 285, 305, 306, 315, 316, 18_246, 18_249, 33_432, *range(40_091, 40_096)}
)
"""Tags that TIFF stores in the directory itself and other formats in EXIF, with the same numbers."""
WIDTH, HEIGHT = 0xA002, 0xA003
"""EXIF tags of the size in pixels."""
READ_ELSEWHERE = frozenset({700, 34_675, EXIF, GPS, IPTC, PHOTOSHOP, *EXIF_TEXTS})
"""Tags of metadata that are carried over."""
KNOWN_LOSSES = {
    "GeoTIFF": (33_550, 33_920, 33_922, 34_264, 34_735, 34_736, 34_737),
    "GDAL": (42_112, 42_113),
    "ImageJ": (50_838, 50_839),
    "Photoshop layer": (37_724,),
    "DNG": tuple(range(50_706, 50_742)),
}
"""Tags of metadata about the stored pixels, which do not fit a picture of another size."""
PIXEL_TAGS = frozenset(
    {*range(254, 400), *range(512, 560), *range(32_953, 33_000), 33_421, 33_422, 34_925, 37_393, 50_674}
)
"""Tags that describe how pixels are stored; new ones are written."""
STALE_DESCRIPTIONS = (b'{"shape":', b"<?xml", b"<OME")
"""How descriptions begin that state the size of the stored pixels (by tifffile, and OME-XML)."""


def read_metadata(path: Path, *, place: int) -> tuple[dict[str, tuple[Any, Any]], list[str]]:
    """Read the metadata of one picture in a TIFF file.

    Args:
        path: The file.
        place: Byte at which its directory begins.

    Returns:
        EXIF and IPTC as fields as in `Picture.fields`, and notes on what is lost.

    Raises:
        ValueError: The directory is invalid.
        OSError: From the system.
    """
    with path.open("rb") as file:
        layout = read_layout(file)
        table = read_table(file, layout, place)
        exif, notes = _read_exif(file, layout, table)
        fields = fields_of_exif(build_exif(exif, order=layout.order)) if exif else {}
        block = _read_photoshop(file, layout, table)
    if block:
        fields[IPTC_FIELD] = (pyvips.GValue.blob_type, block)
    return fields, notes + _losses({raw.tag for raw in table})


def is_stale(description: bytes) -> bool:
    """Whether a description states the size of the stored pixels: tifffile's and OME-XML."""
    return description.lstrip().startswith(STALE_DESCRIPTIONS)


def write_metadata(path: Path, image: pyvips.Image) -> None:
    """Add the EXIF and IPTC data of `image` to the first picture of a TIFF file that libvips has written.

    Raises:
        ValueError: The file is invalid.
        OSError: From the system.
    """
    added: dict[int, Entry] = {}
    block = field_of(image, EXIF_FIELD, None)
    if block:
        added |= _exif_for_tiff(block, width=image.width, height=image.height)
    block = field_of(image, IPTC_FIELD, None)
    if block:
        iptc, others = parts_for_tiff(block)
        added |= {IPTC: Entry(kind=UNDEFINED, data=iptc)} if iptc else {}
        added |= {PHOTOSHOP: Entry(kind=UNDEFINED, data=others)} if others else {}
    if not added:
        return
    with path.open("rb+") as file:
        layout = read_layout(file)
        table = read_table(file, layout, read_pointer(file, layout, layout.pointer_place))
        written = {raw.tag for raw in table} - {IPTC}
        added = {tag: entry for tag, entry in added.items() if tag not in written}
        extend_directory(file, layout, layout.pointer_place, added)


def _read_exif(file: BinaryIO, layout: Layout, table: Sequence[RawEntry]) -> tuple[dict[int, Entry], list[str]]:
    """EXIF's first directory with the ones below it, and notes on damage."""
    exif: dict[int, Entry] = {}
    damaged: list[str] = []
    notes: list[str] = []
    for raw in table:
        if raw.tag not in EXIF_TEXTS and raw.tag not in (EXIF, GPS):
            continue
        try:
            entry = read_entry(file, layout, raw, subdirectories=(EXIF, GPS))
        except ValueError:
            damaged += [{EXIF: "EXIF", GPS: "GPS"}[raw.tag]] if raw.tag in SUBDIRECTORIES else []
            continue
        if raw.tag == DESCRIPTION and is_stale(entry.data):
            notes += ["its OME-XML data were left out"] if b"<OME" in entry.data else []
        else:
            exif.setdefault(raw.tag, entry)
    if damaged:
        notes.append(f"its {' and '.join(damaged)} data are damaged: they were left out")
    return exif, notes


def _read_photoshop(file: BinaryIO, layout: Layout, table: Sequence[RawEntry]) -> bytes | None:
    """IPTC data and Photoshop's resources as one block as JPEG files have it; `None` without either."""
    found: dict[int, bytes] = {}
    for raw in table:
        if raw.tag in (IPTC, PHOTOSHOP):
            try:
                data = read_entry(file, layout, raw).data
            except ValueError:
                continue
            if raw.tag == IPTC and raw.kind == LONG and not data.startswith(b"\x1c"):  # swapped when it was written
                data = np.frombuffer(data, "<u4").byteswap().tobytes()
            found[raw.tag] = data
    return block_of_tiff(found.get(IPTC, b""), found.get(PHOTOSHOP, b""))


def _losses(tags: set[int]) -> list[str]:
    lost = [name for name, known in KNOWN_LOSSES.items() if tags.intersection(known)]
    named = READ_ELSEWHERE.union(PIXEL_TAGS, *KNOWN_LOSSES.values())
    others = listed([str(tag) for tag in sorted(tags - named)])
    notes = [f"its {' and '.join(lost)} data were left out"] if lost else []
    return notes + ([f"its other metadata (tags {others}) were left out"] if others else [])


def _exif_for_tiff(block: bytes, *, width: int, height: int) -> dict[int, Entry]:
    """The entries of an EXIF block for the directory of a TIFF file; none if the block is invalid."""
    try:
        entries, _ = parse_exif(block)
    except ValueError:
        return {}
    unfit = PIXEL_TAGS.union(READ_ELSEWHERE, *KNOWN_LOSSES.values()) - EXIF_TEXTS
    kept = {tag: entry for tag, entry in entries.items() if entry.children or tag not in unfit}
    inner = kept[EXIF].children if EXIF in kept else None
    if inner is not None:
        size = {tag: Entry(kind=LONG, data=n.to_bytes(4, "little")) for tag, n in ((WIDTH, width), (HEIGHT, height))}
        kept[EXIF] = Entry(kind=LONG, children={**inner, **size})
    return kept
