"""TIFF files."""

import io
import struct
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyvips

from mafdn.errors import PictureError
from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.codecs.animated import check_number
from mafdn.pictures.codecs.base import SaveOptions
from mafdn.pictures.codecs.jpeg_coding import JpegCoding, read_coding, read_tables
from mafdn.pictures.codecs.patched import PatchedFile
from mafdn.pictures.codecs.tiff.directory import (
    BITS,
    COMPRESSION,
    EXTRA_SAMPLES,
    FLOAT,
    JPEG_COMPRESSIONS,
    JPEG_TABLES,
    NONE,
    PAGE_NUMBER,
    PHOTOMETRIC,
    PREMULTIPLIED,
    RGB,
    SAMPLE_FORMAT,
    WHITE_IS_ZERO,
    check_directory,
    parse_directory,
    read_directory,
)
from mafdn.pictures.codecs.tiff.entries import BIG
from mafdn.pictures.codecs.tiff.metadata import is_stale, read_metadata, write_metadata
from mafdn.pictures.codecs.tiff.pages import Pages, is_copy, page_alone, read_pages
from mafdn.pictures.codecs.tiff.tifffile import open_header, with_pixels
from mafdn.pictures.codecs.vips import CONVERTED, GREY_SPACES, VipsFile
from mafdn.pictures.libvips import codec_errors, damaged, field_of, file_name
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import IPTC
from mafdn.pictures.picture import Picture
from mafdn.pictures.sequences.sequence import Sequence

DESCRIPTION = "image-description"
"""libvips's field of the text that TIFF stores as ImageDescription."""
SAMPLE_BYTES: Mapping[object, int] = {"uchar": 1, "ushort": 2, "float": 4}
MOST_HEAD = 1 << 16
"""Bytes of a strip or tile in which the header of its JPEG file is searched for."""
FLOAT32 = 32
"""Bits of the floating-point numbers that pixels are held as."""


