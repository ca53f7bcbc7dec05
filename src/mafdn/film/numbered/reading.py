"""Numbered pictures as a film."""

import hashlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.film.assembly import Shot, Shots, color_notes, film_pixels
from mafdn.film.numbered.names import Numbering
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import open_picture

NAMED = 3
"""Missing numbers that a note names."""


def numbered_shots(pictures: Numbering, *, rate: Fraction, limits: Limits) -> Shots:
    """Return numbered pictures as the frames of a film.

    Args:
        pictures: The pictures, all of one size.
        rate: Frames per second.
        limits: Limits for each picture.

    Raises:
        PictureError: There is no such picture, or the first one cannot be read.
    """
    numbered = pictures.numbered()
    files = list(numbered.values())
    first = open_picture(files[0], limits=limits)
    deep = first.planes.dtype != np.uint8

    def read() -> Iterator[Shot]:
        for number, path in enumerate(files):
            picture = first if number == 0 else open_picture(path, limits=limits)
            if (picture.width, picture.height) != (first.width, first.height):
                raise PictureError(
                    f"{printable(path)} has {picture.width}x{picture.height} pixels, and {printable(files[0].name)} "
                    f"{first.width}x{first.height}; the pictures of a film have one size"
                )
            yield Shot(pixels=film_pixels(picture, path, deep=deep), begin=number, duration=1)

    return Shots(
        path=pictures.path,
        first_file=files[0],
        identity=_identity(files, rate),
        count=len(files),
        rate=rate,
        unit=1 / rate,
        notes=(*_missing(list(numbered)), *color_notes(first, clear=first.transparent)),
        read=read,
    )


def _missing(numbers: Sequence[int]) -> tuple[str, ...]:
    """Say which numbers are missing between the first and the last one, as after a rendering that was interrupted."""
    count = numbers[-1] - numbers[0] + 1 - len(numbers)
    if count == 0:
        return ()
    between = (number for one, other in pairwise(numbers) for number in range(one + 1, other))
    named = ", ".join(str(number) for number in islice(between, NAMED)) + (", …" if count > NAMED else "")
    which = f"the number {named} is" if count == 1 else f"{count:,} numbers ({named}) are"
    return (f"{which} missing; the film is shorter by as many frames",)


def _identity(files: Sequence[Path], rate: Fraction) -> str:
    """Return a digest of the names, sizes and times of pictures, and of the rate."""
    parts = [str(rate)]
    try:
        for path in files:
            status = path.stat()
            parts.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
    except OSError as error:
        raise PictureError.from_os_error(f"cannot read {printable(files[0].parent)}", error) from None
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
