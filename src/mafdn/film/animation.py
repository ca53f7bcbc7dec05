"""Animated pictures as a film."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np

from mafdn._support.atomic import printable, sha256
from mafdn.errors import PictureError, UsageError
from mafdn.film.assembly import Shot, Shots, color_notes, film_pixels
from mafdn.pictures.limits import Limits
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import read_header
from mafdn.pixels.alpha import opaque

MILLISECONDS = 1000
"""Units in a second of the time stamps."""
LEAST = 20
"""Shortest duration of a frame in milliseconds that viewers keep; shorter ones are shown for `USUAL`."""
USUAL = 100
"""Milliseconds for which viewers show frames that state a shorter duration, by convention."""
LONGEST = 2**31 - 1
"""Longest duration of a frame in milliseconds."""


def animated_shots(path: Path, *, limits: Limits, scratch: Path | None = None) -> Shots:
    """Return the frames of an animated picture as those of a film, over white where they are transparent.

    Args:
        path: A GIF, WebP, PNG or AVIF file with several frames.
        limits: Limits of the file.
        scratch: A folder for the decoded frames if they are large; they are kept in memory without one.

    Raises:
        UsageError: The file is a single picture, or has pages.
        PictureError: The file cannot be read.
    """
    sequence = read_header(path, limits=limits).decode_all(limits=limits, scratch=scratch)
    if sequence.timing is None or sequence.count < 2:
        raise UsageError(f"{printable(path)} is no animation; give a name for a picture, such as {path.stem}_x4.png")
    first = sequence.read(0)
    deep = first.planes.dtype != np.uint8
    stated, _ = sequence.timing.ticks(MILLISECONDS, most=LONGEST)
    durations = [duration if duration >= LEAST else USUAL for duration in stated]
    begins = [0, *accumulate(durations)]

    def read() -> Iterator[Shot]:
        for number, picture in enumerate(sequence):
            yield Shot(pixels=film_pixels(picture, path, deep=deep), begin=begins[number], duration=durations[number])

    clear = any(_is_clear(picture) for picture in sequence)
    try:
        identity = sha256(path)
    except OSError as error:
        raise PictureError.from_os_error(f"cannot read {printable(path)}", error) from None
    return Shots(
        path=path,
        first_file=path,
        identity=identity,
        count=sequence.count,
        rate=Fraction(MILLISECONDS * sequence.count, begins[-1]),
        unit=Fraction(1, MILLISECONDS),
        notes=color_notes(first, clear=clear),
        read=read,
    )


def _is_clear(picture: Picture) -> bool:
    """Whether a picture has transparent parts."""
    alpha = picture.alpha
    return alpha is not None and bool((alpha < opaque(alpha.dtype)).any())
