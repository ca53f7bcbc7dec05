"""A part of a frame and of its result as two pictures, to look at while a film is upscaled."""

from pathlib import Path

import numpy as np

from mafdn._support.atomic import printable, replacing
from mafdn.errors import EncodeError
from mafdn.film.frame import Pixels
from mafdn.film.names import name_beside
from mafdn.pictures.encoding import save_picture
from mafdn.pictures.formats import FORMATS
from mafdn.pictures.picture import Picture
from mafdn.pixels.resize import imresize

LARGEST = (640, 480)
"""Largest width and height of the part of the result, in pixels."""
NAMES = ("{}.before.png", "{}.after.png")
"""Names of the pictures, made from that of the result."""


def thumbnail_paths(target: Path) -> tuple[Path, ...]:
    """Return the paths of the two pictures beside the result of a film."""
    return tuple(target.with_name(name_beside(name, target.name)) for name in NAMES)


def write_thumbnails(target: Path, frame: Pixels, result: Pixels) -> tuple[Path, ...]:
    """Write the middle of a result, and the same part of the frame, enlarged by Lanczos to the same size.

    Both replace those of an earlier frame.

    Args:
        target: The result of the film; the pictures are written beside it.
        frame: (H, W, 3) uint8 or uint16.
        result: (any, any, 3) of the same type.

    Returns:
        The paths of the two pictures.

    Raises:
        EncodeError: They cannot be written.
    """
    (height, width), (new_height, new_width) = frame.shape[:2], result.shape[:2]
    rows, columns = _middle(new_height, LARGEST[1]), _middle(new_width, LARGEST[0])
    before = imresize(
        frame[
            rows.start * height // new_height : -(-rows.stop * height // new_height),
            columns.start * width // new_width : -(-columns.stop * width // new_width),
        ],
        shape=(rows.stop - rows.start, columns.stop - columns.start),
        kernel="lanczos3",
    )
    paths = thumbnail_paths(target)
    kind = FORMATS["PNG"]
    for path, pixels in zip(paths, (before, np.ascontiguousarray(result[rows, columns])), strict=True):
        try:
            with replacing(path) as temporary:
                save_picture(Picture(planes=pixels, format=kind), temporary, kind, report_as=path)
        except OSError as error:
            raise EncodeError.from_os_error(f"cannot write {printable(path)}", error) from None
    return paths


def _middle(length: int, most: int) -> slice:
    size = min(length, most)
    return slice((length - size) // 2, (length - size) // 2 + size)
