"""AVIF and HEIC files, both of the container HEIF.

The libvips that pip installs reads and writes AVIF, of an animation only the first frame; the frames are read by
`mafdn.pictures.sequences.avif`. Of HEIC it only reads the metadata. HEIC pixels are decoded by
the extra `heic`: pi-heif, which bundles libheif and a decoder (LGPL) and no encoder.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips

from mafdn._support.atomic import printable
from mafdn._support.extras import pip_install
from mafdn.errors import MissingPackageError, PictureError
from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.codecs.animated import check_number
from mafdn.pictures.codecs.base import DEFAULT_QUALITY, SaveOptions
from mafdn.pictures.codecs.heif.boxes import has_top_box, read_top_box
from mafdn.pictures.codecs.heif.colors import read_colors, state_colors
from mafdn.pictures.codecs.heif.extras import notes_on_extras
from mafdn.pictures.codecs.heif.tracks import read_track
from mafdn.pictures.codecs.vips import VipsFile
from mafdn.pictures.libvips import damaged, field_of, file_name, space_of
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import ICC
from mafdn.pictures.picture import Picture, Pixels
from mafdn.pictures.profiles import distinct_colors
from mafdn.pictures.sequences.avif import is_animation, read_frames
from mafdn.pictures.sequences.sequence import MOST_PICTURES, Sequence, frames_of
from mafdn.pictures.spill import keep_bands, spill_errors

AVIF_EFFORT = 3
"""Encoder effort, 0 to 9; each step takes about twice the time and saves one or two percent of the size."""
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
"""Number of channels by pi-heif's mode."""


class HeifFile(VipsFile):
    """What AVIF and HEIC have in common."""

    loader = "heifload_source"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with path.open("rb") as file:
            meta = read_top_box(file, b"meta")
            self._colors = read_colors(file, meta)  # libvips reads only profiles
            file.seek(0)
            self._extras = notes_on_extras(meta, video=has_top_box(file, b"mpvd"))
        self.code_points = distinct_colors(self._colors.code_points)
        self._track = read_track(path)

    def count_pictures(self, image: pyvips.Image) -> tuple[int, str]:
        frames = self._track.count if self._track else 1
        return (frames, "frames") if frames > 1 else super().count_pictures(image)

    def notes(self, image: pyvips.Image) -> list[str]:
        return super().notes(image) + self._extras

    def has_gain_map(self, image: pyvips.Image) -> bool:
        return self._colors.gain_map or super().has_gain_map(image)


class AvifFile(HeifFile):
    """An AVIF file."""

    format = FORMATS["AVIF"]
    _frame: int | None = None
    """Number of the chosen frame of an animation, from 0."""

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        return ((self.width, self.height),) * min(self._count, MOST_PICTURES + 1)

    @cached_property
    def _count(self) -> int:
        """Number of frames that are read."""
        track = self._track
        if track is None or not is_animation(self.path, track):
            return 1
        stored = (track.width, track.height) if track.turns % 2 == 0 else (track.height, track.width)
        return track.count if stored == (self.width, self.height) else 1

    def choose(self, number: int) -> None:
        check_number(self.path, number, self._count)
        self._frame = number - 1

    def count_pictures(self, image: pyvips.Image) -> tuple[int, str]:
        return (1, "frames") if self._frame is not None and self._count > 1 else super().count_pictures(image)

    def decode(self, limits: Limits, *, spill_folder: Path | None) -> Picture:
        picture = super().decode(limits, spill_folder=spill_folder)
        if self._frame is None or self._count == 1:
            return picture
        frame = next(islice(self._frames(limits), self._frame, None))
        return replace(picture, planes=np.ascontiguousarray(frame))

    def decode_all(self, limits: Limits, *, spill_folder: Path | None) -> Sequence:
        track = self._track
        if self._count == 1 or track is None:
            return super().decode_all(limits, spill_folder=spill_folder)
        if track.timing is None:
            raise damaged(self.path, "the timing of its frames is invalid")
        self._frame = 0
        first = self.decode(limits, spill_folder=None)
        shape = (self._count * first.height, first.width, first.planes.shape[2])
        with spill_errors(self.path, spill_folder):
            planes = keep_bands(self._frames(limits), shape, first.planes.dtype, spill_folder)
        return frames_of(replace(first, planes=planes), self._count, track.timing)

    def _frames(self, limits: Limits) -> Iterator[Pixels]:
        """The frames of an animation; raises what `read_frames` does, and `DamagedError` if their sizes disagree."""
        assert self._track is not None
        shape: tuple[int, ...] = ()
        for frame in read_frames(self.path, self._track):
            limits.check_time(self.path)
            shape = shape or (self.height, self.width, frame.shape[2])
            if frame.shape != shape:
                raise damaged(self.path, "its sizes disagree")
            yield frame

    def prepare_pixels(self, image: pyvips.Image) -> tuple[pyvips.Image, int | None]:
        if image.format != "ushort":
            return image, None
        bits = 12 if field_of(image, "bits-per-sample", 10) == 12 else 10
        return _over_full_range(image >> (16 - bits), image, bits), bits  # libvips shifts them up

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        # AVIF stores transparency at the quality of its colors, and only the highest keeps opaque parts opaque.
        default = 100 if image.hasalpha() else DEFAULT_QUALITY
        image.heifsave(
            file_name(path),
            compression="av1",
            bitdepth=options.bits,
            Q=default if options.quality is None else options.quality,
            lossless=options.lossless,
            subsample_mode="off",
            effort=AVIF_EFFORT,
            keep=options.keep,
        )
        if options.code_points is not None:
            path.write_bytes(state_colors(path.read_bytes(), options.code_points))


