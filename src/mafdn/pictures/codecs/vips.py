"""Picture files that libvips decodes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import pyvips

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.codecs.base import PictureFile
from mafdn.pictures.codecs.tiff.entries import parse_exif
from mafdn.pictures.floats import assumption, cleaned_floats
from mafdn.pictures.libvips import PIXEL_TYPES, array_of, damaged, field_of, file_name, space_of, stop_at_limit
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import EXIF, ICC, read_fields
from mafdn.pictures.picture import DEFAULT_PIXELS_PER_MM, QUARTER_TURNS, Picture
from mafdn.pictures.profiles import PROFILE_IGNORED, check_profile, grey_profile, profile_of_points
from mafdn.pictures.spill import spill, spill_errors
from mafdn.pixels.rows import Rows

GREY_SPACES, RGB_SPACES = ("b-w", "grey16"), ("srgb", "rgb16", "rgb", "scrgb")
DEPTHS: Mapping[object, int] = {"uchar": 8, "char": 8, "float": 32}
"""Bits per channel of decoded pixels by libvips band format; 16 for others."""
UNREAD_TYPES: Mapping[str, str] = {
    "char": "signed 8-bit integers",
    "short": "signed 16-bit integers",
    "int": "signed 32-bit integers",
    "uint": "32-bit integers",
    "double": "64-bit floating-point numbers",
    "complex": "complex numbers",
    "dpcomplex": "complex numbers",
}
"""Types of pixels that are refused, by libvips band format."""
CONVERTED: Mapping[object, int] = {"cmyk": 4, "lab": 3, "labs": 3}
"""Color channels of the libvips color spaces that are converted to sRGB."""


class VipsFile(PictureFile):
    """A file that libvips decodes; a format overrides the methods for what libvips leaves out."""

    loader: ClassVar[str]
    """The libvips operation that reads this format from a source."""
    which: Mapping[str, int] = MappingProxyType({})
    """The loader's arguments `page` (from 0) or `n` (-1 for all, one below the other); none for the first picture."""

    orientation: int
    """EXIF orientation of the stored picture, which `decode` turns upright; 1 to 8 if it is valid."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        """Read the header of the chosen picture."""
        image = self.load()
        self.width, self.height, self.channels = int(image.width), int(image.height), int(image.bands)
        self.bits = DEPTHS.get(image.format, 16)
        self.orientation = int(field_of(image, "orientation", 1))
        if self.orientation in QUARTER_TURNS:
            self.width, self.height = self.height, self.width
        self._image: pyvips.Image | None = image

    def decode(self, limits: Limits, *, spill_folder: Path | None) -> Picture:
        # Let go of the opened image, which keeps its pixels for as long as it exists.
        image, self._image = self.load() if self._image is None else self._image, None
        if spill_folder and field_of(image, "orientation", 1) == 1:  # every row is needed once, in file order
            image = self.load(access="sequential")
        notes = self.notes(image)
        image, file_bits = self.prepare_pixels(image)
        image, conversions = _as_grey_or_rgb(self._upright(image))
        if (image.width, image.height) != (self.width, self.height * self._loaded):
            raise damaged(self.path, "its sizes disagree")
        colors = 1 if image.interpretation in GREY_SPACES else 3
        if image.bands > colors + 1:
            kept = 1 if colors == 1 and not self.extra_is_alpha() else colors + 1
            first = "the first was" if kept == 1 else f"the first {kept} were"
            notes.append(f"of {image.bands} channels only {first} read")
            image = image.extract_band(0, n=kept)
        planes = _read_pixels(self.path, image, limits, spill_folder)
        floating = planes.dtype.kind == "f"
        if floating:
            planes, cleaned = cleaned_floats(planes, transparent=image.bands > colors)
            notes += cleaned
        profile = field_of(image, ICC, None)
        if profile is None:
            profile, note = self.stated_profile(grey=colors == 1)
            conversions += [note] if note else []
        if profile is not None and colors == 1:
            profile = grey_profile(profile) or profile
        problem = check_profile(profile, colors) if profile is not None else None
        if problem:
            profile = None
            conversions.append(f"{problem}: {PROFILE_IGNORED.format('linear light' if floating else 'sRGB')}")
        if floating and profile is None and not problem:
            conversions.append(assumption(grey=colors == 1))
        picture = Picture(
            planes=planes,
            format=self.format,
            profile=profile,
            code_points=self.code_points,
            pixels_per_mm=_resolution(image),
            fields=self.fields(image),
            file_bits=file_bits,
            notes=tuple(notes + conversions),
        )
        completed = self.complete(picture)
        if has_damaged_exif(image):
            damage = "its EXIF is damaged: what could not be read was left out"
            completed = replace(completed, lost_metadata=(*completed.lost_metadata, damage))
        return completed

    @property
    def _loaded(self) -> int:
        """How many pictures are decoded, one below the other."""
        return len(self.sizes) if self.which.get("n") == -1 else 1

    def _upright(self, image: pyvips.Image) -> pyvips.Image:
        """The image with each of its pictures turned upright."""
        if self._loaded == 1 or field_of(image, "orientation", 1) == 1:
            return image.autorot()
        high = image.height // self._loaded
        parts = [image.crop(0, i * high, image.width, high).autorot() for i in range(self._loaded)]
        return pyvips.Image.arrayjoin(parts, across=1)

    def load(self, *, access: str = "random") -> pyvips.Image:
        """Open the file with this format's loader, header only.

        `access="sequential"` decodes while rows are pulled in file order, once.
        """
        source = pyvips.Source.new_from_file(file_name(self.path))
        return getattr(pyvips.Image, self.loader)(source, fail_on=self.fail_on(), access=access, **self.which)

    def fail_on(self) -> str:
        """The least severe problem on which libvips gives up decoding."""
        return "error"

    def count_pictures(self, image: pyvips.Image) -> tuple[int, str]:
        """How many pictures the file holds, and of which kind: frames, pages or pictures."""
        frames = self.format.several == "frames" or image.get_typeof("delay")
        return int(field_of(image, "n-pages", 1)), "frames" if frames else "pages"

    def notes(self, image: pyvips.Image) -> list[str]:
        """What is lost of this file, as far as its header shows."""
        notes: list[str] = []
        count, kind = self.count_pictures(image)
        if count > 1 and not self.which:
            notes.append(f"only the first of {count} {kind} was read")
        bits = int(field_of(image, "bits-per-sample", 8))
        if bits < 8 and not field_of(image, "palette", 0):
            notes.append(f"{bits} bit{'s' if bits > 1 else ''} per channel became 8")
        if self.has_gain_map(image):
            notes.append("its HDR gain map was left out")
        return notes

    def has_gain_map(self, image: pyvips.Image) -> bool:
        """Whether the file holds a gain map, which makes the picture HDR on displays that can show it."""
        return bool(image.get_typeof("gainmap-data"))

    def prepare_pixels(self, image: pyvips.Image) -> tuple[pyvips.Image, int | None]:
        """The image with pixels over the full range of their type, and `Picture.file_bits`."""
        return image, None

    def extra_is_alpha(self) -> bool:
        """Whether the first channel beyond the colors is transparency."""
        return True

    def stated_profile(self, *, grey: bool) -> tuple[bytes | None, str | None]:
        """The profile for colors that the file describes without one, and a note on what is ignored."""
        return profile_of_points(self.code_points, grey=grey)

    def fields(self, image: pyvips.Image) -> dict[str, tuple[Any, Any]]:
        """Metadata for `Picture.fields`."""
        return read_fields(image, orientation=self.orientation)

    def complete(self, picture: Picture) -> Picture:
        """Add metadata that libvips does not report."""
        return picture


def _as_grey_or_rgb(image: pyvips.Image) -> tuple[pyvips.Image, list[str]]:
    """Convert rare color spaces to sRGB, with a note; leave the common ones unchanged."""
    space = str(image.interpretation)
    if space in GREY_SPACES + RGB_SPACES:
        return image, []
    if space == "multiband" and image.bands in (1, 2):
        return image.copy(interpretation="b-w"), []
    own = CONVERTED.get(space, image.bands)
    colors, deep = image.extract_band(0, n=own), image.format not in ("uchar", "char")
    if space == "cmyk":
        converted = colors.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=16 if deep else 8)
    else:
        converted = colors.colourspace(space_of(grey=False, deep=deep)).copy()
        if converted.get_typeof(ICC):
            converted.remove(ICC)
    if image.bands > own:  # libvips would take alpha to be signed in Lab, and to end at 255 in both
        others = image.extract_band(own, n=image.bands - own)
        others = others.copy(format="ushort") if others.format == "short" else others
        others = (65_535 * others).rint() if others.format == "float" else others
        converted = converted.bandjoin(others.cast(converted.format))
    return converted, [f"{'CMYK' if space == 'cmyk' else space} was converted to sRGB"]


def has_damaged_exif(image: pyvips.Image) -> bool:
    """Whether an image has an EXIF block that cannot be parsed; libvips then leaves out entries, or all of them."""
    block = field_of(image, EXIF, None)
    if not block:
        return False
    try:
        parse_exif(bytes(block))
    except ValueError:
        return True
    return False


def _read_pixels(path: Path, image: pyvips.Image, limits: Limits, spill_folder: Path | None) -> Rows:
    """Decode to (H, W, bands) uint8, uint16 or float32, in memory or in a file in `spill_folder`."""
    if image.format not in PIXEL_TYPES:
        kind = UNREAD_TYPES.get(str(image.format), str(image.format))
        raise PictureError(
            f"{printable(path)} has pixels of {kind}; unsigned integers of 8 and 16 bits and floating-point numbers "
            "are supported, convert it first"
        )
    if limits.seconds is not None:
        image = image.copy()
        stop_at_limit(image, limits)
    try:
        with spill_errors(path, spill_folder):
            return spill(image, spill_folder) if spill_folder else array_of(image)
    finally:
        limits.check_time(path)


def _resolution(image: pyvips.Image) -> tuple[float, float]:
    """Print resolution in pixels per mm (horizontal, vertical).

    libvips reports one pixel per mm for files without a resolution.
    """
    stated = float(image.xres), float(image.yres)
    return stated if stated != (1.0, 1.0) or image.get_typeof("resolution-unit") else DEFAULT_PIXELS_PER_MM
