"""The boxes of AVIF and HEIC files that libvips neither reports nor writes.

They state colors by number (`colr`), the display that HDR pictures were graded on (`mdcv`) and their brightness
(`clli`), each as a property of the main picture.
"""

import itertools
import struct
from dataclasses import dataclass, replace
from typing import BinaryIO

from mafdn.pictures.codecs.boxes import box as encoded_box
from mafdn.pictures.codecs.heif.av1 import find_colors, restated
from mafdn.pictures.codecs.heif.boxes import MOST_BOXES, boxes
from mafdn.pictures.codecs.heif.items import (
    Edits,
    Tree,
    associations,
    edited,
    item_types,
    locations,
    main_item,
    properties_of,
    shift_items,
    tree_of,
)
from mafdn.pictures.picture import CodePoints

GAIN_MAPS = (b"urn:com:apple:photo:2020:aux:hdrgainmap\0", b"urn:com:photo:aux:hdrgainmap\0")
"""Types of auxiliary pictures that are gain maps."""
LARGEST_NUMBER = 255
"""Largest number that stands for primaries or a transfer characteristic."""
STREAM_HEAD = 256
"""Bytes at the beginning of a stream in which it states its colors."""
BT601_MATRIX, FULL_RANGE = 6, 0x80
"""How libvips has RGB encoded, unless losslessly; for a `colr` box."""


@dataclass(frozen=True, kw_only=True)
class HeifColors:
    """The colors of the main picture as the boxes of a file state them."""

    code_points: CodePoints | None = None
    gain_map: bool = False
    """Whether the file holds a gain map, which makes the picture HDR on displays that can show it."""


def read_colors(file: BinaryIO, meta: bytes | None) -> HeifColors:
    """Read the colors that a file states; none if its boxes are damaged.

    Args:
        file: The file.
        meta: Its box `meta`, if it has one.
    """
    if not meta:
        return HeifColors()
    try:
        found = _colors(meta)
        if found.code_points is None:
            found = replace(found, code_points=_colors_of_stream(file, meta))
    except (struct.error, IndexError, ValueError):
        return HeifColors()
    return found


def state_colors(content: bytes, points: CodePoints) -> bytes:
    """State colors by number in a file that libvips has encoded.

    Args:
        content: The file.
        points: The colors of its main picture.

    Returns:
        The file with changed boxes and the same pixels.

    Raises:
        ValueError: The boxes are not such as libvips writes.
        struct.error: They are incomplete.
    """
    meta = next((box for box in boxes(content) if box.kind == b"meta"), None)
    if meta is None:
        raise ValueError("no meta box")
    tree = tree_of(content, meta)
    matrix, flags = BT601_MATRIX, FULL_RANGE
    edits: Edits = {}
    added = _properties(points)
    for place in properties_of(content, tree):
        if place.kind == b"colr" and content[place.content : place.content + 4] == b"nclx":
            _, _, matrix, flags = struct.unpack_from(">HHHB", content, place.content + 4)
            edits[place.content + 4, place.content + 8] = struct.pack(">HH", points.primaries, points.transfer)
            break
    else:
        numbers = struct.pack(">HHHB", points.primaries, points.transfer, matrix, flags)
        added.insert(0, encoded_box(b"colr", b"nclx" + numbers))
    count = sum(1 for _ in boxes(content, tree[b"ipco"].content, tree[b"ipco"].end))
    more = sum(map(len, added))
    edits[tree[b"ipco"].end, tree[b"ipco"].end] = b"".join(added)
    grown = _grow_associations(content, tree, edits, [count + 1 + n for n in range(len(added))])
    for kind, growth in ((b"ipco", more), (b"ipma", grown), (b"iprp", more + grown), (b"meta", more + grown)):
        box = tree[kind]
        edits[box.start, box.start + 4] = struct.pack(">I", box.end - box.start + growth)
    shift_items(content, tree[b"iloc"], meta.end, more + grown, edits)
    if b"av01" in item_types(content, tree):
        _restate_stream(content, tree, points, edits)
    return edited(content, edits)


