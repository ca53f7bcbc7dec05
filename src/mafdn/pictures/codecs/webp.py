"""WebP files."""

from pathlib import Path

import pyvips

from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.codecs.animated import AnimatedFile
from mafdn.pictures.codecs.base import DEFAULT_QUALITY, SaveOptions
from mafdn.pictures.libvips import file_name
from mafdn.pictures.sequences.riff import read_webp_timing
from mafdn.pictures.sequences.sequence import Timing


class WebpFile(AnimatedFile):
    """A WebP file."""

    format = FORMATS["WebP"]
    loader = "webpload_source"

    def read_timing(self) -> Timing:
        return read_webp_timing(self.path)

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        if options.lossless:
            image.webpsave(file_name(path), lossless=True, exact=True, keep=options.keep)
        else:
            quality = DEFAULT_QUALITY if options.quality is None else options.quality
            image.webpsave(file_name(path), Q=quality, smart_subsample=True, keep=options.keep)
