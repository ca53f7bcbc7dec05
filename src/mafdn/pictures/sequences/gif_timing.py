"""The timing of GIF animations and their comments, which libvips does not report, from the blocks of the file."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from mafdn.errors import DamagedError
from mafdn.pictures.libvips import damaged
from mafdn.pictures.sequences.sequence import Timing

EXTENSION, IMAGE, TRAILER = b"\x21", b"\x2c", b"\x3b"
"""First bytes of blocks."""
CONTROL, APPLICATION, COMMENT = b"\xf9", b"\xff", b"\xfe"
"""Second bytes of extensions."""
LOOPERS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
"""Application extensions with the number of repetitions."""

MOST_COMMENTS, LONGEST_COMMENTS = 10_000, 1 << 20
"""Comments that are read, and their bytes."""


def read_gif_comments(path: Path) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """Read the comments of a GIF file, as far as its blocks are intact.

    Returns:
        The comments, and notes on what is left out.

    Raises:
        OSError: The file cannot be read.
    """
    comments: list[bytes] = []
    left, lost = LONGEST_COMMENTS, 0
    with path.open("rb") as file, suppress(DamagedError):
        _skip_table(file, _exactly(file, 13, path)[10])
        while (kind := file.read(1)) not in (b"", TRAILER):
            if kind == EXTENSION:
                if _exactly(file, 1, path) == COMMENT:
                    comment = _content(file, path, most=left + 1)
                    if len(comment) > left or len(comments) == MOST_COMMENTS:
                        lost += 1
                    else:
                        comments.append(comment)
                        left -= len(comment)
                else:
                    _skip_blocks(file, path)
            elif kind == IMAGE:
                _skip_table(file, _exactly(file, 9, path)[8])
                _exactly(file, 1, path)
                _skip_blocks(file, path)
    notes = (f"comments that are too long or too many were left out ({lost})",) if lost else ()
    return tuple(comments), notes


def read_gif_timing(path: Path) -> Timing:
    """The timing of a GIF animation.

    A file that ends between two blocks is accepted, and what follows an unknown block is ignored, as viewers do.

    Raises:
        DamagedError: The file ends inside a block.
        OSError: The file cannot be read.
    """
    durations: list[Fraction] = []
    plays, delay = 1, 0
    with path.open("rb") as file:
        _skip_table(file, _exactly(file, 13, path)[10])
        while (kind := file.read(1)) not in (b"", TRAILER):
            if kind == EXTENSION:
                label = _exactly(file, 1, path)
                content = _content(file, path)
                if label == CONTROL and len(content) >= 4:
                    delay = int.from_bytes(content[1:3], "little")
                elif label == APPLICATION and content[:11] in LOOPERS and content[11:12] == b"\1" and len(content) > 13:
                    repeats = int.from_bytes(content[12:14], "little")
                    plays = repeats + 1 if repeats else 0
            elif kind == IMAGE:
                _skip_table(file, _exactly(file, 9, path)[8])
                _exactly(file, 1, path)
                _skip_blocks(file, path)
                durations.append(Fraction(delay, 100))
                delay = 0
            elif kind != b"\0":  # some encoders leave empty blocks behind
                break
    return Timing(durations=tuple(durations), plays=plays)


def _exactly(file: BinaryIO, length: int, path: Path) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise damaged(path, "it ends too early")
    return data


def _skip_table(file: BinaryIO, flags: int) -> None:
    """Skip the table of colors, if these flags announce one."""
    if flags & 0x80:
        file.seek(3 * 2 ** ((flags & 7) + 1), 1)


def _content(file: BinaryIO, path: Path, *, most: int = 32) -> bytes:
    """The first `most` bytes of an extension's content, to the end of a block."""
    content = bytearray()
    while size := _exactly(file, 1, path)[0]:
        block = _exactly(file, size, path)
        content += block if len(content) < most else b""
    return bytes(content)


def _skip_blocks(file: BinaryIO, path: Path) -> None:
    while size := _exactly(file, 1, path)[0]:
        _exactly(file, size, path)
