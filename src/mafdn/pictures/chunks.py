"""What PNG and JPEG files say before their pixels that libvips does not tell.

Public names: :func:`read_chunks`, :func:`frames_of`, :func:`color_of`, :func:`count_pictures`.
"""

import io
import struct
from collections.abc import Mapping
from pathlib import Path

from mafdn.pictures.nclx import SRGB, numbered_color
from mafdn.pictures.tiff import MP_ENTRIES, parse_directory

MOST_PARTS, LONGEST_CHUNK = 10_000, 64
"""Chunks or segments that are looked at, and the bytes of a chunk that are kept."""
GAMMA = 45_455
"""What stands for the curve of sRGB, in hundred-thousandths, as everything here."""
CHROMATICITIES = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
"""White, red, green and blue of sRGB, x and y of each."""
MULTI_PICTURE = b"MPF\0"
THUMBNAILS = (0x01_0001, 0x01_0002)
"""The types of pictures in a JPEG that only repeat the first one smaller."""


def read_chunks(path: Path) -> dict[bytes, bytes]:
    """How the chunks of a PNG file before its pixels begin, by name; the first of each name."""
    chunks: dict[bytes, bytes] = {}
    with path.open("rb") as file:
        file.seek(8)
        for _ in range(MOST_PARTS):
            start = file.read(8)
            if len(start) < 8 or start[4:] == b"IDAT":
                break
            length = int.from_bytes(start[:4])
            content = file.read(min(length, LONGEST_CHUNK))
            chunks.setdefault(start[4:], content)
            file.seek(length - len(content) + 4, io.SEEK_CUR)
    return chunks


def frames_of(chunks: Mapping[bytes, bytes]) -> int:
    """The frames of an animated PNG; 1 for any other."""
    control = chunks.get(b"acTL", b"")
    return int.from_bytes(control[:4]) if len(control) == 8 else 1


def color_of(chunks: Mapping[bytes, bytes], *, grey: bool) -> tuple[bytes | None, str | None]:
    """The profile for the color that a PNG file without one states, and what is to be said of it.

    No profile means sRGB.
    """
    numbers = chunks.get(b"cICP", b"")
    if len(numbers) == 4:
        return numbered_color(SRGB if grey else numbers[0], numbers[1])
    if b"sRGB" in chunks or b"iCCP" in chunks:
        return None, None
    gamma, points = chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b"")
    odd: list[str] = []
    if len(gamma) == 4 and not _near(int.from_bytes(gamma), GAMMA, 0.02):
        odd.append("gAMA")
    if len(points) == 32 and not grey:
        stated = zip(struct.unpack(">8I", points), CHROMATICITIES, strict=True)
        odd += [] if all(_near(value, usual, 0.01) for value, usual in stated) else ["cHRM"]
    return None, f"its colors ({' and '.join(odd)}, no profile) were taken as sRGB" if odd else None


def count_pictures(path: Path) -> int:
    """The pictures in a JPEG file, as cameras write several (MPO), without mere thumbnails."""
    with path.open("rb") as file:
        file.seek(2)
        for _ in range(MOST_PARTS):
            start = file.read(4)
            if len(start) < 4 or start[0] != 0xFF or start[1] == 0xDA:
                break
            if start[1] == 0xFF:  # padding
                file.seek(-3, io.SEEK_CUR)
                continue
            length = int.from_bytes(start[2:]) - 2
            if start[1] == 0xE2 and file.read(4) == MULTI_PICTURE:
                return _listed(file.read(max(length - 4, 0)))
            file.seek(length - (4 if start[1] == 0xE2 else 0), io.SEEK_CUR)
    return 1


def _near(value: int, usual: int, share: float) -> bool:
    return abs(value - usual) <= usual * share


def _listed(index: bytes) -> int:
    """The pictures that an index of several lists; 1 when it makes no sense."""
    try:
        directory = parse_directory(io.BytesIO(index))
        entries = list(struct.iter_unpack(f"{directory.order}4I", directory.texts.get(MP_ENTRIES, b"")))
    except (ValueError, struct.error):
        return 1
    return max(1, sum(kind & 0xFF_FFFF not in THUMBNAILS for kind, *_ in entries))
