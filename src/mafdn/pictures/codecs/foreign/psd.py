"""Photoshop documents (PSD and PSB), of which the merged picture is read.

The merged picture consists of planes that are stored as TIFF can store them, raw or row by row in PackBits. So libvips
reads them from the document itself, to which a TIFF header and directory are added while it reads.
"""

import os
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.codecs.foreign.arrays import decoder_errors
from mafdn.pictures.codecs.foreign.blocks import fields_of_blocks
from mafdn.pictures.codecs.foreign.wrapped import directory
from mafdn.pictures.codecs.patched import PatchedFile
from mafdn.pictures.codecs.vips import VipsFile
from mafdn.pictures.libvips import damaged
from mafdn.pictures.photoshop import RESOLUTION_RESOURCE, read_resources

BITMAP, GREY, INDEXED, RGB, CMYK, DUOTONE = 0, 1, 2, 3, 4, 8
"""Color modes that are read."""
OTHER_MODES = {7: "multichannel", 9: "Lab"}
COLORS = {BITMAP: 1, GREY: 1, INDEXED: 1, RGB: 3, CMYK: 4, DUOTONE: 1}
"""Channels of the colors by mode."""
WHITE_IS_ZERO, BLACK_IS_ZERO, TIFF_RGB, PALETTE, SEPARATED = 0, 1, 2, 3, 5
PHOTOMETRIC = {
    BITMAP: WHITE_IS_ZERO,
    GREY: BLACK_IS_ZERO,
    INDEXED: PALETTE,
    RGB: TIFF_RGB,
    CMYK: SEPARATED,
    DUOTONE: BLACK_IS_ZERO,
}
"""TIFF's color spaces by mode."""
RAW, PACKBITS = 0, 1
"""Compressions that are read."""
ICC_RESOURCE, EXIF_RESOURCE, XMP_RESOURCE, VERSION_RESOURCE = 1039, 1058, 1060, 1057
LONG_KEYS = (b"LMsk", b"Lr16", b"Lr32", b"Layr", b"Mt16", b"Mt32", b"Mtrn", b"Alph", b"FMsk", b"lnk2", b"FEid", b"FXid")
"""Blocks whose length has 8 bytes in PSB."""
LAYER_BLOCKS, TRANSPARENCY_BLOCKS = (b"Lr16", b"Lr32", b"Layr"), (b"Mt16", b"Mt32", b"Mtrn")
LONGEST_RESOURCES = 1 << 28
STRIP = 1 << 20
"""Bytes of uncompressed pixels in a strip."""


@dataclass(kw_only=True)
class _Document:
    """The parts of a document that matter."""

    large: bool
    channels: int
    height: int
    width: int
    depth: int
    mode: int
    palette: bytes = b""
    resources: dict[int, bytes] = field(default_factory=dict[int, bytes])
    transparent: bool = False
    compression: int = 0
    pixels_at: int = 0
    """Byte at which the rows' lengths or the raw pixels begin."""


class PsdFile(VipsFile):
    """A Photoshop document."""

    format = FORMATS["PSD"]
    loader = "tiffload_source"

    def __init__(self, path: Path) -> None:
        with decoder_errors(path), path.open("rb") as file:
            self._document = _read_document(file, path)
        _check(path, self._document)
        self._sources: list[object] = []
        super().__init__(path)

    def load(self, *, access: str = "random") -> pyvips.Image:
        with decoder_errors(self.path):
            source = PatchedFile(self.path, *_tiff_parts(self.path, self._document))
        self._sources.append(source)
        return pyvips.Image.tiffload_source(source.source, access=access, fail_on="error")

    def notes(self, image: pyvips.Image) -> list[str]:
        document, notes = self._document, super().notes(image)
        if document.mode == DUOTONE:
            notes.append("its duotone inks were left out: it was read as gray")
        used = COLORS[document.mode] + document.transparent
        if document.channels > used:
            first = "the first was" if used == 1 else f"the first {used} were"
            notes.append(f"of {document.channels} channels only {first} read")
        return notes

    def prepare_pixels(self, image: pyvips.Image) -> tuple[pyvips.Image, int | None]:
        if self._document.mode == CMYK:  # 0 is full ink here
            inks = image.extract_band(0, n=COLORS[CMYK]).invert()
            image = inks.bandjoin(image.extract_band(COLORS[CMYK])) if self._document.transparent else inks
        if self._document.transparent and self._document.mode in (GREY, RGB):
            image = _without_white(image)
        return image, None

    def fields(self, image: pyvips.Image) -> dict[str, tuple[object, object]]:
        resources = self._document.resources
        return super().fields(image) | fields_of_blocks(
            exif=resources.get(EXIF_RESOURCE), xmp=resources.get(XMP_RESOURCE)
        )


