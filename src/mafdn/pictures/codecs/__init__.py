"""The codecs: one module per family of picture formats, and the registry of all of them.

To add a format, write a module with a `PictureFile` subclass and add that class to `CODECS`.
"""

from mafdn.pictures.codecs.base import PictureFile
from mafdn.pictures.codecs.foreign.bmp import BmpFile
from mafdn.pictures.codecs.foreign.jpeg2000 import Jpeg2000File
from mafdn.pictures.codecs.foreign.pillow import IcoFile, QoiFile, TgaFile
from mafdn.pictures.codecs.foreign.psd import PsdFile
from mafdn.pictures.codecs.gif import GifFile
from mafdn.pictures.codecs.heif.file import AvifFile, HeicFile
from mafdn.pictures.codecs.jpeg import JpegFile
from mafdn.pictures.codecs.jxl.file import JxlFile
from mafdn.pictures.codecs.png import PngFile
from mafdn.pictures.codecs.pnm import PnmFile
from mafdn.pictures.codecs.tiff.file import TiffFile
from mafdn.pictures.codecs.webp import WebpFile

__all__ = ["CODECS", "FORMATS"]

CODECS: dict[str, type[PictureFile]] = {
    codec.format.name: codec
    for codec in (
        JpegFile,
        PngFile,
        WebpFile,
        TiffFile,
        AvifFile,
        GifFile,
        PnmFile,
        HeicFile,
        JxlFile,
        Jpeg2000File,
        BmpFile,
        QoiFile,
        PsdFile,
        IcoFile,
        TgaFile,
    )
}
"""All codecs by format name, in the order in which a file's content is compared with them."""
FORMATS = {name: codec.format for name, codec in CODECS.items()}
"""All formats by name."""
