"""GIF files."""

from pathlib import Path

import pyvips

from mafdn.pictures.codecs.animated import AnimatedFile
from mafdn.pictures.codecs.base import SaveOptions
from mafdn.pictures.libvips import file_name
from mafdn.pictures.picture import Format
from mafdn.pictures.sequences.gif_timing import read_gif_timing
from mafdn.pictures.sequences.sequence import Timing


class GifFile(AnimatedFile):
    """A GIF file."""

    format = Format(
        name="GIF",
        magic=(b"GIF87a", b"GIF89a"),
        suffixes=(".gif",),
        largest_side=65_535,
        alpha=True,
        metadata=frozenset(),
        bits=(8,),
        lossless=False,
        whole=True,
        several="frames",
        always_loses=("GIF has 256 colors: the picture was reduced to them",),
        alpha_loses=("GIF has no partial transparency: pixels became opaque or clear",),
    )
    loader, loader_class = "gifload_source", "VipsForeignLoadNsgif"

    def read_timing(self) -> Timing:
        return read_gif_timing(self.path)

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        image.gifsave(file_name(path), keep_duplicate_frames=True, keep=options.keep)
