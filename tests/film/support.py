"""Upscaling films in tests, and comparing them with their results."""

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mafdn.film.options import FilmOptions
from mafdn.film.report import FilmReport
from mafdn.film.run import upscale_film_file
from mafdn.film.segments import SUFFIX
from mafdn.inference.engines import Engine
from mafdn.upscaling.networks import NetworkSet
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.size import Size
from tests.film import films, oracle
from tests.support import Repeat

BLOCK = 16
"""Side of blocks of a film in pixels whose mean colors are compared."""
MILLISECOND = Fraction(1, 1000)

LENGTH = 5
"""Frames of a segment where runs are interrupted."""
CODING: dict[str, Any] = {"preset": "ultrafast", "segment_frames": LENGTH}
"""Options of films that are quickly encoded in several segments."""


class Fixed(NetworkSet):
    """One engine, whatever the size."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._only = engine

    def scale_for(self, size: Size | None, width: int, height: int) -> int:  # noqa: ARG002
        return self._only.scale

    def engine(self, scale: int, *, bits: int = 8) -> Engine:  # noqa: ARG002
        return self._only

    def digest(self, size: Size | None, width: int, height: int, *, bits: int = 8) -> str:  # noqa: ARG002
        return self._only.name


def run(source: Path, target: Path | None = None, *, engine: Engine | None = None, **options: Any) -> FilmReport:
    """Upscale a film with an engine that repeats pixels, or another one; `options` are those of `FilmOptions`."""
    whole = {name: options.pop(name) for name in ("size", "overwrite", "limits", "tile") if name in options}
    chosen = FilmOptions(upscale=UpscaleOptions(**whole), **options)
    return upscale_film_file(source, target, networks=Fixed(engine or Repeat()), options=chosen)


def folder_of(target: Path) -> Path:
    """The folder in which the segments of a result are."""
    return target.with_name(f".{target.name}.mafdn")


def segments_in(folder: Path) -> set[str]:
    """The names of the segments in a folder, which a run may remove meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return {path.name for path in folder.iterdir() if path.suffix == SUFFIX}
    return set()


def same_but_larger(before: Path, after: Path, *, scale: int = 2, dropped: int = 0) -> None:
    """Assert that everything but the size of the frames is as in the film, by ffprobe."""
    old, new = oracle.probe(before), oracle.probe(after)
    exact = before.suffix == after.suffix
    assert len([s for s in new.streams if s.kind == "video"]) == 1
    width, height = old.video.size
    assert new.video.size == (width * scale, height * scale)
    assert new.video.aspect == old.video.aspect
    assert new.video.rotation == old.video.rotation
    assert new.video.tags == old.video.tags
    assert old.video.color.items() - {("color_space", "gbr")} <= new.video.color.items()
    for kind in ("Mastering display metadata", "Content light level metadata"):
        assert new.video.side.get(kind) == old.video.side.get(kind)
    assert (new.chapters, new.tags.get("title")) == (old.chapters, old.tags.get("title"))

    old_times, new_times = oracle.frames(before), oracle.frames(after)
    assert len(new_times) == len(old_times)
    unit = Fraction(0) if exact else MILLISECOND
    for one, other in zip(old_times, new_times, strict=True):
        assert abs(one.begin - other.begin) <= unit
    if exact:  # other containers count the duration from another moment
        assert abs(old.duration - new.duration) < 0.05

    old_others, new_others = ([s for s in film.streams if s.kind != "video"] for film in (old, new))
    assert len(new_others) == len(old_others) - dropped
    if dropped:
        return
    for one, other in zip(old_others, new_others, strict=True):
        assert (other.kind, other.codec, other.tags) == (one.kind, one.codec, one.tags)
        assert other.disposition == one.disposition
        if one.kind == "attachment":
            assert other.about["extradata_size"] == one.about["extradata_size"]
            continue
        if one.codec == "bin_data":
            continue  # the text of chapters in MP4, which is written anew
        which = str(one.about["index"]), str(other.about["index"])
        (early, content), (late, copied) = oracle.packets(before, which[0]), oracle.packets(after, which[1])
        assert copied == content
        for one_shown, other_shown in zip(early, late, strict=True):
            assert abs(one_shown.begin - other_shown.begin) <= unit


def color_error(before: Path, after: Path, *, scale: int = 2) -> float:
    """The mean difference of mean colors of blocks of a film's frames and its result's, as FFmpeg decodes them."""
    small, large = (films.decoded(path, form="rgb24") for path in (before, after))
    assert len(small) == len(large)
    worst = 0.0
    for one, other in zip(small, large, strict=True):
        assert other.shape[:2] == (one.shape[0] * scale, one.shape[1] * scale)
        worst = max(worst, float(np.abs(_blocks(one, BLOCK) - _blocks(other, BLOCK * scale)).mean()))
    return worst


def _blocks(frame: np.ndarray[Any, Any], side: int) -> np.ndarray[Any, Any]:
    """Mean colors of square blocks."""
    height, width = (size // side * side for size in frame.shape[:2])
    return frame[:height, :width].reshape(height // side, side, width // side, side, 3).mean((1, 3))
