"""JPEG XL files: a naked codestream, or a container of boxes with metadata (ISO/IEC 18181-2)."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mafdn.errors import MissingPackageError
from mafdn.pictures.codecs.boxes import Box, box, boxes
from mafdn.pictures.codecs.foreign.arrays import require
from mafdn.pictures.codecs.jxl.header import START

SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
FILE_TYPE = box(b"ftyp", b"jxl \0\0\0\0jxl ")
HIGH_LEVEL = box(b"jxll", b"\x0a")
"""States that decoding needs more than the basic level."""
LONGEST_METADATA = 1 << 24
EXIF, XMP = b"Exif", b"xml "


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Metadata of a file."""

    exif: bytes | None = None
    xmp: bytes | None = None
    notes: tuple[str, ...] = ()


def read_codestream(file: BinaryIO, most: int | None = None) -> bytes:
    """The codestream in a file, or its first `most` bytes."""
    if file.read(len(START)) == START:
        file.seek(0)
        return file.read() if most is None else file.read(most)
    parts: dict[int, bytes] = {}
    left = most
    for part in _boxes(file):
        if part.kind == b"jxlc":
            return part.read(file, most)
        if part.kind == b"jxlp" and left != 0:
            number = struct.unpack(">I", part.read(file, 4).rjust(4, b"\0"))[0] & 0x7FFF_FFFF
            parts[number] = content = Box(part.kind, part.start + 4, part.end).read(file, left)
            left = None if left is None else left - len(content)
    return b"".join(parts[number] for number in sorted(parts))


def read_metadata(path: Path) -> Metadata:
    """The EXIF and XMP of a file, uncompressed, and what could not be read of them."""
    found: dict[bytes, bytes] = {}
    notes: list[str] = []
    with path.open("rb") as file:
        if file.read(len(START)) == START:
            return Metadata()
        for part in _boxes(file):
            compressed = part.kind == b"brob"  # by Brotli
            kind = part.read(file, 4) if compressed else part.kind
            if kind in (EXIF, XMP) and kind not in found:  # of several, the first counts
                found[kind] = part.read(file, LONGEST_METADATA)
                if compressed:
                    found[kind] = _decompressed(path, found[kind][4:])
                    notes += [] if found[kind] else [f"its {_name(kind)} is damaged: it was left out"]
            elif kind == b"jhgm":
                notes.append("its HDR gain map was left out")
    exif = found.get(EXIF, b"")
    if len(exif) > 4:  # its offset in the box comes first
        exif = exif[4 + int.from_bytes(exif[:4]) :]
    return Metadata(exif=exif or None, xmp=found.get(XMP) or None, notes=tuple(notes))


def contained(codestream: bytes, *, exif: bytes | None, xmp: bytes | None, high_level: bool) -> bytes:
    """A file; a naked codestream if there is nothing to put beside it."""
    if not exif and not xmp and not high_level:
        return codestream
    parts = [SIGNATURE, FILE_TYPE]
    parts += [HIGH_LEVEL] if high_level else []
    parts += [box(EXIF, bytes(4) + exif)] if exif else []
    parts += [box(XMP, xmp)] if xmp else []
    return b"".join([*parts, box(b"jxlc", codestream)])


def is_high_level(data: bytes) -> bool:
    """Whether a file in memory states the high level."""
    return data.startswith(SIGNATURE) and HIGH_LEVEL in data[:64]


def _boxes(file: BinaryIO) -> list[Box]:
    return list(boxes(file, 0, file.seek(0, os.SEEK_END)))


def _decompressed(path: Path, content: bytes) -> bytes:
    """Brotli's output; empty if it is damaged."""
    codecs = require("imagecodecs", path, "is JPEG XL")
    try:
        return bytes(codecs.brotli_decode(content, out=LONGEST_METADATA))[:LONGEST_METADATA]
    except MissingPackageError:
        raise
    except (RuntimeError, ValueError):
        return b""


def _name(kind: bytes) -> str:
    return "EXIF" if kind == EXIF else "XMP"
