"""Upscaling one picture file.

Public names: :class:`Report`, :func:`upscale_file`, :func:`default_target`.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mafdn.errors import PictureError, UsageError
from mafdn.inference import Engine, Tiling, upscale
from mafdn.pictures.formats import format_of_name, sniff
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import open_picture, read_size
from mafdn.pictures.writing import check_encodable, reserve, save_picture


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was done: sizes as (width, height) in pixels, times in seconds."""

    source: Path
    target: Path
    scale: int
    size: tuple[int, int]
    new_size: tuple[int, int]
    bits: int
    engine: str
    network_seconds: float
    seconds: float
    peak_mib: float | None
    """Most memory this process has held so far, in MiB; ``None`` where the system does not tell."""
    notes: tuple[str, ...]


def default_target(source: Path, scale: int) -> Path:
    """The name a result gets when none is given: ``photo_x4.jpg`` beside ``photo.jpg``.

    The ending is the source's own where it fits its content, else that of its content.
    """
    kind = sniff(source)
    suffix = source.suffix if source.suffix.lower() in kind.suffixes else kind.suffixes[0]
    return source.with_name(f"{source.stem}_x{scale}{suffix}")


def upscale_file(
    source: Path,
    target: Path | None = None,
    *,
    engine: Engine,
    tiling: Tiling | None = None,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Upscale the picture ``source`` into ``target``, whose ending chooses the format.

    Everything that can be known beforehand (existing or unwritable target, sizes the format cannot hold)
    is checked before any work. ``target`` appears complete or not at all. Raises :class:`PictureError` and
    :class:`UsageError`.
    """
    began = time.perf_counter()
    height, width = read_size(source)
    target = target or default_target(source, engine.scale)
    kind = format_of_name(target)
    if _same_file(source, target):
        raise UsageError(f"{target} is the picture itself; give the result another name")
    check_encodable(target, kind, width=width * engine.scale, height=height * engine.scale)
    with reserve(target, overwrite=overwrite) as temporary:
        picture = open_picture(source)
        working = time.perf_counter()
        larger = _upscaled(picture, engine, tiling, on_progress)
        worked = time.perf_counter() - working
        notes = save_picture(larger, temporary, kind, name=target)
    return Report(
        source=source,
        target=target,
        scale=engine.scale,
        size=(picture.width, picture.height),
        new_size=(larger.width, larger.height),
        bits=larger.bits if kind.depth16 else 8,
        engine=f"{engine.name} {engine.version}",
        network_seconds=worked,
        seconds=time.perf_counter() - began,
        peak_mib=_peak_mib(),
        notes=picture.notes + notes,
    )


def _upscaled(
    picture: Picture, engine: Engine, tiling: Tiling | None, on_progress: Callable[[int, int], None] | None
) -> Picture:
    try:
        larger = upscale(engine, picture.planes, tiling=tiling, on_progress=on_progress)
    except MemoryError:
        raise PictureError("the result does not fit into memory; use a smaller scale") from None
    bands = picture.color.shape[2]
    return replace(picture, color=larger[..., :bands], alpha=None if picture.alpha is None else larger[..., bands])


def _peak_mib() -> float | None:
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _same_file(source: Path, target: Path) -> bool:
    try:
        return target.exists() and target.samefile(source)
    except OSError as error:
        raise PictureError(f"cannot write {target}: {error.strerror or error}") from None