class TiffFile(VipsFile):
    """A TIFF or BigTIFF file; its first directory is parsed for what libvips does not check or report."""

    format = FORMATS["TIFF"]
    loader = "tiffload_source"
    page = 0
    """Position of the page that is read in the chain of directories."""
    _chosen = False
    """Whether that page was chosen by `choose`."""
    _alone: PatchedFile | None = None
    """The file as if it had only the chosen page: to find that one, libvips would look at all pages."""
    _oblong = False
    """Whether the file states that its pixels are not square; known once they are decoded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directory = read_directory(path)
        if is_copy(self.directory):
            self._turn_to(0)
        self._open()

    def _open(self) -> None:
        check_directory(self.path, self.directory)
        self.which = MappingProxyType({"page": self.page} if self.page else {})
        super()._open()

    def _turn_to(self, number: int) -> None:
        """Make page `number`, from 0, the one that is read."""
        self.page, found = self._pages.directories[number]
        self.directory = read_directory(self.path, place=found.place)

    @cached_property
    def _pages(self) -> Pages:
        return read_pages(self.path)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        pages = self._pages.directories
        return ((self.width, self.height),) if len(pages) == 1 else tuple(page.upright_size for _, page in pages)

    @property
    def coding(self) -> JpegCoding | None:
        directory = self.directory
        if directory.first(COMPRESSION) not in JPEG_COMPRESSIONS:
            return None
        place, length = directory.first_tile
        with self.path.open("rb") as file:
            file.seek(place)
            data = file.read(min(length, MOST_HEAD))
        shared = read_tables(io.BytesIO(directory.texts.get(JPEG_TABLES, b"")))
        coding = read_coding(io.BytesIO(data))
        return replace(coding, tables=shared | dict(coding.tables)) if coding else None

    def choose(self, number: int) -> None:
        check_number(self.path, number, len(self._pages.directories))
        self._turn_to(number - 1)
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
        page_number = (stated[0], stated[1]) if len(stated) == 2 else None
        notes = picture.notes if number else (*picture.notes, *self._pages.notes)
        return replace(picture, page_number=page_number, notes=notes)

    def load(self, *, access: str = "random") -> pyvips.Image:
        reason = self.directory.needs_tifffile
        if reason:
            return open_header(self.path, reason, page=self.page)
        try:
            alone = page_alone(self.path, self.directory.place) if self.page else None
        except ValueError as error:
            raise damaged(self.path, str(error)) from None
        if alone is None:
            return super().load(access=access)
        self._alone = PatchedFile(self.path, *alone)
        return pyvips.Image.tiffload_source(self._alone.source, fail_on=self.fail_on(), access=access)

    def fail_on(self) -> str:
        # To libvips, an error in a tile is only a warning, and a tile left out on purpose is an error.
        return "warning" if self.directory.tiled and not self.directory.absent_tiles else "error"

    def notes(self, image: pyvips.Image) -> list[str]:
        notes = super().notes(image)
        if not self._chosen:
            notes += self._pages.notes
        if self.directory.tiled and self.directory.absent_tiles:
            absent = f"tiles that the file omits ({self.directory.absent_tiles}) became black"
            notes.append(f"{absent}; damage to other tiles would go unnoticed")
        if image.bands > 3 and self.directory.first(PHOTOMETRIC) == RGB and not self.extra_is_alpha():
            notes.append("its fourth channel, of unstated meaning, was taken as transparency")
        if image.bands == 2 and not self.extra_is_alpha():
            notes.append("its second channel, of unstated meaning, was taken as transparency")
        if self._has_only_colors(image):
            notes.append(f"of {image.bands} channels only the first {CONVERTED[image.interpretation]} were read")
        return notes

    def _has_only_colors(self, image: pyvips.Image) -> bool:
        """Whether the channels of a CMYK or Lab picture after its own are others, none of them transparency."""
        return image.bands > CONVERTED.get(image.interpretation, image.bands) and not self.extra_is_alpha()

    def prepare_pixels(self, image: pyvips.Image) -> tuple[pyvips.Image, int | None]:
        reason = self.directory.needs_tifffile
        if reason:
            image = with_pixels(image, self.path, reason, page=self.page)
        if self.directory.shape_only:  # libvips takes it for a resolution
            self._oblong = image.xres != image.yres
            image = image.copy(xres=1, yres=1)  # 1: nothing is stated
            image.remove("resolution-unit")
        if self._has_only_colors(image):
            image = image.extract_band(0, n=CONVERTED[image.interpretation])
        bits = self.directory.first(BITS)
        if image.format != "float":
            return image, bits if 8 < bits < 16 else None
        if image.interpretation in GREY_SPACES and not reason:  # libvips takes white to be at that of integers
            if self.directory.first(EXTRA_SAMPLES) == PREMULTIPLIED and image.bands == 2:
                space, white = image.interpretation, 65_535 if image.interpretation == "grey16" else 255
                image = (image * [1 / white, 1]).cast("float").copy(interpretation=space)
            if self.directory.first(PHOTOMETRIC) == WHITE_IS_ZERO:
                space, others = image.interpretation, image.bands - 1
                image = (image * [-1.0, *[1.0] * others] + [1.0, *[0.0] * others]).cast("float")
                image = image.copy(interpretation=space)
        return image, bits if bits != FLOAT32 else None

    def extra_is_alpha(self) -> bool:
        return self.directory.extra_is_alpha

    def fields(self, image: pyvips.Image) -> dict[str, tuple[Any, Any]]:
        fields = {name: field for name, field in super().fields(image).items() if name != IPTC}
        if is_stale(str(fields.get(DESCRIPTION, ("", ""))[1]).encode()):
            del fields[DESCRIPTION]
        return fields | self._metadata[0]

    def complete(self, picture: Picture) -> Picture:
        shape = ["the shape of its pixels, which it states not to be square, was left out"] if self._oblong else []
        return replace(picture, lost_metadata=(*self._metadata[1], *shape))

    @cached_property
    def _metadata(self) -> tuple[dict[str, tuple[Any, Any]], list[str]]:
        try:
            return read_metadata(self.path, place=self.directory.place)
        except ValueError as error:
            raise damaged(self.path, str(error)) from None

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        big = image.width * image.height * image.bands * SAMPLE_BYTES[image.format] > BIG
        pixels = image.copy()
        if field_of(image, IPTC, None):
            pixels.remove(IPTC)  # which libvips would write cut off
        pixels.tiffsave(
            file_name(path),
            compression="deflate",
            predictor="float" if image.format == "float" else "none" if options.half else "horizontal",
            bigtiff=big or options.big,
            tile=big,
            tile_width=256,
            tile_height=256,
            keep=options.keep,
        )
        if options.half:
            declare_floats(path)
        write_metadata(path, image)


def declare_floats(path: Path) -> None:
    """Declare the samples of a file, stored as integers, to be floating-point numbers of the same bits."""
    with path.open("rb+") as file:
        directory = parse_directory(file)
        count = len(directory.numbers[SAMPLE_FORMAT])
        file.seek(directory.places[SAMPLE_FORMAT])
        file.write(struct.pack(f"{directory.order}{count}H", *[FLOAT] * count))
