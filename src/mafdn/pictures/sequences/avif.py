"""AVIF animations: their frames, decoded by libavif, because libvips reads only the first.

Pillow decodes 8 bits, and imagecodecs (the extra `formats`) 10 and 12, which Pillow would reduce to 8.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mafdn._support.atomic import printable
from mafdn.errors import MissingPackageError
from mafdn.pictures.codecs.foreign.arrays import decoder_errors, over_full_range, require
from mafdn.pictures.codecs.heif.tracks import Track
from mafdn.pictures.libvips import damaged
from mafdn.pictures.picture import Pixels

SEQUENCE = b"avis"
"""Main brand of files that are animations above all."""


def is_animation(path: Path, track: Track | None) -> bool:
    """Whether a file is an animation that can be read as one, and not a picture with an animation beside it.

    Args:
        path: The file.
        track: Its track of pictures.
    """
    if track is None or track.count < 2 or track.coding != b"av01" or track.cropped:
        return False
    with path.open("rb") as file:
        return file.read(12)[8:] == SEQUENCE


def read_frames(path: Path, track: Track) -> Iterator[Pixels]:
    """Decode the frames of an animation in order.

    Args:
        path: The file.
        track: Its track of pictures.

    Yields:
        (H, W, 3 or 4) uint8, or uint16 over the full range: RGB, upright, with alpha (not premultiplied) if present.

    Raises:
        DamagedError: The file is damaged.
        MissingPackageError: A frame has 10 or 12 bits, and imagecodecs is not installed.
    """
    found = 0
    for frame in _decoded(path, track):
        turned = np.rot90(frame, track.turns)
        found += 1
        yield turned if track.mirrored is None else np.flip(turned, track.mirrored)
    if found != track.count:
        raise damaged(path, f"{found} of its {track.count} frames can be found")


def _decoded(path: Path, track: Track) -> Iterator[Pixels]:
    """The frames as they are stored."""
    if track.bits > 8:
        decoder = require("imagecodecs", path, f"is an AVIF animation of {track.bits} bits")
        with decoder_errors(path):
            # Never with `index`, which makes version 2026.3.6 write beyond the array.
            frames = decoder.avif_decode(path.read_bytes())
        if frames.ndim != 4:
            raise damaged(path, f"only one of its {track.count} frames can be found")
        if frames.dtype != np.uint16:
            raise damaged(path, "its depths disagree")
        yield from (over_full_range(frame, track.bits) for frame in frames)
        return
    from PIL import AvifImagePlugin

    if not AvifImagePlugin.SUPPORTED:
        raise MissingPackageError(f"{printable(path)} is an AVIF animation, which Pillow was built without: install it")
    with path.open("rb") as file, decoder_errors(path), AvifImagePlugin.AvifImageFile(file) as picture:
        for number in range(picture.n_frames):
            picture.seek(number)
            yield np.asarray(picture)
