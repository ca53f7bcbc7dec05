"""Entries of TIFF directories: read from files and EXIF blocks, and written into them.

An EXIF block is a small TIFF file, so one reader and one writer serve both.
"""

import io
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

EXIF_MARK = b"Exif\0\0"
"""How an EXIF block begins; some writers leave it out."""
EXIF, GPS, INTEROPERABILITY = 34_665, 34_853, 40_965
"""Tags of the directories that hold metadata."""
SUBDIRECTORIES = {EXIF: (INTEROPERABILITY,), GPS: (), INTEROPERABILITY: ()}
"""Which directories each of them may hold."""
ASCII, LONG, UNDEFINED, IFD8 = 2, 4, 7, 18
"""Types of entries: a text, an unsigned integer of 4 bytes, bytes, a place of 8 bytes."""
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes in a value by entry type."""
FRACTIONS = (5, 10)
"""Entry types of two numbers of 4 bytes."""
BIG = 2**31
"""Bytes of pixels above which a file is written as BigTIFF and in tiles."""
BIG_ONLY = (16, 17, 18)
"""Entry types that only BigTIFF has."""
MOST_ENTRIES = 4_096
"""Entries in a directory, as in libtiff."""
LONGEST_ENTRY, MOST_BYTES = 1 << 22, 1 << 24
"""Bytes in an entry of metadata, and in all of a directory; what is beyond is left out."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The value of one entry."""

    kind: int
    """Type, a key of `SIZES`."""
    data: bytes = b""
    """The values in little-endian order."""
    children: "Mapping[int, Entry] | None" = None
    """The entries of the directory that this entry points to, by tag; `data` is then empty."""


Entries = Mapping[int, Entry]
"""Entries of a directory by tag."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How numbers are stored in a TIFF file."""

    order: str
    """Byte order as in `struct`: `<` or `>`."""
    big: bool
    """Whether it is BigTIFF."""

    @property
    def pointer(self) -> str:
        """The `struct` format of places and counts of values."""
        return f"{self.order}{'Q' if self.big else 'I'}"

    @property
    def counter(self) -> str:
        """The `struct` format of the number of entries."""
        return f"{self.order}{'Q' if self.big else 'H'}"

    @property
    def pointer_place(self) -> int:
        """Byte of a file at which the place of its first directory is stored."""
        return 8 if self.big else 4

    @property
    def inline(self) -> int:
        """Bytes of values that an entry itself holds, which is also the size of a pointer."""
        return 8 if self.big else 4


@dataclass(frozen=True, kw_only=True)
class RawEntry:
    """One entry as it is stored."""

    tag: int
    kind: int
    count: int
    held: bytes
    """The values, or a pointer to them; `Layout.inline` bytes."""
    place: int = 0
    """Byte of the file at which `held` is stored; 0 for an entry that is not from a file."""

    @property
    def size(self) -> int:
        """Bytes of the values; 0 if the type is unknown."""
        return SIZES.get(self.kind, 0) * self.count

    def values_at(self, layout: Layout) -> int:
        """The byte of the file at which the values are stored."""
        return self.place if self.size <= layout.inline else _pointer(layout, self.held)


def read_layout(file: BinaryIO) -> Layout:
    """Read how a TIFF file stores numbers; raises `ValueError` if it is no TIFF file."""
    start = read_part(file, 0, 4)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    number = struct.unpack(f"{order}H", start[2:])[0] if order else 0
    if order is None or number not in (42, 43):
        raise ValueError("it does not begin like TIFF")
    return Layout(order=order, big=number == 43)


def read_pointer(file: BinaryIO, layout: Layout, place: int) -> int:
    """Read the place of a directory from `place`; raises `ValueError` beyond the end of the file."""
    return struct.unpack(layout.pointer, read_part(file, place, layout.inline))[0]


def read_table(file: BinaryIO, layout: Layout, place: int) -> list[RawEntry]:
    """Read the entries of the directory at `place` as they are stored; raises `ValueError` if it is invalid."""
    counter, size = struct.calcsize(layout.counter), 4 + 2 * layout.inline
    count = struct.unpack(layout.counter, read_part(file, place, counter))[0]
    if not 0 < count <= MOST_ENTRIES:
        raise ValueError("one of its directories is invalid")
    table = read_part(file, place + counter, count * size)
    entries: list[RawEntry] = []
    for at in range(0, len(table), size):
        tag, kind = struct.unpack_from(f"{layout.order}HH", table, at)
        length = struct.unpack_from(layout.pointer, table, at + 4)[0]
        held = table[at + 4 + layout.inline : at + size]
        stored_at = place + counter + at + 4 + layout.inline
        entries.append(RawEntry(tag=tag, kind=kind, count=length, held=held, place=stored_at))
    return entries


def next_pointer_place(file: BinaryIO, layout: Layout, place: int) -> int:
    """The byte at which the directory at `place` stores the place of the next one; raises `ValueError` at the end."""
    counter = struct.calcsize(layout.counter)
    count = struct.unpack(layout.counter, read_part(file, place, counter))[0]
    return place + counter + count * (4 + 2 * layout.inline)


def read_values(file: BinaryIO, layout: Layout, raw: RawEntry) -> bytes:
    """Read the values of an entry in the byte order of the file; raises `ValueError` if they reach beyond its end."""
    return raw.held[: raw.size] if raw.size <= layout.inline else read_part(file, _pointer(layout, raw.held), raw.size)


