"""GIF files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyvips

from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.codecs.animated import AnimatedFile
from mafdn.pictures.codecs.base import SaveOptions
from mafdn.pictures.codecs.inserting import save_edited
from mafdn.pictures.libvips import file_name
from mafdn.pictures.limits import Limits
from mafdn.pictures.picture import Picture
from mafdn.pictures.sequences.gif_timing import read_gif_comments, read_gif_timing
from mafdn.pictures.sequences.sequence import Timing


class GifFile(AnimatedFile):
    """A GIF file."""

    format = FORMATS["GIF"]
    loader = "gifload_source"

    def read_timing(self) -> Timing:
        return read_gif_timing(self.path)

    def decode(self, limits: Limits, *, spill_folder: Path | None) -> Picture:
        _ = self.timing  # which notices a file that ends too early: libvips takes what is missing to be clear
        return super().decode(limits, spill_folder=spill_folder)

    def complete(self, picture: Picture) -> Picture:
        comments, lost = read_gif_comments(self.path)
        return replace(picture, comments=comments, lost_metadata=lost)

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        settings: dict[str, Any] = {"keep_duplicate_frames": True, "interpalette_maxerror": 0, "keep": options.keep}
        if options.comments:
            save_edited(
                lambda target: image.gifsave_target(target, **settings),
                path,
                lambda head: _with_comments(head, options.comments),
            )
        else:
            image.gifsave(file_name(path), **settings)


def _with_comments(head: bytearray, comments: Sequence[bytes]) -> bytes | None:
    """The first bytes of a file with comments after its table of colors; `None` if that is not complete."""
    place = 13
    if len(head) < place:
        return None
    place += 3 * 2 ** ((head[10] & 7) + 1) if head[10] & 0x80 else 0
    if len(head) < place:
        return None
    parts = [bytes(head[:place])]
    for comment in comments:
        blocks = [comment[start : start + 255] for start in range(0, len(comment), 255)]
        parts += [b"\x21\xfe", *(bytes([len(block)]) + block for block in blocks), b"\0"]
    return b"".join([*parts, head[place:]])
