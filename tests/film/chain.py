"""From a film to its result without a network: every pixel is doubled, which keeps flat colors and durations."""

from pathlib import Path

import numpy as np

from mafdn.film.frame import FilmFrame, Pixels
from mafdn.film.options import FilmOptions
from mafdn.film.output.encode import SegmentEncoder
from mafdn.film.output.mux import join
from mafdn.film.output.plan import FilmPlan, plan_film
from mafdn.film.source.info import FilmInfo
from mafdn.film.source.reader import open_film


def doubled(pixels: Pixels) -> Pixels:
    return pixels.repeat(2, 0).repeat(2, 1)


def made_to_fit(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Double pixels, and repeat or drop the last ones: sizes may be rounded to even ones."""
    large = doubled(pixels)
    down, right = max(0, size[1] - large.shape[0]), max(0, size[0] - large.shape[1])
    return np.pad(large, ((0, down), (0, right), (0, 0)), mode="edge")[: size[1], : size[0]]


def segments_of(
    frames: list[FilmFrame], info: FilmInfo, plan: FilmPlan, folder: Path, *, length: int = 10
) -> list[Path]:
    """Encode frames in segments of `length`."""
    paths: list[Path] = []
    for start in range(0, len(frames), length):
        paths.append(folder / f"segment{start}.nut")
        with SegmentEncoder(paths[-1], info, plan) as encoder:
            for frame in frames[start : start + length]:
                encoder.write(frame, made_to_fit(frame.pixels, plan.size))
    return paths


def convert(
    source: Path, folder: Path, options: FilmOptions | None = None, *, target: Path | None = None, length: int = 10
) -> tuple[Path, FilmPlan, FilmInfo]:
    """Make the result of a film in `folder`."""
    options = options or FilmOptions()
    with open_film(source, options) as film:
        plan = plan_film(film.info, options, scale=2, target=target)
        target = target or folder / f"result.{plan.container}"
        frames = list(film.frames())
        segments = segments_of(frames, film.info, plan, folder, length=length)
        assert join(film.info, segments, target, plan=plan, options=options) == len(frames)
        return target, plan, film.info
