"""Upscaling one picture file.

Public names: :class:`Report`, :func:`upscale_file`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mafdn.errors import PictureError, UsageError
from mafdn.files import shown
from mafdn.inference import Engine, upscale
from mafdn.jobs.enlarging import enlarge
from mafdn.jobs.sizes import Size, result_size
from mafdn.jobs.targets import Output, check_room, choose_format, default_target
from mafdn.machine import peak_mib
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import resized
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import open_picture, read_header
from mafdn.pictures.writing import check_encodable, reserve, save_picture, written_bits


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was done: sizes as (width, height) in pixels, times in seconds."""

    source: Path
    target: Path
    scale: int
    """The network's; the result's is that of the two sizes."""
    size: tuple[int, int]
    new_size: tuple[int, int]
    bits: int
    engine: str
    network_seconds: float
    seconds: float
    peak_mib: float | None
    """Most memory this process has held so far, in MiB; ``None`` where the system does not tell."""
    notes: tuple[str, ...]


def upscale_file(
    source: Path,
    target: Path | None = None,
    *,
    engine: Engine,
    tile: int | None = None,
    exact: bool = False,
    size: Size | None = None,
    strength: float = 1.0,
    output: Output | None = None,
    limits: Limits | None = None,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Upscale the picture ``source`` into ``target``, whose ending chooses the format unless ``output`` does.

    ``tile`` and ``exact`` are those of :func:`mafdn.inference.upscale`.
    Without ``size`` the result is as large as the engine makes it. ``strength`` in [0, 1] is the network's share, the
    rest is Lanczos. Everything that can be known beforehand (existing or unwritable target, sizes beyond the format,
    memory, the disk or ``limits``) is checked before any work. ``target`` appears complete or not at all. Raises
    :class:`PictureError` and :class:`UsageError`.
    """
    began = time.perf_counter()
    if not 0 <= strength <= 1:
        raise UsageError(f"strength {strength} is not between 0 and 1")
    output, limits, size = output or Output(), limits or Limits(), size or Size(scale=engine.scale)
    stated = read_header(source, limits=limits)
    new_size = result_size(size, stated.width, stated.height)
    kind = choose_format(stated, target, output)
    target = target or default_target(source, size, new_size, kind)
    if _same_file(source, target):
        raise UsageError(f"{shown(target)} is the picture itself; give the result another name")
    limits.check_pixels(source, *new_size, what="would become")
    check_encodable(target, kind, width=new_size[0], height=new_size[1])
    with reserve(target, overwrite=overwrite) as temporary:
        check_room(
            source,
            target,
            stated=stated,
            scale=engine.scale,
            new_size=new_size,
            kind=kind,
            lossless=output.lossless,
        )
        picture = open_picture(source, limits=limits)
        working = time.perf_counter()
        tick = _timed(on_progress, limits, source)
        try:
            larger = enlarge(
                picture,
                new_size,
                network=lambda planes: upscale(engine, planes, tile=tile, exact=exact, on_progress=tick),
                scale=engine.scale,
                strength=strength,
            )
        except MemoryError:
            raise PictureError(f"{shown(source)} does not fit into memory when enlarged; use a smaller size") from None
        worked = time.perf_counter() - working
        notes = save_picture(
            _restated(larger, picture, output),
            temporary,
            kind,
            name=target,
            quality=output.quality,
            lossless=output.lossless,
            strip=output.strip_metadata,
            limits=limits,
        )
    return Report(
        source=source,
        target=target,
        scale=engine.scale,
        size=(picture.width, picture.height),
        new_size=new_size,
        bits=written_bits(larger, kind),
        engine=f"{engine.name} {engine.version}",
        network_seconds=worked,
        seconds=time.perf_counter() - began,
        peak_mib=peak_mib(),
        notes=(*picture.notes, *_size_notes(picture, new_size, engine), *notes),
    )


def _restated(larger: Picture, picture: Picture, output: Output) -> Picture:
    """``larger`` with what its file says of its size made true."""
    factors = (larger.width / picture.width, larger.height / picture.height) if output.keep_print_size else (1.0, 1.0)
    across, down = picture.pixels_per_mm
    return replace(
        larger,
        fields=resized(picture.fields, width=larger.width, height=larger.height, finer=factors),
        pixels_per_mm=(across * factors[0], down * factors[1]),
    )


def _size_notes(picture: Picture, new_size: tuple[int, int], engine: Engine) -> list[str]:
    width, height = new_size
    if width <= picture.width and height <= picture.height:
        return ["the result is not larger than the picture: it was resized by Lanczos, no network was used"]
    if width > picture.width * engine.scale or height > picture.height * engine.scale:
        return [f"beyond x{engine.scale} the network's result was enlarged by Lanczos"]
    return []


def _timed(on_progress: Callable[[int, int], None] | None, limits: Limits, source: Path) -> Callable[[int, int], None]:
    def tick(done: int, total: int) -> None:
        limits.check_time(source)
        if on_progress:
            on_progress(done, total)

    return tick


def _same_file(source: Path, target: Path) -> bool:
    try:
        return target.exists() and target.samefile(source)
    except OSError as error:
        raise PictureError(f"cannot write {shown(target)}: {error.strerror or error}") from None
