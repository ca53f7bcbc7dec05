"""Upscaling one picture file, in three stages, so that those of several files can overlap."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn._support.machine import peak_mib
from mafdn.errors import PictureError, UsageError
from mafdn.inference import Engine, upscale_rows
from mafdn.inference.engines import describe
from mafdn.pictures.encoding import Encoder, check_colors
from mafdn.pictures.formats import Format
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import with_new_size
from mafdn.pictures.picture import Picture
from mafdn.pictures.profiles import picture_tone
from mafdn.pictures.reading import PictureHeader, read_header
from mafdn.pictures.writing import Reservation
from mafdn.pixels.enlarge import enlarge
from mafdn.pixels.tone import Tone
from mafdn.upscaling.networks import Networks
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.output import choose_format, default_target, encode_options
from mafdn.upscaling.preflight import check_encodable, check_room
from mafdn.upscaling.size import result_size


@dataclass(frozen=True, kw_only=True)
class Report:
    """The outcome of upscaling one file.

    Attributes:
        source: The picture.
        target: The result.
        scale: Scale of the network; the factor of the result follows from the two sizes.
        size: Width and height of the picture, in pixels.
        new_size: Width and height of the result, in pixels.
        bits: Bits per channel of the result.
        engine: Name, version, device and precision of the engine.
        network_seconds: Time spent in the network.
        waited_seconds: Time during which the network waited for the encoder.
        seconds: Time for the whole picture.
        peak_mib: Peak memory of this process so far, in MiB; `None` if the system does not report it.
        notes: What was not kept or not done as expected, one sentence each.
    """

    source: Path
    target: Path
    scale: int
    size: tuple[int, int]
    new_size: tuple[int, int]
    bits: int
    engine: str
    network_seconds: float
    waited_seconds: float
    seconds: float
    peak_mib: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An opened picture and the place of its result; created by `prepare`."""

    source: Path
    target: Path
    kind: Format
    new_size: tuple[int, int]
    options: UpscaleOptions
    picture: Picture
    tone: Tone | None
    reservation: Reservation
    began: float

    def close(self) -> None:
        """Release the place of the result; needed if `run` is never called."""
        self.reservation.discard()


class Pending:
    """A picture whose network has finished and whose file has not; created by `run`."""

    def __init__(self, prepared: Prepared, encoder: Encoder, report: Report) -> None:
        self._prepared, self._encoder, self._report = prepared, encoder, report

    @property
    def waited_seconds(self) -> float:
        """Time during which the network waited for the encoder."""
        return self._report.waited_seconds

    def finish(self, on_whole: Callable[[Path], None] | None = None) -> Report:
        """Wait for the encoder and rename the file to its target; raises `PictureError`.

        `on_whole` is called with the complete temporary file before it is renamed, and may raise to prevent that.
        """
        try:
            notes = self._encoder.finish()
            self._prepared.reservation.publish(on_whole)
        finally:
            self.cancel()
        seconds = time.perf_counter() - self._prepared.began
        return replace(self._report, seconds=seconds, peak_mib=peak_mib(), notes=(*self._report.notes, *notes))

    def cancel(self) -> None:
        """Stop the encoder and remove the result."""
        self._encoder.cancel()
        self._prepared.close()


