"""The boxes of AVIF and HEIC files (ISO/IEC 23008-12) that libvips neither reports nor writes.

They state colors by number (`colr`), the display that HDR pictures were graded on (`mdcv`) and their brightness
(`clli`), each as a property of the main picture.
"""

import itertools
import struct
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from mafdn.pictures.codecs.boxes import box as encoded_box
from mafdn.pictures.codecs.heif.av1 import find_colors, restated
from mafdn.pictures.picture import CodePoints

LONGEST_BOX = 1 << 24
"""Most bytes of a box that describes pictures; the pixels are elsewhere."""
MOST_BOXES = 10_000
"""Boxes at the top of a file, or items, that are searched."""
GAIN_MAPS = (b"urn:com:apple:photo:2020:aux:hdrgainmap\0", b"urn:com:photo:aux:hdrgainmap\0")
"""Types of auxiliary pictures that are gain maps."""
STREAM_HEAD = 256
"""Bytes at the beginning of a stream in which it states its colors."""
BT601_MATRIX, FULL_RANGE = 6, 0x80
"""How libvips has RGB encoded, unless losslessly; for a `colr` box."""


@dataclass(frozen=True)
class Box:
    """A box in a buffer: where it begins, where its content does, and where it ends."""

    kind: bytes
    start: int
    content: int
    end: int


@dataclass(frozen=True, kw_only=True)
class HeifColors:
    """The colors of the main picture as the boxes of a file state them."""

    code_points: CodePoints | None = None
    gain_map: bool = False
    """Whether the file holds a gain map, which makes the picture HDR on displays that can show it."""


def read_colors(path: Path) -> HeifColors:
    """Read the colors that the boxes of a file state; none if they are damaged."""
    with path.open("rb") as file:
        meta = read_top_box(file, b"meta")
        try:
            found = _colors(meta) if meta else HeifColors()
            if meta and found.code_points is None:
                points = _colors_of_stream(file, meta)
                found = replace(found, code_points=points)
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
    tree = _tree(content, meta)
    matrix, flags = BT601_MATRIX, FULL_RANGE
    edits: dict[tuple[int, int], bytes] = {}
    added = _properties(points)
    for place in _properties_of(content, tree):
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
    _shift_items(content, tree[b"iloc"], meta.end, more + grown, edits)
    if b"av01" in _item_types(content, tree):
        _restate_stream(content, tree, points, edits)
    parts: list[bytes] = []
    place = 0
    for (start, end), value in sorted(edits.items()):
        parts += [content[place:start], value]
        place = end
    return b"".join([*parts, content[place:]])


def boxes(content: bytes, start: int = 0, end: int | None = None) -> Generator[Box]:
    """The boxes in a part of a buffer; raises `ValueError` if one reaches beyond it."""
    end = len(content) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, start)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", content, start + 8)[0], 16
        size = size or end - start
        if size < head or start + size > end:
            raise ValueError("a box reaches beyond its place")
        yield Box(kind, start, start + head, start + size)
        start += size


def read_top_box(file: BinaryIO, kind: bytes) -> bytes | None:
    """The first box of this kind at the top of a file; `None` if there is none or it is too long."""
    for _ in range(MOST_BOXES):
        head = file.read(8)
        if len(head) < 8:
            return None
        size, found = struct.unpack(">I4s", head)
        if size == 1:
            head += file.read(8)
            size = int.from_bytes(head[8:]) if len(head) == 16 else 0
        if found == kind:
            return head + file.read(size - len(head)) if len(head) < size <= LONGEST_BOX else None
        if size < len(head):
            return None
        file.seek(size - len(head), 1)
    return None


def _tree(content: bytes, meta: Box) -> Mapping[bytes, Box]:
    """The boxes inside of `meta` by kind, with those inside of `iprp`."""
    tree = {box.kind: box for box in boxes(content, meta.content + 4, meta.end)}
    if b"iprp" in tree:
        tree |= {box.kind: box for box in boxes(content, tree[b"iprp"].content, tree[b"iprp"].end)}
    return {**tree, b"meta": meta}


def _colors(meta: bytes) -> HeifColors:
    tree = _tree(meta, next(boxes(meta)))
    points: tuple[int, int] | None = None
    mastering: tuple[int, ...] | None = None
    levels: tuple[int, int] | None = None
    stated = list(_properties_of(meta, tree))
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
    gain_map = any(name in meta for name in GAIN_MAPS) or b"tmap" in _item_types(meta, tree)
    if points is None:
        return HeifColors(gain_map=gain_map)
    return HeifColors(
        code_points=CodePoints(primaries=points[0], transfer=points[1], mastering=mastering, light_levels=levels),
        gain_map=gain_map,
    )


def _colors_of_stream(file: BinaryIO, meta: bytes) -> CodePoints | None:
    """The colors that the main picture's AV1 stream states; `None` if it does not, or is no such stream."""
    tree = _tree(meta, next(boxes(meta)))
    if b"av01" not in _item_types(meta, tree) or not {b"pitm", b"iloc"} <= set(tree):
        return None
    main = _main_item(meta, tree)
    for found in _locations(meta, tree[b"iloc"]):
        if found.item == main and found.in_file:
            file.seek(found.start)
            colors = find_colors(file.read(STREAM_HEAD))
            return CodePoints(primaries=colors.primaries, transfer=colors.transfer) if colors else None
    return None


