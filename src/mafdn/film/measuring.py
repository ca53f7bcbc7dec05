"""The pace of a film, measured on a part of its first frame."""

from contextlib import closing
from pathlib import Path
from time import perf_counter as clock

import numpy as np

from mafdn.film.choice import Networks, as_shown, exact_size, select
from mafdn.film.frame import Pixels
from mafdn.film.options import FilmOptions
from mafdn.film.reuse import FrameUpscaler
from mafdn.film.source.reader import open_film
from mafdn.upscaling.folder.films import FilmSample


def measure_film(path: Path, *, networks: Networks, options: FilmOptions, side: int) -> FilmSample:
    """Upscale the middle of the first selected frame of a film.

    Args:
        path: The film.
        networks: The networks to use.
        options: What is upscaled, and how.
        side: Most pixels of the part across and down.

    Raises:
        MafdnError: The film cannot be read, or the network not be opened.
    """
    with closing(open_film(path, options)) as film:
        requested, shown = options.upscale.requested_size, as_shown(film.info)
        engine = select(networks, film).engine(requested, *shown)
        width, height = exact_size(film.info, options.upscale.effective_size(engine.scale))
        part = _middle(next(film.frames()).pixels, side)
    size = part.shape[1], part.shape[0]
    new_size = (max(1, round(size[0] * width / film.info.width)), max(1, round(size[1] * height / film.info.height)))
    seconds = 0.0
    for _ in range(2):  # the first time, the engine prepares for this size
        began = clock()
        FrameUpscaler(engine, new_size, options.upscale).upscale(part)
        seconds = clock() - began
    return FilmSample(size=size, new_size=new_size, seconds=seconds)


def _middle(pixels: Pixels, side: int) -> Pixels:
    top, left = (max(0, (length - side) // 2) for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])