def upscale_file(
    source: Path,
    target: Path | None = None,
    *,
    networks: Networks,
    options: UpscaleOptions | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Upscale a picture file: `prepare`, `run` and `Pending.finish`.

    Args:
        source: The picture.
        target: Path of the result (default: `NAME_x4.EXT` beside the source).
        networks: Chooses and opens the network.
        options: How it is upscaled and written (default: `UpscaleOptions()`).
        on_progress: Called as `on_progress(done, total)` after every tile.

    Raises:
        PictureError: If the picture cannot be read, or the result cannot be written.
        UsageError: If the options contradict each other or the picture.
    """
    options = options or UpscaleOptions()
    header = read_header(source, limits=options.limits)
    scale = networks.scale_for(options.requested_size, header.width, header.height)
    prepared = prepare(header, target, scale=scale, options=options)
    try:
        engine = networks.engine(scale)
    except BaseException:
        prepared.close()
        raise
    return run(prepared, engine, on_progress=on_progress).finish()


def prepare(
    header: PictureHeader,
    target: Path | None = None,
    *,
    scale: int,
    options: UpscaleOptions | None = None,
    temporary: str | None = None,
) -> Prepared:
    """Decode a picture and reserve the place of its result.

    Everything that can be known beforehand is checked before any work: an existing or unwritable target, sizes beyond
    the format, memory, the disk and the limits. The target appears complete or not at all.

    Args:
        header: The opened picture.
        target: Path of the result, whose ending chooses the format unless the options do (default: `NAME_x4.EXT`
            beside the picture).
        scale: Scale of the network.
        options: How it is upscaled and written (default: `UpscaleOptions()`). The time limit starts now.
        temporary: Name of the temporary file beside the target (default: a random one).

    Raises:
        PictureError: If the picture cannot be read, or the result cannot be written.
        UsageError: If the options contradict each other or the picture.
    """
    began = time.perf_counter()
    options = options or UpscaleOptions()
    limits = replace(options.limits, began=time.monotonic())
    options, size, output = replace(options, limits=limits), options.effective_size(scale), options.output
    source = header.path
    new_size = result_size(size, header.width, header.height)
    kind = choose_format(header, target, output)
    target = target or default_target(source, size, new_size, kind)
    if _same_file(source, target):
        raise UsageError(f"{printable(target)} is the input itself; choose another name for the result")
    limits.check_pixels(source, *new_size, what="would become")
    check_encodable(target, kind, width=new_size[0], height=new_size[1])
    check_colors(target, header.code_points, kind)
    check_room(header, target, scale=scale, new_size=new_size, kind=kind, lossless=output.lossless)
    reservation = Reservation(target, overwrite=options.overwrite, temporary=temporary)
    try:
        picture = header.decode(limits=limits, scratch=reservation.temporary.parent)
        tone = picture_tone(picture)
    except BaseException:
        reservation.discard()
        raise
    return Prepared(
        source=source,
        target=target,
        kind=kind,
        new_size=new_size,
        options=options,
        picture=picture,
        tone=tone,
        reservation=reservation,
        began=began,
    )


def run(prepared: Prepared, engine: Engine, *, on_progress: Callable[[int, int], None] | None = None) -> Pending:
    """Upscale a prepared picture; returns when the network has finished, while the last rows are still encoded.

    Args:
        prepared: The picture, from `prepare`.
        engine: The network.
        on_progress: Called as `on_progress(done, total)` after every tile.

    Raises:
        PictureError: If the picture or result cannot be processed, or a limit is exceeded. The result is removed.
        UsageError: If the picture is too small for the network, or the tile for its overlap. The result is removed.
    """
    started = time.perf_counter()
    picture, options, (width, height) = prepared.picture, prepared.options, prepared.new_size
    encoder: Encoder | None = None
    waited = 0.0
    tick = _with_time_limit(on_progress, options.limits, prepared.source)
    try:
        encoder = Encoder(
            with_new_size(picture, width=width, height=height, keep_print_size=options.output.keep_print_size),
            prepared.reservation.temporary,
            prepared.kind,
            width=width,
            height=height,
            report_as=prepared.target,
            options=encode_options(options.output),
            limits=options.limits,
        )
        for band in enlarge(
            picture.planes,
            (width, height),
            network=lambda rows: upscale_rows(engine, rows, tile=options.tile, exact=options.exact, on_progress=tick),
            scale=engine.scale,
            strength=options.strength,
            tone=prepared.tone,
        ):
            ready = time.perf_counter()
            encoder.write(band)
            waited += time.perf_counter() - ready
    except BaseException as error:
        if encoder:
            encoder.cancel()
        prepared.close()
        if isinstance(error, MemoryError):
            name = printable(prepared.source)
            raise PictureError(f"{name} does not fit into memory when enlarged; use a smaller size") from None
        raise
    report = Report(
        source=prepared.source,
        target=prepared.target,
        scale=engine.scale,
        size=(picture.width, picture.height),
        new_size=(width, height),
        bits=encoder.bits,
        engine=describe(engine),
        network_seconds=time.perf_counter() - started - waited,
        waited_seconds=waited,
        seconds=0.0,
        peak_mib=None,
        notes=(*picture.notes, *_size_notes(picture, (width, height), engine, options.strength)),
    )
    return Pending(prepared, encoder, report)


def _size_notes(picture: Picture, new_size: tuple[int, int], engine: Engine, strength: float) -> list[str]:
    width, height = new_size
    if width <= picture.width and height <= picture.height:
        return ["the result is not larger than the picture: it was resized by Lanczos, without the network"]
    if strength == 0:
        return []
    if width > picture.width * engine.scale or height > picture.height * engine.scale:
        return [f"beyond x{engine.scale} the network's result was enlarged by Lanczos"]
    return []


def _with_time_limit(
    on_progress: Callable[[int, int], None] | None, limits: Limits, source: Path
) -> Callable[[int, int], None]:
    def tick(done: int, total: int) -> None:
        limits.check_time(source)
        if on_progress:
            on_progress(done, total)

    return tick


def _same_file(source: Path, target: Path) -> bool:
    try:
        return target.exists() and target.samefile(source)
    except OSError as error:
        raise PictureError.from_os_error(f"cannot write {printable(target)}", error) from None