def _properties_of(content: bytes, tree: Mapping[bytes, Box]) -> Generator[Box]:
    """The properties of the main picture."""
    if not {b"pitm", b"ipco", b"ipma"} <= set(tree):
        return
    every = list(itertools.islice(boxes(content, tree[b"ipco"].content, tree[b"ipco"].end), MOST_BOXES))
    main = _main_item(content, tree)
    for item, _, _, indices in _associations(content, tree[b"ipma"]):
        if item == main:
            yield from (every[index - 1] for index in indices if 0 < index <= len(every))


def _main_item(content: bytes, tree: Mapping[bytes, Box]) -> int:
    place = tree[b"pitm"].content
    return struct.unpack_from(">H" if content[place] == 0 else ">I", content, place + 4)[0]


def _associations(content: bytes, ipma: Box) -> Generator[tuple[int, int, int, list[int]]]:
    """Each item with properties: its number, where their count is, where they end, and their indices from 1."""
    version, wide = content[ipma.content], content[ipma.content + 3] & 1
    place = ipma.content + 8
    for _ in range(min(struct.unpack_from(">I", content, ipma.content + 4)[0], MOST_BOXES)):
        item = struct.unpack_from(">I" if version else ">H", content, place)[0]
        counted = place + (4 if version else 2)
        count = content[counted]
        end = counted + 1 + count * (2 if wide else 1)
        if end > ipma.end:
            raise ValueError("associations reach beyond their box")
        kind, mask = (f">{count}H", 0x7FFF) if wide else (f">{count}B", 0x7F)
        yield item, counted, end, [index & mask for index in struct.unpack_from(kind, content, counted + 1)]
        place = end


def _item_types(content: bytes, tree: Mapping[bytes, Box]) -> set[bytes]:
    """The types of all items."""
    if b"iinf" not in tree:
        return set()
    start = tree[b"iinf"].content
    first = start + (6 if content[start] == 0 else 8)
    entries = itertools.islice(boxes(content, first, tree[b"iinf"].end), MOST_BOXES)
    found: set[bytes] = set()
    for box in entries:
        wide = content[box.content] > 2
        found.add(content[box.content + (10 if wide else 8) : box.content + (14 if wide else 12)])
    return found


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


def _grow_associations(
    content: bytes, tree: Mapping[bytes, Box], edits: dict[tuple[int, int], bytes], indices: list[int]
) -> int:
    """Associate the main picture with further properties; returns by how many bytes the box grows."""
    if not indices:
        return 0
    main, wide = _main_item(content, tree), content[tree[b"ipma"].content + 3] & 1
    if not wide and indices[-1] > 0x7F:
        raise ValueError("too many properties")
    more = struct.pack(f">{len(indices)}{'H' if wide else 'B'}", *indices)
    for item, counted, end, old in _associations(content, tree[b"ipma"]):
        if item == main:
            edits[counted, counted + 1] = bytes([len(old) + len(indices)])
            edits[end, end] = more
            return len(more)
    raise ValueError("the main picture has no properties")


@dataclass(frozen=True, kw_only=True)
class _Number:
    """A number in a file and its place there."""

    place: int
    size: int
    value: int


@dataclass(frozen=True, kw_only=True)
class _Location:
    """Where the data of an item are."""

    item: int
    in_file: bool
    base: _Number
    extents: list[_Number]
    """Offset of each part from `base`."""

    @property
    def start(self) -> int:
        """Where the first part begins."""
        return self.base.value + (self.extents[0].value if self.extents else 0)


def _locations(content: bytes, iloc: Box) -> Generator[_Location]:
    """Where the data of all items are."""
    version, sizes = content[iloc.content], content[iloc.content + 4 : iloc.content + 6]
    offset, length, base, index = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4, sizes[1] & 15 if version else 0
    wide = 2 if version < 2 else 4
    place = iloc.content + 6

    def take(size: int) -> _Number:
        nonlocal place
        place += size
        if place > iloc.end:
            raise ValueError("places of items reach beyond their box")
        return _Number(place=place - size, size=size, value=int.from_bytes(content[place - size : place]))

    for _ in range(min(take(wide).value, MOST_BOXES)):
        item, method = take(wide).value, take(2).value & 15 if version else 0
        take(2)  # the file, which is this one
        start, extents = take(base), list[_Number]()
        for _ in range(take(2).value):
            take(index)
            extents.append(take(offset))
            take(length)
        yield _Location(item=item, in_file=method == 0, base=start, extents=extents)


def _shift_items(content: bytes, iloc: Box, after: int, growth: int, edits: dict[tuple[int, int], bytes]) -> None:
    """Correct the places of items that are stored from `after` on, `growth` bytes further behind."""
    for found in _locations(content, iloc):
        if not found.in_file:
            continue
        moved = [found.base] if found.base.value >= after else []
        moved = moved or [part for part in found.extents if found.base.value + part.value >= after]
        for number in moved:
            edits[number.place, number.place + number.size] = (number.value + growth).to_bytes(number.size)


def _restate_stream(
    content: bytes, tree: Mapping[bytes, Box], points: CodePoints, edits: dict[tuple[int, int], bytes]
) -> None:
    """State the colors in the main picture's AV1 stream, too, if it states any."""
    main = _main_item(content, tree)
    for found in _locations(content, tree[b"iloc"]):
        if found.item == main and found.in_file:
            stream = content[found.start : found.start + STREAM_HEAD]
            colors = find_colors(stream)
            if colors and colors.replaceable:
                first, new = restated(stream, colors, primaries=points.primaries, transfer=points.transfer)
                edits[found.start + first, found.start + first + len(new)] = new