def _read_document(file: BinaryIO, path: Path) -> _Document:
    """Parse a document up to its pixels; raises `struct.error` or `ValueError` if it is damaged."""
    version, channels, height, width, depth, mode = struct.unpack(">4xH6xHIIHH", file.read(26))
    document = _Document(large=version == 2, channels=channels, height=height, width=width, depth=depth, mode=mode)
    document.palette = _block(file, ">I", 1 << 20)
    document.resources = _resources(_block(file, ">I", LONGEST_RESOURCES))
    (length,) = _unpack(file, ">Q" if document.large else ">I")
    end = file.tell() + length
    if end > path.stat().st_size:
        raise ValueError("it ends too early")
    beyond_colors = channels > COLORS.get(mode, channels)
    document.transparent = bool(length) and beyond_colors and _has_merged_alpha(file, end, large=document.large)
    file.seek(end)
    (document.compression,) = _unpack(file, ">H")
    document.pixels_at = file.tell()
    return document


def _check(path: Path, document: _Document) -> None:
    """Raise `PictureError` for documents that are not read."""
    name = f"{printable(path)} is a Photoshop document"
    version = document.resources.get(VERSION_RESOURCE, b"")
    if document.mode in OTHER_MODES:
        raise PictureError(f"{name} in {OTHER_MODES[document.mode]} mode; convert it to RGB first")
    if document.mode not in COLORS or document.channels < COLORS[document.mode] or document.depth not in (1, 8, 16, 32):
        raise damaged(path, "its header is invalid")
    if not (0 < document.width <= 300_000 and 0 < document.height <= 300_000) or document.channels > 56:
        raise damaged(path, "its header is invalid")
    if (document.mode == BITMAP) != (document.depth == 1) or (document.mode == INDEXED and document.depth != 8):
        raise damaged(path, "its header is invalid")
    if len(version) > 4 and not version[4]:
        raise PictureError(f"{name} without a merged picture; save it with 'Maximize Compatibility' first")
    if document.compression not in (RAW, PACKBITS):
        raise PictureError(f"{name} whose merged picture is compressed by ZIP; export it as TIFF or PNG first")


def _resources(data: bytes) -> dict[int, bytes]:
    """Image resources by number; those after a damaged one are left out."""
    found: dict[int, bytes] = {}
    with suppress(struct.error, ValueError):
        for number, resource, start, size in read_resources(data):
            found.setdefault(number, resource[start : start + size])
    return found