def _colors(meta: bytes) -> HeifColors:
    tree = tree_of(meta, next(boxes(meta)))
    points: tuple[int, int] | None = None
    mastering: tuple[int, ...] | None = None
    levels: tuple[int, int] | None = None
    stated = list(properties_of(meta, tree))
    if all(box.kind != b"colr" for box in stated) and b"ipco" in tree:  # some state it for the tiles of a grid only
        stated += itertools.islice(boxes(meta, tree[b"ipco"].content, tree[b"ipco"].end), MOST_BOXES)
    for box in stated:
        if box.kind == b"colr" and meta[box.content : box.content + 4] == b"nclx":
            points = struct.unpack_from(">HH", meta, box.content + 4)
        elif box.kind == b"mdcv" and box.end - box.content >= 24:
            values = struct.unpack_from(">8H2I", meta, box.content)
            mastering = (*values[4:6], *values[:4], *values[6:])  # green, blue, red in the file
        elif box.kind == b"clli" and box.end - box.content >= 4:
            most, average = struct.unpack_from(">HH", meta, box.content)
            levels = most * 10_000, average * 10_000
    gain_map = any(name in meta for name in GAIN_MAPS) or b"tmap" in item_types(meta, tree)
    if points is None or max(points) > LARGEST_NUMBER:
        return HeifColors(gain_map=gain_map)
    return HeifColors(
        code_points=CodePoints(primaries=points[0], transfer=points[1], mastering=mastering, light_levels=levels),
        gain_map=gain_map,
    )


def _colors_of_stream(file: BinaryIO, meta: bytes) -> CodePoints | None:
    """The colors that the main picture's AV1 stream states; `None` if it does not, or is no such stream."""
    tree = tree_of(meta, next(boxes(meta)))
    if b"av01" not in item_types(meta, tree) or not {b"pitm", b"iloc"} <= set(tree):
        return None
    main = main_item(meta, tree)
    for found in locations(meta, tree[b"iloc"]):
        if found.item == main and found.in_file:
            file.seek(found.start)
            colors = find_colors(file.read(STREAM_HEAD))
            return CodePoints(primaries=colors.primaries, transfer=colors.transfer) if colors else None
    return None


def _properties(points: CodePoints) -> list[bytes]:
    """The boxes for mastering display and brightness."""
    added: list[bytes] = []
    if points.mastering is not None:
        values = points.mastering
        added.append(encoded_box(b"mdcv", struct.pack(">8H2I", *values[2:6], *values[:2], *values[6:])))
    if points.light_levels is not None:
        levels = (min(round(level / 10_000), 65_535) for level in points.light_levels)
        added.append(encoded_box(b"clli", struct.pack(">HH", *levels)))
    return added


def _grow_associations(content: bytes, tree: Tree, edits: Edits, indices: list[int]) -> int:
    """Associate the main picture with further properties; returns by how many bytes the box grows."""
    if not indices:
        return 0
    main, wide = main_item(content, tree), content[tree[b"ipma"].content + 3] & 1
    if not wide and indices[-1] > 0x7F:
        raise ValueError("too many properties")
    more = struct.pack(f">{len(indices)}{'H' if wide else 'B'}", *indices)
    for item, counted, end, old in associations(content, tree[b"ipma"]):
        if item == main:
            edits[counted, counted + 1] = bytes([len(old) + len(indices)])
            edits[end, end] = more
            return len(more)
    raise ValueError("the main picture has no properties")


def _restate_stream(content: bytes, tree: Tree, points: CodePoints, edits: Edits) -> None:
    """State the colors in the main picture's AV1 stream, too, if it states any."""
    main = main_item(content, tree)
    for found in locations(content, tree[b"iloc"]):
        if found.item == main and found.in_file:
            stream = content[found.start : found.start + STREAM_HEAD]
            colors = find_colors(stream)
            if colors and colors.replaceable:
                first, new = restated(stream, colors, primaries=points.primaries, transfer=points.transfer)
                edits[found.start + first, found.start + first + len(new)] = new
