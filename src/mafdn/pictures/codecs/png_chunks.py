"""Chunks of PNG files as raw data: copied from one file into another while libvips encodes that."""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyvips

from mafdn.pictures.codecs.inserting import save_edited
from mafdn.pictures.metadata import listed
from mafdn.pictures.picture import PNG_SIGNATURE, PngChunk

END = PngChunk(kind=b"IEND", data=b"").encoded()
TEXT_KINDS = (b"tEXt", b"zTXt", b"iTXt")
"""Kinds of chunks with texts."""
PALETTE = 3
"""The color type of pixels that are numbers of colors."""
XMP_KEYWORD = b"XML:com.adobe.xmp\0"
"""Keyword of the text chunk with XMP, which libvips reads and writes."""
REPEATABLE = frozenset({*TEXT_KINDS, b"sPLT"})
"""Kinds of which a file may have several chunks."""
COPIED = frozenset({*REPEATABLE, b"tIME"})
"""Known kinds that hold for a picture of any size, although not all are marked as safe to copy."""
READ_ELSEWHERE = frozenset(
    b"IHDR PLTE IDAT IEND tRNS iCCP cHRM gAMA sRGB cICP mDCV cLLI eXIf pHYs acTL fcTL fdAT iDOT".split()
)
"""Kinds that are read otherwise, or that only describe how the file stores its pixels."""
BOUND_TO_PIXELS = frozenset(b"hIST oFFs vpAg caNv npTc npOl npLb".split())
"""Kinds that state colors by number or places in pixels, some of them marked as safe to copy."""
LONGEST_COPY, MOST_COPIED = 8 << 20, 32 << 20
"""Bytes in a copied chunk (of more, libpng reads none), and in all of a file."""
LONGEST_PROFILE = 16 << 20
"""Bytes in a decompressed color profile."""
MOST_CHUNKS = 1_000_000
"""Chunks that are looked at."""


@dataclass(frozen=True, kw_only=True)
class PngMetadata:
    """What a PNG file holds that libvips does not report."""

    chunks: tuple[PngChunk, ...]
    """Chunks to copy into a PNG file of another size, with the background color as `background_chunk` has it."""
    lost: tuple[str, ...]
    """Notes on chunks that are left out."""
    profile: bytes | None
    """The color profile; empty if it is damaged, `None` if there is none."""
    shape_only: bool
    """Whether the print resolution is only the ratio of a pixel's sides."""


def find_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Find the chunks of a PNG file, up to the end of the picture or of the file.

    Yields:
        The kind of each chunk, the first byte of its data, at which `file` then stands, and their length as stated.
    """
    place, kind = len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = int.from_bytes(head[:4]), head[4:]
        yield kind, place + 8, length
        place += 12 + length


def read_metadata(path: Path) -> PngMetadata:
    """Read all chunks of a PNG file but those of the pixels; raises `OSError`."""
    with path.open("rb") as file:
        return _Scan(file).result()


class _Scan:
    """Goes through the chunks of a file once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._copied, self._total = file, list[PngChunk](), 0
        self._lost: dict[str, None] = {}
        self._long = self._damaged = 0
        self._profile: bytes | None = None
        self._header = self._palette = b""
        self._shape_only = False
        self._after = False
        for number, (kind, _, length) in enumerate(find_chunks(file)):
            if not kind.isalpha() or kind == b"IEND":
                break
            if number == MOST_CHUNKS:
                self._lost["chunks after the first million"] = None
                break
            self._visit(kind, length)

    def result(self) -> PngMetadata:
        """What was found."""
        lost = [f"its {listed(list(self._lost))} data were left out"] if self._lost else []
        if self._long:
            lost.append(f"chunks that are too long were left out ({self._long})")
        if self._damaged:
            lost.append(f"chunks that are damaged were left out ({self._damaged})")
        return PngMetadata(
            chunks=tuple(self._copied), lost=tuple(lost), profile=self._profile, shape_only=self._shape_only
        )

    def _visit(self, kind: bytes, length: int) -> None:
        """Handle a chunk at whose data the file stands."""
        if kind == b"IDAT":
            self._after = True
        wanted = kind in COPIED or (kind[0] & kind[3] & 0x20 and kind not in READ_ELSEWHERE | BOUND_TO_PIXELS)
        if wanted or kind in (b"IHDR", b"PLTE", b"pHYs", b"bKGD", b"sBIT", b"iCCP"):
            data = self._data(kind, length, limit=LONGEST_PROFILE if kind == b"iCCP" else LONGEST_COPY)
            if data is not None:
                self._take(kind, data)
            return
        if kind not in READ_ELSEWHERE:
            self._lost[kind.decode()] = None

    def _data(self, kind: bytes, length: int, *, limit: int) -> bytes | None:
        if length > limit or self._total + length > MOST_COPIED:
            self._long += 1
            return None
        data, check = self._file.read(length), self._file.read(4)
        if len(data) < length or check != zlib.crc32(kind + data).to_bytes(4):
            self._damaged += 1
            return None
        self._total += length
        return data

    def _take(self, kind: bytes, data: bytes) -> None:
        match kind:
            case b"IHDR":
                self._header = data
            case b"PLTE":
                self._palette = data
            case b"pHYs":
                self._shape_only = len(data) == 9 and data[8] == 0
                if self._shape_only and data[:4] != data[4:8]:
                    self._add(kind, data)
            case b"iCCP":
                self._profile = _decompressed_profile(data)
            case b"bKGD":
                color = background_chunk(data, self._header, self._palette)
                self._add(kind, color) if color else self._lost.setdefault("bKGD")
            case b"sBIT":
                depth = 8 if self._header[9:10] == b"\3" else int.from_bytes(self._header[8:9])
                if any(bits < depth for bits in data):
                    self._lost["sBIT"] = None
            case _:
                if kind not in TEXT_KINDS or not data.startswith(XMP_KEYWORD):
                    self._add(kind, data)

    def _add(self, kind: bytes, data: bytes) -> None:
        self._copied.append(PngChunk(kind=kind, data=data, after_pixels=self._after))


