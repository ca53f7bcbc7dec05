"""Upscaling one picture file, in three stages, so that those of several files can overlap."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mafdn._support.atomic import printable
from mafdn._support.machine import peak_mib
from mafdn.errors import PictureError, UsageError
from mafdn.inference import Engine
from mafdn.inference.engines import describe
from mafdn.inference.tiles import DEFAULT_TILE
from mafdn.pictures.codecs.tiff.entries import BIG
from mafdn.pictures.encoding import EncodeOptions, check_colors
from mafdn.pictures.formats import Format
from mafdn.pictures.reading import PictureHeader, read_header
from mafdn.pictures.sequences.encoder import SequenceEncoder
from mafdn.pictures.sequences.sequence import Sequence, single
from mafdn.pictures.writing import Reservation, keep_times
from mafdn.upscaling.choice.weights import WeightsChoice, choose_weights
from mafdn.upscaling.intended import intended_result
from mafdn.upscaling.networks import Networks, Selection
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.output import choose_format, default_target, encode_options
from mafdn.upscaling.preflight import check_encodable, check_room
from mafdn.upscaling.several import Sizes, find_sizes
from mafdn.upscaling.verifying import verify_result
from mafdn.upscaling.work import enlarge_all
from mafdn.verification.figures import Verification

LARGEST_PIXEL = 16
"""Most bytes of a pixel."""


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
        frames: Number of frames or pages in the result; the sizes are those of the first.
        weights: The variant of the shipped weights that the picture decided for, and why; `None` if the network was
            named, or not needed.
        verification: How far the result is from the picture, if the options asked for it; the seconds are without it.
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
    frames: int = 1
    weights: WeightsChoice | None = None
    verification: Verification | None = None

    def for_programs(self) -> dict[str, Any]:
        """Return everything as a dictionary for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An opened picture and the place of its result; created by `prepare`."""

    source: Path
    target: Path
    kind: Format
    sizes: Sizes
    options: UpscaleOptions
    pictures: Sequence
    reservation: Reservation
    began: float
    notes: tuple[str, ...] = ()

    def close(self) -> None:
        """Release the place of the result; needed if `run` is never called."""
        self.reservation.discard()


class Pending:
    """A picture whose network has finished and whose file has not; created by `run`."""

    def __init__(self, prepared: Prepared, encoder: SequenceEncoder, report: Report) -> None:
        self._prepared, self._encoder, self._report = prepared, encoder, report

    @property
    def waited_seconds(self) -> float:
        """Time during which the network waited for the encoder."""
        return self._report.waited_seconds

    def finish(self, on_whole: Callable[[Path], object] | None = None) -> Report:
        """Wait for the encoder and rename the file to its target; raises `PictureError`.

        `on_whole` is called with the complete temporary file before it is renamed, and may raise to prevent that.
        """
        try:
            notes = self._encoder.finish()
            self._prepared.reservation.publish(on_whole)
            if self._prepared.options.keep_times:
                notes = [*notes, *keep_times(self._report.source, self._report.target)]
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
        on_progress: Called as `on_progress(done, total)` after every tile, and again from the start for a
            verification.

    Raises:
        PictureError: If the picture cannot be read, or the result cannot be written.
        UsageError: If the options contradict each other or the picture.
    """
    options = options or UpscaleOptions()
    header = read_header(source, limits=options.limits, number=options.frame)
    size, largest = options.requested_size, most_enlarged(header, target, options)
    prepared = prepare(header, target, scale=networks.scale_for(size, *largest), options=options)
    try:
        selection = select(networks, header, prepared)
        engine = selection.engine(size, *largest)
    except BaseException:
        prepared.close()
        raise
    report = run(prepared, engine, selection=selection, on_progress=on_progress).finish()
    return with_verification(report, options, on_progress=on_progress)


