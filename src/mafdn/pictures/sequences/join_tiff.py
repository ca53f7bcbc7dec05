"""Joining TIFF files to one of several pages.

Each file is appended as it is, all offsets in it are moved, and its directory is written anew at its end.
"""

import os
import shutil
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mafdn.pictures.codecs.tiff.directory import PAGE_NUMBER, STRIP_OFFSETS, SUBFILE, TILE_OFFSETS
from mafdn.pictures.codecs.tiff.entries import LONG, SIZES, SUBDIRECTORIES
from mafdn.pictures.picture import Picture

SHORT, LONG8 = 3, 16
"""Types of entries: unsigned integers of 2 and 8 bytes."""
PIXEL_OFFSETS = (STRIP_OFFSETS, TILE_OFFSETS)
"""Tags with the offsets of strips and tiles."""
DIRECTORY_OFFSETS = (330, *SUBDIRECTORIES)
"""Tags with the offsets of further directories: SubIFDs, EXIF, GPS, interoperability."""
PAGE = 2
"""Bit of NewSubfileType: a page of several."""
Entry = tuple[int, int, int, bytes]
"""Tag, type, number of values, and their bytes or offset as stored in the directory."""


class TiffJoiner:
    """Writes a file page by page; all pages are TIFF, or all BigTIFF, in this machine's byte order.

    Args:
        file: The result, open for reading and writing.
        count: Number of the pages.

    Attributes:
        notes: What the format could not store: nothing.
    """

    def __init__(self, file: BinaryIO, count: int) -> None:
        self._file, self._count, self._number = file, count, 0
        self._link = 0
        """Where the offset of the next page's directory belongs."""
        self.notes: tuple[str, ...] = ()

    def add(self, part: Path, picture: Picture) -> None:
        """Append the next page, a TIFF file of one."""
        end = self._file.seek(0, os.SEEK_END)
        start = 0 if end == 0 else self._file.write(bytes(-end % 16)) + end
        with part.open("rb") as file:
            shutil.copyfileobj(file, self._file, 2**20)
        page = _Part(self._file, start)
        entries = page.moved(page.first)
        entries = page.with_values(entries, {SUBFILE: (LONG, [PAGE]), PAGE_NUMBER: (SHORT, self._numbers(picture))})
        place, link = page.append_directory(entries)
        page.write_offset(self._link or page.head_link, place)
        self._link = link
        self._number += 1

    def finish(self) -> None:
        """Nothing is left to be written."""

    def _numbers(self, picture: Picture) -> list[int]:
        stated = picture.page_number
        return list(stated) if stated else [min(self._number, 65_535), min(self._count, 65_535)]


class _Part:
    """A TIFF file at byte `start` of another file, whose offsets still count from its own beginning."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file, self._start = file, start
        self._order = "<" if self._read(start, 2) == b"II" else ">"
        self._big = self._numbers(start + 2, "H", 1) == (43,)
        self._wide, self._counter, self._inline = ("Q", "Q", 8) if self._big else ("I", "H", 4)
        self.head_link = start + self._inline
        self.first = self._numbers(self.head_link, self._wide, 1)[0]

    def moved(self, place: int) -> list[Entry]:
        """The entries of the directory at `place`, moved together with all that they refer to."""
        place += self._start
        count = self._numbers(place, self._counter, 1)[0]
        place += struct.calcsize(self._order + self._counter)
        return [self._moved(place + number * (12 + 8 * self._big)) for number in range(count)]

    def append_directory(self, entries: list[Entry]) -> tuple[int, int]:
        """Write a directory at the end; returns its place, and that of the link to the next one."""
        place = self._append(b"")
        data = struct.pack(self._order + self._counter, len(entries))
        for tag, kind, count, value in sorted(entries):
            data += struct.pack(f"{self._order}HH{self._wide}", tag, kind, count) + value
        self._append(data + bytes(self._inline))
        return place, place + len(data)

    def with_values(self, entries: list[Entry], values: dict[int, tuple[int, list[int]]]) -> list[Entry]:
        """The entries with short ones of SHORT or LONG values added or replaced."""
        added = [
            (tag, kind, len(numbers), self._packed("H" if kind == SHORT else "I", *numbers).ljust(self._inline, b"\0"))
            for tag, (kind, numbers) in values.items()
        ]
        return [entry for entry in entries if entry[0] not in values] + added

    def write_offset(self, place: int, offset: int) -> None:
        """Store an offset at `place`."""
        self._write(place, self._offset(offset))

    def _moved(self, place: int) -> Entry:
        tag, kind, count = struct.unpack(f"{self._order}HH{self._wide}", self._read(place, 4 + self._inline))
        value = self._read(place + 4 + self._inline, self._inline)
        size = SIZES.get(kind, 1) * count
        if size > self._inline:
            place = self._start + int(struct.unpack(self._order + self._wide, value)[0])
            value = self._offset(place)
        else:
            place += 4 + self._inline
        if tag in PIXEL_OFFSETS + DIRECTORY_OFFSETS:
            offsets = np.frombuffer(self._read(place, size), f"{self._order}u{SIZES[kind]}")
            for offset in offsets.tolist() if tag in DIRECTORY_OFFSETS else ():
                self._move_directory(offset)
            return self._offsets(tag, kind, place, offsets)
        return tag, kind, count, value

    def _offsets(self, tag: int, kind: int, place: int, offsets: NDArray[Any]) -> Entry:
        """The entry of moved offsets, in the widest type of the file; `kind` and `place` are those of the old ones."""
        moved = (offsets.astype(np.uint64) + np.uint64(self._start)).astype(f"{self._order}u{self._inline}").tobytes()
        wide = kind if SIZES[kind] == self._inline else LONG8 if self._big else LONG
        if len(moved) <= self._inline:
            return tag, wide, len(offsets), moved
        if wide == kind:
            self._write(place, moved)
        else:
            place = self._append(moved)
        return tag, wide, len(offsets), self._offset(place)

    def _move_directory(self, place: int) -> None:
        """Move the offsets in a further directory, which stays where it is."""
        entries = self.moved(place)
        size = struct.calcsize(self._order + self._counter)
        for number, (tag, kind, count, value) in enumerate(entries):
            data = struct.pack(f"{self._order}HH{self._wide}", tag, kind, count) + value
            self._write(self._start + place + size + number * len(data), data)

    def _packed(self, kind: str, *values: int) -> bytes:
        return struct.pack(f"{self._order}{len(values)}{kind}", *values)

    def _offset(self, value: int) -> bytes:
        return self._packed(self._wide, value)

    def _numbers(self, place: int, kind: str, count: int) -> tuple[int, ...]:
        form = f"{self._order}{count}{kind}"
        return struct.unpack(form, self._read(place, struct.calcsize(form)))

    def _read(self, place: int, length: int) -> bytes:
        self._file.seek(place)
        return self._file.read(length)

    def _write(self, place: int, data: bytes) -> None:
        self._file.seek(place)
        self._file.write(data)

    def _append(self, data: bytes) -> int:
        """Write at the end of the file, at an even place, and return that."""
        end = self._file.seek(0, os.SEEK_END)
        place = end + self._file.write(bytes(end % 2))
        self._file.write(data)
        return place