class HeicFile(HeifFile):
    """A HEIC file, which is only read."""

    format = FORMATS["HEIC"]

    def __init__(self, path: Path) -> None:
        _require_decoder(path)
        super().__init__(path)

    def prepare_pixels(self, image: pyvips.Image) -> tuple[pyvips.Image, int | None]:
        pixels, bits = _decode_heic(self.path)
        grey, deep = pixels.shape[2] < 3, pixels.dtype == np.uint16
        decoded = pyvips.Image.new_from_array(np.ascontiguousarray(pixels)).copy(
            interpretation=space_of(grey=grey, deep=deep), xres=image.xres, yres=image.yres
        )
        for name in image.get_fields():
            if name == ICC or name.startswith(("exif-", "xmp-", "iptc-")):
                decoded.set_type(image.get_typeof(name), name, image.get(name))
        return (_over_full_range(decoded, decoded, bits), bits) if bits in (10, 12) else (decoded, None)


def _over_full_range(values: pyvips.Image, like: pyvips.Image, bits: int) -> pyvips.Image:
    """Stretch values of `bits` bits to 16, so that white is 65,535 exactly; the color space is that of `like`."""
    full = (values.cast("double") * (65_535 / (2**bits - 1))).rint().cast("ushort")
    return full.copy(interpretation=like.interpretation)


def _require_decoder(path: Path) -> Any:
    """Import pi-heif; raises `MissingPackageError` if it is not installed."""
    try:
        import pi_heif  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
    except ImportError:
        message = f"{printable(path)} is HEIC, which needs pi-heif: {pip_install('heic')}"
        raise MissingPackageError(message) from None
    return cast(Any, pi_heif)


def _decode_heic(path: Path) -> tuple[Pixels, int]:
    """Decode a HEIC file.

    Returns:
        (H, W, 1 to 4) upright pixels, uint8 or (values of up to `bits` bits) uint16; and the bits per channel.

    Raises:
        DamagedError: The file is damaged.
        PictureError: The pixels are neither grey nor RGB.
    """
    decoder = _require_decoder(path)
    try:
        image = decoder.open_heif(str(path), convert_hdr_to_8bit=False)
        bits = int(image.info.get("bit_depth", 8))
        mode, _, _ = str(image.mode).partition(";")
        pixels = np.asarray(image)
    except (ValueError, OSError, RuntimeError, EOFError, SyntaxError) as error:
        raise damaged(path, " ".join(str(error).split())) from None
    if mode not in CHANNELS:
        raise PictureError(f"{printable(path)} has {mode} pixels; gray and RGB are supported")
    pixels = pixels.reshape(*pixels.shape[:2], CHANNELS[mode])
    return (pixels.astype(np.uint8), 8) if pixels.dtype.itemsize == 1 else (pixels.astype(np.uint16), bits)
