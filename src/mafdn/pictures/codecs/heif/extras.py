"""What HEIC and AVIF files hold beside the main picture, and what becomes of it: nothing, with a note."""

import itertools
import struct
from collections.abc import Generator

from mafdn.pictures.codecs.heif.boxes import MOST_BOXES, boxes
from mafdn.pictures.codecs.heif.colors import GAIN_MAPS
from mafdn.pictures.codecs.heif.items import ALPHA, tree_of

ALPHA_OF_HEVC, DEPTH_OF_HEVC = b"urn:mpeg:hevc:2015:auxid:1\0", b"urn:mpeg:hevc:2015:auxid:2\0"
"""Further types of auxiliary pictures that are transparency and depth."""
NOTED_ELSEWHERE = (ALPHA, ALPHA_OF_HEVC, *GAIN_MAPS)
"""Types of auxiliary pictures that are read, or have a note of their own."""
DEPTH = (b"depth", b"disparity")
"""Parts of types that are depth."""


def notes_on_extras(meta: bytes | None, *, video: bool) -> list[str]:
    """Return notes on depth maps, mattes and other auxiliary pictures, and on the video of a motion photo.

    Args:
        meta: The box `meta` of the file, if it has one.
        video: Whether the file has a video.
    """
    try:
        kinds = {_kind(name) for name in _auxiliary_types(meta)} if meta else set[str]()
    except (struct.error, IndexError, ValueError, StopIteration):  # damaged: the decoder says so if it matters
        kinds = set[str]()
    notes = [f"its {kind} left out" for kind in sorted(kinds)]
    return [*notes, "its video was left out"] if video else notes


def _auxiliary_types(meta: bytes) -> Generator[bytes]:
    """The types of auxiliary pictures that are neither read nor noted elsewhere."""
    tree = tree_of(meta, next(boxes(meta)))
    if b"ipco" not in tree:
        return
    for box in itertools.islice(boxes(meta, tree[b"ipco"].content, tree[b"ipco"].end), MOST_BOXES):
        name = meta[box.content + 4 : box.end]
        if box.kind == b"auxC" and not name.startswith(NOTED_ELSEWHERE):
            yield name


def _kind(name: bytes) -> str:
    """What an auxiliary picture of this type is, and that it was."""
    if name.startswith(DEPTH_OF_HEVC) or any(part in name for part in DEPTH):
        return "depth map was"
    return "mattes were" if b"matte" in name else "auxiliary pictures were"
