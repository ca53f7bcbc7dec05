"""Upscaling one picture file, in three stages, so that those of several files can overlap.

Public names: :func:`upscale_file`, :func:`prepare`, :class:`Prepared`, :func:`run`, :class:`Pending`, :class:`Report`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mafdn._support.atomic import shown
from mafdn._support.machine import peak_mib
from mafdn._support.validate import as_kind, as_number
from mafdn.errors import PictureError, UsageError
from mafdn.inference import Engine, upscale_rows
from mafdn.inference.engines import describe
from mafdn.pictures.encoding import Encoder, written_bits
from mafdn.pictures.formats import Format
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import resized
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import PictureHeader, read_header
from mafdn.pictures.writing import Reservation, check_encodable
from mafdn.upscaling.output import Output, check_room, choose_format, default_target
from mafdn.upscaling.recipe import enlarge
from mafdn.upscaling.size import Size, result_size


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
    waited_seconds: float
    """For the encoder, while the network had nothing to do."""
    seconds: float
    peak_mib: float | None
    """Most memory this process has held so far, in MiB; ``None`` where the system does not tell."""
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A picture that was opened, and what is to become of it; made by :func:`prepare`."""

    source: Path
    target: Path
    kind: Format
    new_size: tuple[int, int]
    strength: float
    output: Output
    limits: Limits
    picture: Picture
    reservation: Reservation
    began: float

    def close(self) -> None:
        """Give up the place of the result; for one that is never run."""
        self.reservation.discard()


