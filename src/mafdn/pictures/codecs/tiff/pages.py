"""The pages of a TIFF file: its directories in order, without reduced copies and masks."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from mafdn.pictures.codecs.tiff.directory import PAGE_TAGS, Directory, parse_directory
from mafdn.pictures.codecs.tiff.entries import next_pointer_place, read_layout, read_part
from mafdn.pictures.sequences.sequence import MOST_PICTURES

REDUCED, MASK = 1, 4
"""Bits of NewSubfileType: a smaller copy of another picture, and a mask of transparency."""
LARGEST = 2**32
"""Bytes that places of TIFF reach; those of BigTIFF reach further."""


@dataclass(frozen=True, kw_only=True)
class Pages:
    """The pages of a file."""

    directories: tuple[tuple[int, Directory], ...]
    """Position of each page in the chain of directories, from 0, and its directory, of which `PAGE_TAGS` were read."""
    copies: int
    """Number of reduced copies and masks, which are no pages."""
    broken: bool
    """Whether the chain of directories ends in an invalid one."""

    @property
    def notes(self) -> list[str]:
        """What of the file is not read."""
        what = "copy or mask was" if self.copies == 1 else "copies or masks were"
        return [f"{self.copies} reduced {what} left out"] if self.copies else []


def read_pages(path: Path) -> Pages:
    """Follow the chain of directories; raises `OSError`.

    If there are only reduced copies, the first counts as a page.
    """
    found: list[Directory] = []
    seen: set[int] = set()
    place: int | None = None
    broken = False
    with path.open("rb") as file:
        while place != 0 and len(found) <= MOST_PICTURES:
            if place in seen:
                broken = True
                break
            try:
                directory = parse_directory(file, place=place, tags=PAGE_TAGS)
            except ValueError:
                broken = True
                break
            seen.add(directory.place)
            found.append(directory)
            place = directory.next_place
    pages = [(number, one) for number, one in enumerate(found) if not is_copy(one)] or [*enumerate(found)][:1]
    return Pages(directories=tuple(pages), copies=len(found) - len(pages), broken=broken)


def is_copy(directory: Directory) -> bool:
    """Whether a directory is that of a reduced copy or a mask."""
    return directory.subfile_kind & (REDUCED | MASK) != 0


def page_alone(path: Path, place: int) -> tuple[bytes, bytes] | None:
    """A beginning and an end for a file with which a page is the only one; all else stays where it is.

    Args:
        path: The file.
        place: Byte at which the page's directory begins.

    Returns:
        What replaces the first bytes, and what is appended: a copy of the directory. `None` if that would be beyond
        the size of a TIFF file.

    Raises:
        ValueError: The directory is invalid.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        layout = read_layout(file)
        directory = read_part(file, place, next_pointer_place(file, layout, place) - place) + bytes(layout.inline)
        end = file.seek(0, os.SEEK_END)
        start = end + end % 2
        if not layout.big and start + len(directory) >= LARGEST:
            return None
        head = read_part(file, 0, layout.pointer_place) + struct.pack(layout.pointer, start)
    return head, bytes(start - end) + directory
