"""GIF files."""

from pathlib import Path

import pyvips

from mafdn.pictures.codecs.base import SaveOptions
from mafdn.pictures.codecs.vips import VipsFile
from mafdn.pictures.libvips import file_name
from mafdn.pictures.picture import Format


class GifFile(VipsFile):
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
        animated=True,
        always_loses=("GIF has 256 colors: the picture was reduced to them",),
        alpha_loses=("GIF has no partial transparency: pixels became opaque or clear",),
    )
    loader, loader_class = "gifload_source", "VipsForeignLoadNsgif"

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        image.gifsave(file_name(path), keep=options.keep)
