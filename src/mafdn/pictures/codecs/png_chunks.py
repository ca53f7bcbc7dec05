"""Chunks of PNG files as raw data: writing them into a file while libvips encodes it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyvips

from mafdn.pictures.picture import PngChunk

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT_KINDS = (b"tEXt", b"zTXt", b"iTXt")
"""Kinds of chunks with texts."""
REPEATABLE = frozenset({*TEXT_KINDS, b"sPLT"})
"""Kinds of which a file may have several chunks."""


def save_with_chunks(image: pyvips.Image, path: Path, chunks: Sequence[PngChunk], **options: Any) -> None:
    """Encode `image` as PNG, with further chunks directly after its header.

    They replace chunks of the same kind that libvips writes, unless a file may have several of the kind.

    Args:
        image: The image.
        path: The file.
        chunks: Chunks that belong before the pixels, in the order of the file.
        options: Arguments of libvips's `pngsave`.

    Raises:
        pyvips.Error: From libvips.
        OSError: The file cannot be written.
    """
    with path.open("wb") as file:
        writer = _ChunkInserter(file, chunks)
        target = pyvips.TargetCustom()
        target.on_write(writer.write)
        try:
            image.pngsave_target(target, **options)
        except pyvips.Error:
            if writer.error:
                raise writer.error from None
            raise


class _ChunkInserter:
    """Passes a PNG file on to `file` while it is encoded, with chunks inserted before the pixels.

    Attributes:
        error: What the system reported, after `write` has returned -1.
    """

    def __init__(self, file: BinaryIO, chunks: Sequence[PngChunk]) -> None:
        self._file, self._chunks = file, chunks
        self._head: bytearray | None = bytearray()
        self.error: OSError | None = None

    def write(self, part: Any) -> int:
        """Take the next bytes of the file; returns their number, or -1 on failure."""
        try:
            if self._head is None:
                self._file.write(part)
            else:
                self._head += part
                self._write_head()
        except OSError as error:  # must not reach libvips, which called this
            self.error = error
            return -1
        return len(part)

    def _write_head(self) -> None:
        """Write everything up to here once the first chunk of pixels has begun."""
        assert self._head is not None
        pixels_at = _pixels_at(self._head)
        if pixels_at is None:
            return
        head = bytes(self._head)
        header, *others = _split(head, pixels_at)
        replaced = {chunk.kind for chunk in self._chunks} - REPEATABLE
        kept = [chunk for chunk in others if chunk[4:8] not in replaced]
        self._file.write(
            b"".join([SIGNATURE, header, *(chunk.encoded() for chunk in self._chunks), *kept, head[pixels_at:]])
        )
        self._head = None


def _pixels_at(head: bytearray) -> int | None:
    """Where the first IDAT chunk begins in the first bytes of a file; `None` if it is not among them."""
    place = len(SIGNATURE)
    while len(head) >= place + 8:
        if head.startswith(b"IDAT", place + 4):
            return place
        place += 12 + int.from_bytes(head[place : place + 4])
    return None


def _split(head: bytes, end: int) -> Iterator[bytes]:
    """The encoded chunks before `end`."""
    place = len(SIGNATURE)
    while place < end:
        after = place + 12 + int.from_bytes(head[place : place + 4])
        yield head[place:after]
        place = after