def with_verification(
    report: Report, options: UpscaleOptions, *, on_progress: Callable[[int, int], None] | None = None
) -> Report:
    """Return the report of a result that has been written with its verification, if the options ask for one."""
    if not options.verify:
        return report
    verification, notes = verify_result(
        report.source, report.target, options, seconds=report.seconds, on_progress=on_progress
    )
    return replace(report, verification=verification, notes=(*report.notes, *notes))


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
    limits = options.limits.begun()
    options, size, output = replace(options, limits=limits), options.effective_size(scale), options.output
    source = header.path
    intended = intended_result(header, target, output, size, limits=limits, frame=options.frame)
    kind, sizes = intended.kind, intended.sizes
    new_size = sizes.after[0]
    target = target or default_target(source, size, new_size, kind)
    if _same_file(source, target):
        raise UsageError(f"{printable(target)} is the input itself; choose another name for the result")
    for width, height in set(sizes.after):
        check_encodable(target, kind, width=width, height=height)
    check_colors(target, header.code_points, kind)
    check_room(
        header,
        target,
        scale=scale,
        tile=options.tile or DEFAULT_TILE,
        sizes=sizes,
        kind=kind,
        lossless=output.lossless,
    )
    reservation = Reservation(target, overwrite=options.overwrite, temporary=temporary)
    try:
        scratch = reservation.temporary.parent
        if sizes.count == 1:
            pictures = single(header.decode(limits=limits, scratch=scratch))
        else:
            pictures = header.decode_all(limits=limits, scratch=scratch)
    except BaseException:
        reservation.discard()
        raise
    return Prepared(
        source=source,
        target=target,
        kind=kind,
        sizes=sizes,
        options=options,
        pictures=pictures,
        reservation=reservation,
        began=began,
        notes=intended.notes,
    )


def select(networks: Networks, header: PictureHeader, prepared: Prepared) -> Selection:
    """Select the networks for a prepared picture; frames and pages follow the first of them.

    Raises:
        PictureError: If its pixels are needed and cannot be read.
    """
    return networks.select(lambda: choose_weights(header, lambda: prepared.pictures.read(0).planes), bits=header.bits)


def run(
    prepared: Prepared,
    engine: Engine,
    *,
    selection: Selection | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Pending:
    """Upscale a prepared picture; returns when the network has finished, while the last rows are still encoded.

    Args:
        prepared: The picture, from `prepare`.
        engine: The network.
        selection: How it was selected, for the report.
        on_progress: Called as `on_progress(done, total)` after every tile.

    Raises:
        PictureError: If the picture or result cannot be processed, or a limit is exceeded. The result is removed.
        UsageError: If the picture is too small for the network, or the tile for its overlap. The result is removed.
    """
    started = time.perf_counter()
    options, sizes, pictures = prepared.options, prepared.sizes, prepared.pictures
    encoder = SequenceEncoder(
        prepared.reservation.temporary,
        prepared.kind,
        count=sizes.count,
        timing=pictures.timing,
        report_as=prepared.target,
        options=_encode_options(prepared),
        limits=options.limits,
    )
    try:
        waited, notes = enlarge_all(
            pictures,
            sizes,
            engine,
            encoder,
            options,
            source=prepared.source,
            on_progress=options.limits.timed(prepared.source, on_progress),
        )
    except BaseException as error:
        encoder.cancel()
        prepared.close()
        if isinstance(error, MemoryError):
            name = printable(prepared.source)
            raise PictureError(f"{name} does not fit into memory when enlarged; use a smaller size") from None
        raise
    used = selection if selection and _uses_network(sizes, options) else None
    report = Report(
        source=prepared.source,
        target=prepared.target,
        scale=engine.scale,
        size=sizes.before[0],
        new_size=sizes.after[0],
        bits=encoder.bits,
        engine=describe(engine),
        network_seconds=time.perf_counter() - started - waited,
        waited_seconds=waited,
        seconds=0.0,
        peak_mib=None,
        notes=(*prepared.notes, *notes, *(used.notes(engine) if used else ())),
        frames=sizes.count,
        weights=used.weights if used else None,
    )
    return Pending(prepared, encoder, report)


def _uses_network(sizes: Sizes, options: UpscaleOptions) -> bool:
    """Whether any result is not only resized."""
    larger = any(
        new > old for pair in zip(sizes.before, sizes.after, strict=True) for old, new in zip(*pair, strict=True)
    )
    return larger and options.strength > 0


def most_enlarged(header: PictureHeader, target: Path | None, options: UpscaleOptions) -> tuple[int, int]:
    """Width and height of the picture that is enlarged most: the network suits it, and so all others."""
    if options.requested_size is None or len(header.sizes) == 1:
        return header.width, header.height
    kind = choose_format(header, target, options.output)
    return find_sizes(header, options.requested_size, kind, limits=options.limits, frame=options.frame).most_enlarged


def _encode_options(prepared: Prepared) -> EncodeOptions:
    """The encoder's options; pages that could exceed the size of a TIFF file together are written as BigTIFF."""
    pixels = prepared.sizes.pixels_after if prepared.sizes.count > 1 else 0
    return replace(encode_options(prepared.options.output), big=pixels * LARGEST_PIXEL > BIG)


def _same_file(source: Path, target: Path) -> bool:
    try:
        return target.exists() and target.samefile(source)
    except OSError as error:
        raise PictureError.from_os_error(f"cannot write {printable(target)}", error) from None
