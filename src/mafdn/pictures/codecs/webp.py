"""WebP files."""

from pathlib import Path

import pyvips

from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.codecs.animated import AnimatedFile
from mafdn.pictures.codecs.base import DEFAULT_QUALITY, SaveOptions
from mafdn.pictures.codecs.vp8 import read_quantizer
from mafdn.pictures.libvips import file_name
from mafdn.pictures.sequences.riff import find_vp8_frame, read_webp_timing
from mafdn.pictures.sequences.sequence import Timing


class WebpFile(AnimatedFile):
    """A WebP file."""

    format = FORMATS["WebP"]
    loader = "webpload_source"

    def read_timing(self) -> Timing:
        return read_webp_timing(self.path)

    @property
    def vp8_quantizer(self) -> float | None:
        with self.path.open("rb") as file:
            place = find_vp8_frame(file)
            return None if place is None else read_quantizer(file, place)

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        if options.lossless:
            image.webpsave(file_name(path), lossless=True, exact=True, keep=options.keep)
        else:
            quality = DEFAULT_QUALITY if options.quality is None else options.quality
            image.webpsave(file_name(path), Q=quality, smart_subsample=True, keep=options.keep)