def xmp_chunk(packet: bytes) -> PngChunk:
    """The chunk for an XMP packet as specified (XMP, part 3); libvips would write a compressed `zTXt`."""
    return PngChunk(kind=b"iTXt", data=XMP_KEYWORD + bytes(4) + packet)


def background_chunk(data: bytes, header: bytes, palette: bytes) -> bytes | None:
    """Convert a background color to one for pixels as they are decoded: grey or RGB of 8 or 16 bits.

    Args:
        data: Data of the bKGD chunk.
        header: Data of the IHDR chunk.
        palette: Data of the PLTE chunk; empty without one.

    Returns:
        Data of a bKGD chunk, 2 bytes for grey and 6 for RGB; `None` if it is invalid.
    """
    if len(header) != 13:
        return None
    bits, color = header[8], header[9]
    if color == PALETTE:
        entry = palette[3 * data[0] : 3 * data[0] + 3] if len(data) == 1 else b""
        return struct.pack(">3H", *entry) if len(entry) == 3 else None
    if len(data) != (6 if color & 2 else 2):
        return None
    top = 2**bits - 1
    values = [value & top for value in struct.unpack(f">{len(data) // 2}H", data)]
    return struct.pack(f">{len(values)}H", *(value * 255 // top if bits < 8 else value for value in values))


def _decompressed_profile(data: bytes) -> bytes:
    """The color profile in an iCCP chunk; empty if it is damaged."""
    name, zero, compressed = data.partition(b"\0")
    if not name or not zero or compressed[:1] != b"\0":
        return b""
    try:
        return zlib.decompressobj().decompress(compressed[1:], LONGEST_PROFILE)
    except zlib.error:
        return b""


def save_with_chunks(image: pyvips.Image, path: Path, chunks: Sequence[PngChunk], **options: Any) -> None:
    """Encode `image` as PNG, with further chunks directly after its header, or after its pixels.

    They replace chunks of the same kind that libvips writes, unless a file may have several of the kind.

    Args:
        image: The image.
        path: The file.
        chunks: The chunks, in the order of the file.
        options: Arguments of libvips's `pngsave`.

    Raises:
        pyvips.Error: From libvips.
        OSError: The file cannot be written.
    """
    early = [chunk for chunk in chunks if not chunk.after_pixels]
    late = [chunk.encoded() for chunk in chunks if chunk.after_pixels]
    save_edited(lambda target: image.pngsave_target(target, **options), path, lambda head: _with_chunks(head, early))
    if late:
        with path.open("rb+") as file:
            file.seek(-len(END), io.SEEK_END)
            file.write(b"".join([*late, END]))


def _with_chunks(head: bytearray, chunks: Sequence[PngChunk]) -> bytes | None:
    """The first bytes of a file with chunks inserted; `None` before its pixels have begun."""
    pixels_at = _pixels_at(head)
    if pixels_at is None:
        return None
    content = bytes(head)
    header, *others = _split(content, pixels_at)
    replaced = {chunk.kind for chunk in chunks} - REPEATABLE
    kept = [chunk for chunk in others if chunk[4:8] not in replaced]
    return b"".join([PNG_SIGNATURE, header, *(chunk.encoded() for chunk in chunks), *kept, content[pixels_at:]])


def _pixels_at(head: bytearray) -> int | None:
    """Where the first IDAT chunk begins in the first bytes of a file; `None` if it is not among them."""
    place = len(PNG_SIGNATURE)
    while len(head) >= place + 8:
        if head.startswith(b"IDAT", place + 4):
            return place
        place += 12 + int.from_bytes(head[place : place + 4])
    return None


def _split(head: bytes, end: int) -> Iterator[bytes]:
    """The encoded chunks before `end`."""
    place = len(PNG_SIGNATURE)
    while place < end:
        after = place + 12 + int.from_bytes(head[place : place + 4])
        yield head[place:after]
        place = after
