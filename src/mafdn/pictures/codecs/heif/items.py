"""The items of AVIF and HEIC files: pictures and their metadata, their properties, and where their data are."""

import itertools
import struct
from collections.abc import Generator, Mapping
from dataclasses import dataclass

from mafdn.pictures.codecs.heif.boxes import MOST_BOXES, Box, boxes

Tree = Mapping[bytes, Box]
"""Boxes by kind."""
ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
"""Type of auxiliary pictures that are transparency."""
Edits = dict[tuple[int, int], bytes]
"""New bytes by the first and last place of those that they replace."""


def tree_of(content: bytes, meta: Box) -> Tree:
    """The boxes inside of `meta` by kind, with those inside of `iprp`."""
    tree = {box.kind: box for box in boxes(content, meta.content + 4, meta.end)}
    if b"iprp" in tree:
        tree |= {box.kind: box for box in boxes(content, tree[b"iprp"].content, tree[b"iprp"].end)}
    return {**tree, b"meta": meta}


def properties_of(content: bytes, tree: Tree, number: int | None = None) -> Generator[Box]:
    """The properties of the item of this number; of the main picture if it is `None`."""
    if not {b"pitm", b"ipco", b"ipma"} <= set(tree):
        return
    every = list(itertools.islice(boxes(content, tree[b"ipco"].content, tree[b"ipco"].end), MOST_BOXES))
    wanted = main_item(content, tree) if number is None else number
    for item, _, _, indices in associations(content, tree[b"ipma"]):
        if item == wanted:
            yield from (every[index - 1] for index in indices if 0 < index <= len(every))


def main_item(content: bytes, tree: Tree) -> int:
    """The number of the main picture."""
    place = tree[b"pitm"].content
    return struct.unpack_from(">H" if content[place] == 0 else ">I", content, place + 4)[0]


def alpha_item(content: bytes, tree: Tree) -> int | None:
    """The number of the picture with the transparency of the main one; `None` if there is none."""
    if b"iref" not in tree:
        return None
    main, place = main_item(content, tree), tree[b"iref"].content
    kind = ">I" if content[place] else ">H"
    width = struct.calcsize(kind)
    for box in boxes(content, place + 4, tree[b"iref"].end):
        item = struct.unpack_from(kind, content, box.content)[0]
        count = struct.unpack_from(">H", content, box.content + width)[0]
        targets = [struct.unpack_from(kind, content, box.content + width + 2 + width * n)[0] for n in range(count)]
        if box.kind == b"auxl" and main in targets:
            about = (content[p.content + 4 : p.end] for p in properties_of(content, tree, item) if p.kind == b"auxC")
            if any(kind.startswith(ALPHA) for kind in about):
                return item
    return None


def associations(content: bytes, ipma: Box) -> Generator[tuple[int, int, int, list[int]]]:
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


def item_types(content: bytes, tree: Tree) -> set[bytes]:
    """The types of all items."""
    return {kind for _, kind, _ in item_entries(content, tree)}


def item_entries(content: bytes, tree: Tree) -> Generator[tuple[int, bytes, Box]]:
    """The number and the type of each item, and the box that states them."""
    if b"iinf" not in tree:
        return
    start = tree[b"iinf"].content
    first = start + (6 if content[start] == 0 else 8)
    for box in itertools.islice(boxes(content, first, tree[b"iinf"].end), MOST_BOXES):
        wide = content[box.content] > 2
        place = box.content + (8 if wide else 6) + 2
        yield int.from_bytes(content[box.content + 4 : place - 2]), content[place : place + 4], box


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number in a file and its place there."""

    place: int
    size: int
    value: int


@dataclass(frozen=True, kw_only=True)
class Location:
    """Where the data of an item are."""

    item: int
    in_file: bool
    base: Number
    extents: list[Number]
    """Offset of each part from `base`."""
    lengths: list[int]
    """Bytes of each part; 0 for all that follow."""

    @property
    def start(self) -> int:
        """Where the first part begins."""
        return self.base.value + (self.extents[0].value if self.extents else 0)


def locations(content: bytes, iloc: Box) -> Generator[Location]:
    """Where the data of all items are."""
    version, sizes = content[iloc.content], content[iloc.content + 4 : iloc.content + 6]
    offset, length, base, index = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4, sizes[1] & 15 if version else 0
    wide = 2 if version < 2 else 4
    place = iloc.content + 6

    def take(size: int) -> Number:
        nonlocal place
        place += size
        if place > iloc.end:
            raise ValueError("places of items reach beyond their box")
        return Number(place=place - size, size=size, value=int.from_bytes(content[place - size : place]))

    for _ in range(min(take(wide).value, MOST_BOXES)):
        item, method = take(wide).value, take(2).value & 15 if version else 0
        take(2)  # the file, which is this one
        start, extents, lengths = take(base), list[Number](), list[int]()
        for _ in range(take(2).value):
            take(index)
            extents.append(take(offset))
            lengths.append(take(length).value)
        yield Location(item=item, in_file=method == 0, base=start, extents=extents, lengths=lengths)


def shift_items(content: bytes, iloc: Box, after: int, growth: int, edits: Edits) -> None:
    """Correct the places of items that are stored from `after` on, `growth` bytes further behind."""
    for found in locations(content, iloc):
        if not found.in_file:
            continue
        moved = [found.base] if found.base.value >= after else []
        moved = moved or [part for part in found.extents if found.base.value + part.value >= after]
        for number in moved:
            edits[number.place, number.place + number.size] = (number.value + growth).to_bytes(number.size)


def edited(content: bytes, edits: Edits) -> bytes:
    """The content with the edits made."""
    parts: list[bytes] = []
    place = 0
    for (start, end), value in sorted(edits.items()):
        parts += [content[place:start], value]
        place = end
    return b"".join([*parts, content[place:]])
