"""TIFF files."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyvips

from mafdn.pictures.codecs.base import SaveOptions
from mafdn.pictures.codecs.tiff_directory import check_directory, read_directory
from mafdn.pictures.codecs.tiff_metadata import is_stale, read_metadata, write_metadata
from mafdn.pictures.codecs.vips import VipsFile
from mafdn.pictures.libvips import damaged, field_of, file_name
from mafdn.pictures.metadata import IPTC
from mafdn.pictures.picture import Format, Picture

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
    )
    loader, loader_class = "tiffload_source", "VipsForeignLoadTiff"

    def __init__(self, path: Path) -> None:
        self.directory = read_directory(path)
        check_directory(path, self.directory)
        super().__init__(path)

    def fail_on(self) -> str:
        # To libvips, an error in a tile is only a warning, and a tile left out on purpose is an error.
        return "warning" if self.directory.tiled and not self.directory.absent_tiles else "error"

    def notes(self, image: pyvips.Image) -> list[str]:
        notes = super().notes(image)
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
            return read_metadata(self.path)
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
            bigtiff=big,
            tile=big,
            tile_width=256,
            tile_height=256,
            keep=options.keep,
        )
        write_metadata(path, image)
