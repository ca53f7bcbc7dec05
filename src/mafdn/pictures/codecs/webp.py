"""WebP files."""

from pathlib import Path

import pyvips

from mafdn.pictures.codecs.animated import AnimatedFile
from mafdn.pictures.codecs.base import DEFAULT_QUALITY, SaveOptions
from mafdn.pictures.libvips import file_name
from mafdn.pictures.picture import Format
from mafdn.pictures.sequences.riff import read_webp_timing
from mafdn.pictures.sequences.sequence import Timing


class WebpFile(AnimatedFile):
    """A WebP file."""

    format = Format(
        name="WebP",
        magic=(b"RIFF????WEBP",),
        suffixes=(".webp",),
        largest_side=16_383,
        alpha=True,
        metadata=frozenset({"ICC", "EXIF", "XMP"}),
        bits=(8,),
        grey=False,
        lossy=True,
        whole=True,
        several="frames",
    )
    loader, loader_class = "webpload_source", "VipsForeignLoadWebp"

    def read_timing(self) -> Timing:
        return read_webp_timing(self.path)

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        if options.lossless:
            image.webpsave(file_name(path), lossless=True, exact=True, keep=options.keep)
        else:
            quality = DEFAULT_QUALITY if options.quality is None else options.quality
            image.webpsave(file_name(path), Q=quality, smart_subsample=True, keep=options.keep)