def read_entry(file: BinaryIO, layout: Layout, raw: RawEntry, *, subdirectories: tuple[int, ...] = ()) -> Entry:
    """Read the values of an entry, and the directory that it points to if its tag is among `subdirectories`.

    Raises:
        ValueError: The entry is invalid or too long.
    """
    if not 0 < raw.size <= LONGEST_ENTRY:
        raise ValueError("one of its entries is invalid")
    data = read_values(file, layout, raw)
    data = _swapped(data, raw.kind) if layout.order == ">" else data
    if raw.tag in subdirectories:
        place = int.from_bytes(data[: SIZES[raw.kind]], "little")
        children, invalid = read_entries(file, layout, place, subdirectories=SUBDIRECTORIES[raw.tag])
        if not children:
            raise ValueError(f"one of its directories is invalid ({invalid} entries)")
        return Entry(kind=LONG, children=children)
    return Entry(kind=raw.kind, data=data)


def read_entries(
    file: BinaryIO, layout: Layout, place: int, *, subdirectories: tuple[int, ...]
) -> tuple[dict[int, Entry], int]:
    """Read the directory at `place` with all of its values.

    Returns:
        The valid entries by tag, and the number of invalid ones.

    Raises:
        ValueError: The directory is invalid as a whole.
    """
    entries: dict[int, Entry] = {}
    invalid = total = 0
    for raw in read_table(file, layout, place):
        try:
            if raw.tag in entries or total > MOST_BYTES:
                raise ValueError("a repeated entry, or too many")
            entries[raw.tag] = read_entry(file, layout, raw, subdirectories=subdirectories)
            total += len(entries[raw.tag].data)
        except ValueError:
            invalid += 1
    return entries, invalid


def parse_exif(block: bytes) -> tuple[dict[int, Entry], str]:
    """Parse an EXIF block.

    Returns:
        Its first directory, with the ones below it, and the byte order of the block.

    Raises:
        ValueError: The block is invalid.
    """
    file = io.BytesIO(block.removeprefix(EXIF_MARK))
    layout = read_layout(file)
    first = read_pointer(file, layout, layout.pointer_place)
    return read_entries(file, layout, first, subdirectories=(EXIF, GPS))[0], layout.order


def build_exif(entries: Entries, *, order: str = "<") -> bytes:
    """Build an EXIF block; entries of types that only BigTIFF has are left out."""
    layout = Layout(order=order, big=False)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    return EXIF_MARK + head + _encode([], entries, layout, place=8, after=0)


def extend_directory(file: BinaryIO, layout: Layout, pointer_place: int, added: Entries) -> int:
    """Add entries to a directory of a TIFF file; the new directory is written at its end.

    Args:
        file: The file, open for reading and writing.
        layout: Its layout.
        pointer_place: Byte at which the place of the directory is stored, which is changed to the new one.
        added: The new entries, which replace those with the same tags.

    Returns:
        The byte at which the new directory stores the place of the one after it.

    Raises:
        ValueError: The directory is invalid.
        OSError: From the system.
    """
    place = read_pointer(file, layout, pointer_place)
    table = read_table(file, layout, place)
    after = read_pointer(file, layout, next_pointer_place(file, layout, place))
    kept = [raw for raw in table if raw.tag not in added]
    end = file.seek(0, os.SEEK_END)
    new = end + end % 2
    file.write(bytes(end % 2) + _encode(kept, added, layout, place=new, after=after))
    file.seek(pointer_place)
    file.write(struct.pack(layout.pointer, new))
    number = len(kept) + sum(_fits(entry, layout) for entry in added.values())
    return new + struct.calcsize(layout.counter) + number * (4 + 2 * layout.inline)


def read_part(file: BinaryIO, place: int, length: int) -> bytes:
    """Read `length` bytes from `place` on; raises `ValueError` if they reach beyond the file."""
    if place + length > file.seek(0, os.SEEK_END):
        raise ValueError("it ends too early")
    file.seek(place)
    return file.read(length)


def _encode(raw: list[RawEntry], entries: Entries, layout: Layout, *, place: int, after: int) -> bytes:
    """A directory at `place`, which must be even, and everything that it points to."""
    entries = {tag: entry for tag, entry in entries.items() if _fits(entry, layout)}
    number = len(raw) + len(entries)
    start = place + struct.calcsize(layout.counter) + number * (4 + 2 * layout.inline) + layout.inline
    values, table = bytearray(), list(raw)
    for tag, entry in sorted(entries.items()):
        at = start + len(values)
        if entry.children is not None:
            values += _encode([], entry.children, layout, place=at, after=0)
            stored = replace(entry, data=struct.pack("<I", at))
            if layout.big:  # as a long pointer
                stored = Entry(kind=IFD8, data=struct.pack("<Q", at))
        else:
            stored = entry
        data = _swapped(stored.data, stored.kind) if layout.order == ">" else stored.data
        held = data.ljust(layout.inline, b"\0")
        if len(data) > layout.inline:
            held = struct.pack(layout.pointer, at)
            values += data
        values += bytes(len(values) % 2)
        table.append(RawEntry(tag=tag, kind=stored.kind, count=len(data) // SIZES[stored.kind], held=held))
    parts = [struct.pack(layout.counter, number)]
    for item in sorted(table, key=lambda item: item.tag):
        parts.append(struct.pack(f"{layout.order}HH", item.tag, item.kind))
        parts.append(struct.pack(layout.pointer, item.count) + item.held)
    return b"".join([*parts, struct.pack(layout.pointer, after), values])


def _fits(entry: Entry, layout: Layout) -> bool:
    return layout.big or entry.kind not in BIG_ONLY


def _pointer(layout: Layout, held: bytes) -> int:
    return struct.unpack(layout.pointer, held)[0]


def _swapped(data: bytes, kind: int) -> bytes:
    """`data` with the other byte order."""
    unit = 4 if kind in FRACTIONS else SIZES[kind]
    return np.frombuffer(data, f"u{unit}").byteswap().tobytes() if unit > 1 else data
