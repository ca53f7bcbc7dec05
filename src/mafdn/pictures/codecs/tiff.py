"""TIFF files."""

from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyvips

from mafdn.errors import PictureError
from mafdn.pictures.codecs.animated import check_number
from mafdn.pictures.codecs.base import SaveOptions
from mafdn.pictures.codecs.tiff_directory import NONE, PAGE_NUMBER, check_directory, read_directory
from mafdn.pictures.codecs.tiff_metadata import is_stale, read_metadata, write_metadata
from mafdn.pictures.codecs.tiff_pages import Pages, is_copy, read_pages
from mafdn.pictures.codecs.vips import VipsFile
from mafdn.pictures.libvips import codec_errors, damaged, field_of, file_name
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import IPTC
from mafdn.pictures.picture import Format, Picture
from mafdn.pictures.sequences.sequence import Sequence

DESCRIPTION = "image-description"
"""libvips's field of the text that TIFF stores as ImageDescription."""
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
        metadata=frozenset({"ICC", "EXIF", "XMP", "IPTC"}),
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
        vars(self).pop("_metadata", None)  # which is that of another page
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
        stated = page.directory.numbers.get(PAGE_NUMBER, NONE).tolist()
        return replace(picture, page_number=(stated[0], stated[1]) if len(stated) == 2 else None)

    def fail_on(self) -> str:
        # To libvips, an error in a tile is only a warning, and a tile left out on purpose is an error.
        return "warning" if self.directory.tiled and not self.directory.absent_tiles else "error"

    def notes(self, image: pyvips.Image) -> list[str]:
        notes = super().notes(image)
        copies = self._pages.copies
        if copies and not self._chosen:
            what = "copy or mask was" if copies == 1 else "copies or masks were"
            notes.append(f"{copies} reduced {what} left out")
        if self.directory.tiled and self.directory.absent_tiles:
            absent = f"tiles that the file omits ({self.directory.absent_tiles}) became black"
            notes.append(f"{absent}; damage to other tiles would go unnoticed")
        return notes

    def extra_is_alpha(self) -> bool:
        return self.directory.extra_is_alpha

    def fields(self, image: pyvips.Image) -> dict[str, tuple[Any, Any]]:
        fields = {name: field for name, field in super().fields(image).items() if name != IPTC}
        if is_stale(str(fields.get(DESCRIPTION, ("", ""))[1]).encode()):
            del fields[DESCRIPTION]
        return fields | self._metadata[0]

    def complete(self, picture: Picture) -> Picture:
        return replace(picture, lost_metadata=tuple(self._metadata[1]))

    @cached_property
    def _metadata(self) -> tuple[dict[str, tuple[Any, Any]], list[str]]:
        try:
            return read_metadata(self.path, page=self.page)
        except ValueError as error:
            raise damaged(self.path, str(error)) from None

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        big = image.width * image.height * image.bands * (2 if image.format == "ushort" else 1) > BIG
        pixels = image.copy()
        if field_of(image, IPTC, None):
            pixels.remove(IPTC)  # which libvips would write cut off
        pixels.tiffsave(
            file_name(path),
            compression="deflate",
            predictor="horizontal",
            bigtiff=big or options.big,
            tile=big,
            tile_width=256,
            tile_height=256,
            keep=options.keep,
        )
        write_metadata(path, image)