class Pending:
    """A picture whose network is done and whose file is not yet; made by :func:`run`."""

    def __init__(self, prepared: Prepared, encoder: Encoder, report: Report) -> None:
        self._prepared, self._encoder, self._report = prepared, encoder, report

    @property
    def waited_seconds(self) -> float:
        """For the encoder, while the network had nothing to do."""
        return self._report.waited_seconds

    def finish(self, on_whole: Callable[[Path], None] | None = None) -> Report:
        """Wait for the encoder and give the file its name; raises :class:`PictureError`.

        ``on_whole`` is that of :meth:`Reservation.publish`.
        """
        try:
            notes = self._encoder.finish()
            self._prepared.reservation.publish(on_whole)
        finally:
            self.cancel()
        seconds = time.perf_counter() - self._prepared.began
        return replace(self._report, seconds=seconds, peak_mib=peak_mib(), notes=(*self._report.notes, *notes))

    def cancel(self) -> None:
        """End the encoder; nothing is left of the result."""
        self._encoder.cancel()
        self._prepared.close()


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
    header: PictureHeader | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Upscale the picture `source` into `target`: `prepare`, `run` and `Pending.finish`."""
    prepared = prepare(
        source,
        target,
        scale=engine.scale,
        size=size,
        strength=strength,
        output=output,
        limits=limits,
        overwrite=overwrite,
        header=header,
    )
    return run(prepared, engine, tile=tile, exact=exact, on_progress=on_progress).finish()


def prepare(
    source: Path,
    target: Path | None = None,
    *,
    scale: int,
    size: Size | None = None,
    strength: float = 1.0,
    output: Output | None = None,
    limits: Limits | None = None,
    overwrite: bool = False,
    temporary: str | None = None,
    header: PictureHeader | None = None,
) -> Prepared:
    """Open the picture ``source`` to become ``target``, whose ending chooses the format unless ``output`` does.

    Without ``size`` the result is ``scale`` times as large, as the network makes it. ``strength`` in [0, 1] is the
    network's share, the rest is Lanczos. Everything that can be known beforehand (existing or unwritable target, sizes
    beyond the format, memory, the disk or ``limits``) is checked before any work. ``target`` appears complete or not at
    all; ``temporary`` is that of :class:`Reservation`. ``header`` is that of ``source`` if it has just been read.
    Raises :class:`PictureError` and :class:`UsageError`.
    """
    began = time.perf_counter()
    strength = as_number("strength", strength, least=0, most=1)
    output = Output() if output is None else as_kind("output", output, Output)
    limits = Limits() if limits is None else as_kind("limits", limits, Limits)
    size = Size(scale=scale) if size is None else as_kind("size", size, Size)
    stated = read_header(source, limits=limits) if header is None else header
    new_size = result_size(size, stated.width, stated.height)
    kind = choose_format(stated, target, output)
    target = target or default_target(source, size, new_size, kind)
    if _same_file(source, target):
        raise UsageError(f"{shown(target)} is the picture itself; give the result another name")
    limits.check_pixels(source, *new_size, what="would become")
    check_encodable(target, kind, width=new_size[0], height=new_size[1])
    reservation = Reservation(target, overwrite=overwrite, temporary=temporary)
    try:
        check_room(
            source,
            target,
            stated=stated,
            scale=scale,
            new_size=new_size,
            kind=kind,
            lossless=output.lossless,
        )
        picture = stated.decode(limits=limits, scratch=reservation.temporary.parent)
    except BaseException:
        reservation.discard()
        raise
    return Prepared(
        source=source,
        target=target,
        kind=kind,
        new_size=new_size,
        strength=strength,
        output=output,
        limits=limits,
        picture=picture,
        reservation=reservation,
        began=began,
    )


def run(
    prepared: Prepared,
    engine: Engine,
    *,
    tile: int | None = None,
    exact: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Pending:
    """Upscale what :func:`prepare` opened; returns when the network is done and the last rows are being encoded.

    ``tile`` and ``exact`` are those of :func:`mafdn.inference.upscale`. Raises :class:`PictureError` and
    :class:`UsageError`, after which nothing is left of the result.
    """
    working = time.perf_counter()
    picture, new_size, limits = prepared.picture, prepared.new_size, prepared.limits
    encoder: Encoder | None = None
    waited = 0.0
    tick = _timed(on_progress, limits, prepared.source)
    try:
        encoder = Encoder(
            _restated(picture, new_size, prepared.output),
            prepared.reservation.temporary,
            prepared.kind,
            width=new_size[0],
            height=new_size[1],
            report_as=prepared.target,
            options=prepared.output.options,
            limits=limits,
        )
        for band in enlarge(
            picture,
            new_size,
            network=lambda rows: upscale_rows(engine, rows, tile=tile, exact=exact, on_progress=tick),
            scale=engine.scale,
            strength=prepared.strength,
        ):
            ready = time.perf_counter()
            encoder.write(band)
            waited += time.perf_counter() - ready
    except BaseException as error:
        if encoder:
            encoder.cancel()
        prepared.close()
        if isinstance(error, MemoryError):
            name = shown(prepared.source)
            raise PictureError(f"{name} does not fit into memory when enlarged; use a smaller size") from None
        raise
    report = Report(
        source=prepared.source,
        target=prepared.target,
        scale=engine.scale,
        size=(picture.width, picture.height),
        new_size=new_size,
        bits=written_bits(picture, prepared.kind),
        engine=describe(engine),
        network_seconds=time.perf_counter() - working - waited,
        waited_seconds=waited,
        seconds=0.0,
        peak_mib=None,
        notes=(*picture.notes, *_size_notes(picture, new_size, engine, prepared.strength)),
    )
    return Pending(prepared, encoder, report)


def _restated(picture: Picture, new_size: tuple[int, int], output: Output) -> Picture:
    """``picture`` with what its file says of its size made true for another."""
    width, height = new_size
    factors = (width / picture.width, height / picture.height) if output.keep_print_size else (1.0, 1.0)
    across, down = picture.pixels_per_mm
    return replace(
        picture,
        fields=resized(picture.fields, width=width, height=height, finer=factors),
        pixels_per_mm=(across * factors[0], down * factors[1]),
    )


def _size_notes(picture: Picture, new_size: tuple[int, int], engine: Engine, strength: float) -> list[str]:
    width, height = new_size
    if width <= picture.width and height <= picture.height:
        return ["the result is not larger than the picture: it was resized by Lanczos, no network was used"]
    if strength == 0:
        return []
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
        raise PictureError.from_os_error(f"cannot write {shown(target)}", error) from None