def _has_merged_alpha(file: BinaryIO, end: int, *, large: bool) -> bool:
    """Whether the first channel after the colors is the transparency of the merged picture."""
    size = ">Q" if large else ">I"
    (layers,) = _unpack(file, size)
    start = file.tell()
    if layers:
        return _unpack(file, ">h")[0] < 0
    file.seek(start)
    if file.tell() + 4 > end:
        return False
    file.seek(_unpack(file, ">I")[0], os.SEEK_CUR)  # the mask of all layers
    while file.tell() + 12 <= end:
        mark, key = file.read(4), file.read(4)
        if mark not in (b"8BIM", b"8B64"):
            return False
        (length,) = _unpack(file, ">Q" if large and key in LONG_KEYS else ">I")
        if key in TRANSPARENCY_BLOCKS:
            return True
        if key in LAYER_BLOCKS and length >= 2:
            return _unpack(file, ">h")[0] < 0
        file.seek(-(-length // 4) * 4, os.SEEK_CUR)
    return False


def _tiff_parts(path: Path, document: _Document) -> tuple[bytes, bytes]:
    """The TIFF header that replaces the start of the document, and the directory that follows its end."""
    size, height = path.stat().st_size, document.height
    row = -(-document.width * document.depth // 8)
    used = min(document.channels, COLORS[document.mode] + document.transparent)
    if document.compression == PACKBITS:
        rows = 1
        lengths = _row_lengths(path, document)
        start = document.pixels_at + len(lengths) * lengths.dtype.itemsize
        lengths = lengths.astype(np.uint64)
        offsets = start + np.concatenate([np.zeros(1, np.uint64), np.cumsum(lengths)[:-1]])
        lengths, offsets = lengths[: used * height], offsets[: used * height]
    else:
        rows = max(1, min(height, STRIP // row)) if used == 1 else 1  # libvips mixes up planes of taller strips
        tops = np.arange(0, height, rows)
        planes = document.pixels_at + np.arange(used)[:, None] * (row * height)
        offsets = (planes + tops * row).ravel()
        lengths = np.tile(np.minimum(rows, height - tops) * row, used)
    if int(offsets[-1] + lengths[-1]) > size:
        raise damaged(path, "it ends too early")
    dots = document.resources.get(RESOLUTION_RESOURCE, b"")
    resolution = struct.unpack_from(">I4xI", dots, 0) if len(dots) >= 12 else (0, 0)  # 16.16, pixels per inch
    tags: dict[int, list[int] | bytes | NDArray[np.uint64]] = {
        256: [document.width],
        257: [height],
        258: [document.depth] * used,
        259: [32_773 if document.compression == PACKBITS else 1],
        262: [PHOTOMETRIC[document.mode]],
        273: np.asarray(offsets, np.uint64),
        277: [used],
        278: [rows],
        279: np.asarray(lengths, np.uint64),
        284: [2 if used > 1 else 1],  # planes
        **({282: [resolution[0], 65_536], 283: [resolution[1], 65_536], 296: [2]} if all(resolution) else {}),
        **({320: [257 * v for v in document.palette[:768]]} if document.mode == INDEXED else {}),
        **({338: [2]} if document.transparent and used > COLORS[document.mode] else {}),
        **({339: [3] * used} if document.depth == 32 else {}),
        **({34_675: document.resources[ICC_RESOURCE]} if document.resources.get(ICC_RESOURCE) else {}),
    }
    start = size + size % 2
    return struct.pack(">2sHHHQ", b"MM", 43, 8, 0, start), bytes(start - size) + directory(tags, start)


def _row_lengths(path: Path, document: _Document) -> NDArray[np.unsignedinteger]:
    """The compressed length of each row of each channel."""
    dtype = np.dtype(">u4" if document.large else ">u2")
    count = document.channels * document.height
    with path.open("rb") as file:
        file.seek(document.pixels_at)
        data = file.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise damaged(path, "it ends too early")
    return np.frombuffer(data, dtype)


def _without_white(image: pyvips.Image) -> pyvips.Image:
    """Undo the white background that Photoshop puts behind the colors of a transparent picture."""
    white = 255.0 if image.format == "uchar" else 65_535.0
    if image.format not in ("uchar", "ushort"):
        return image
    alpha = image.extract_band(image.bands - 1)
    colors = image.extract_band(0, n=image.bands - 1).cast("float")
    part = alpha.cast("float") / white
    bare = (alpha > 0).ifthenelse((colors - (1 - part) * white) / (part + (alpha == 0)), white)
    bare = (bare < 0).ifthenelse(0.0, (bare > white).ifthenelse(white, bare)).rint().cast(image.format)
    return bare.bandjoin(alpha).copy(interpretation=image.interpretation)


def _block(file: BinaryIO, size: str, most: int) -> bytes:
    """A block with its length before it; raises `ValueError` if it is longer than `most` or incomplete."""
    (length,) = _unpack(file, size)
    data = file.read(length) if length <= most else b""
    if len(data) < length:
        raise ValueError("it ends too early" if length <= most else "a block of it is too long")
    return data


def _unpack(file: BinaryIO, form: str) -> tuple[int, ...]:
    data = file.read(struct.calcsize(form))
    if len(data) < struct.calcsize(form):
        raise ValueError("it ends too early")
    return struct.unpack(form, data)
