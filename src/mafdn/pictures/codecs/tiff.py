"""TIFF files."""

import struct
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import pyvips

from mafdn.errors import PictureError
from mafdn.pictures.codecs.animated import check_number
from mafdn.pictures.codecs.base import SaveOptions
from mafdn.pictures.codecs.tiff_directory import (
    ASCII,
    NONE,
    PAGE_NAME,
    PAGE_NUMBER,
    TEXT_TAGS,
    check_directory,
    read_directory,
)
from mafdn.pictures.codecs.tiff_pages import Pages, is_copy, read_pages
from mafdn.pictures.codecs.vips import VipsFile
from mafdn.pictures.libvips import codec_errors, damaged, file_name
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import EXIF
from mafdn.pictures.picture import Format, Picture
from mafdn.pictures.sequences.sequence import Sequence

BIG = 2**31
"""Bytes of pixels above which a file is written as BigTIFF and in tiles."""


class TiffFile(VipsFile):
    """A TIFF or BigTIFF file; its first directory is parsed for what libvips does not check or report."""

    format = Format(
        name="TIFF",
        magic=(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        suffixes=(".tif", ".tiff"),
        largest_side=2**31 - 1,
        alpha=True,
        metadata=frozenset({"ICC", "XMP"}),
        several="pages",
    )
    loader, loader_class = "tiffload_source", "VipsForeignLoadTiff"
    page = 0
    """Position of the page that is read in the chain of directories."""
    _chosen = False
    """Whether that page was asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directory = read_directory(path)
        if is_copy(self.directory):
            self.page, self.directory = self._pages.directories[0]
        self._open()

    def _open(self) -> None:
        check_directory(self.path, self.directory)
        self.which = MappingProxyType({"page": self.page} if self.page else {})
        super()._open()

    @cached_property
    def _pages(self) -> Pages:
        return read_pages(self.path)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        pages = self._pages.directories
        return ((self.width, self.height),) if len(pages) == 1 else tuple(page.upright_size for _, page in pages)

    def choose(self, number: int) -> None:
        check_number(self.path, number, len(self._pages.directories))
        self.page, self.directory = self._pages.directories[number - 1]
        self._chosen = True
        self._open()

    def count_pictures(self, image: pyvips.Image) -> tuple[int, str]:  # noqa: ARG002
        return (1 if self._chosen else len(self._pages.directories)), "pages"

    def decode_all(self, limits: Limits, *, spill_folder: Path | None) -> Sequence:
        pages = self._pages
        if pages.broken and len(pages.directories) + pages.copies > 1:
            raise damaged(self.path, f"the list of its pages ends after {len(pages.directories)} of them")
        if len(pages.directories) == 1:
            return super().decode_all(limits, spill_folder=spill_folder)
        return Sequence(count=len(pages.directories), read=partial(self._read_page, limits, spill_folder))

    def _read_page(self, limits: Limits, spill_folder: Path | None, number: int) -> Picture:
        page = copy(self)
        try:
            with codec_errors(self.path):
                page.choose(number + 1)
                picture = page.decode(limits, spill_folder=spill_folder)
        except PictureError as error:
            raise type(error)(f"{error}, page {number + 1}", errno=error.errno) from None
        directory = page.directory
        stated = directory.numbers.get(PAGE_NUMBER, NONE).tolist()
        return replace(
            picture,
            page_name=directory.texts.get(PAGE_NAME),
            page_number=(stated[0], stated[1]) if len(stated) == 2 else None,
        )

    def fail_on(self) -> str:
        # To libvips, an error in a tile is only a warning, and a tile left out on purpose is an error.
        return "warning" if self.directory.tiled and not self.directory.absent_tiles else "error"

    def notes(self, image: pyvips.Image) -> list[str]:
        notes = super().notes(image)
        copies = self._pages.copies
        if copies and not self._chosen:
            what = "copy or mask was" if copies == 1 else "copies or masks were"
            notes.append(f"{copies} reduced {what} left out")
        if self.directory.metadata_directories:
            notes.append(f"its {' and '.join(self.directory.metadata_directories)} data were left out")
        if self.directory.tiled and self.directory.absent_tiles:
            absent = f"tiles that the file omits ({self.directory.absent_tiles}) became black"
            notes.append(f"{absent}; damage to other tiles would go unnoticed")
        return notes

    def extra_is_alpha(self) -> bool:
        return self.directory.extra_is_alpha

    def fields(self, image: pyvips.Image) -> dict[str, tuple[Any, Any]]:
        return super().fields(image) | exif_of_texts(self.directory.texts)

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        big = image.width * image.height * image.bands * (2 if image.format == "ushort" else 1) > BIG
        image.tiffsave(
            file_name(path),
            compression="deflate",
            predictor="horizontal",
            bigtiff=big or options.big,
            tile=big,
            tile_width=256,
            tile_height=256,
            keep=options.keep,
        )


def exif_of_texts(texts: Mapping[int, bytes]) -> dict[str, tuple[Any, Any]]:
    """Convert texts of a TIFF directory, by tag, to EXIF.

    Returns:
        Fields as in `Picture.fields`: the EXIF block, and the entries that libvips reads from it.
    """
    texts = {tag: texts[tag].rstrip(b"\0") + b"\0" for tag in TEXT_TAGS if texts.get(tag, b"").strip(b"\0")}
    if not texts:
        return {}
    table, values, place = b"", b"", 8 + 2 + 12 * len(texts) + 4
    for tag, text in texts.items():
        held = text.ljust(4, b"\0") if len(text) <= 4 else struct.pack("<I", place + len(values))
        values += text if len(text) > 4 else b""
        table += struct.pack("<HHI", tag, ASCII, len(text)) + held
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(texts)) + table + bytes(4) + values
    carrier = pyvips.Image.black(1, 1).copy()  # the only way to have libvips parse a block
    carrier.set_type(pyvips.GValue.blob_type, EXIF, cast(Any, block))
    carrier = pyvips.Image.jpegload_buffer(carrier.jpegsave_buffer())
    names = [f"exif-ifd0-{TEXT_TAGS[tag]}" for tag in texts]
    read = {name: (carrier.get_typeof(name), carrier.get(name)) for name in names if carrier.get_typeof(name)}
    return {EXIF: (pyvips.GValue.blob_type, block), **read}
