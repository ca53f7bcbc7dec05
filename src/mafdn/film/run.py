"""Upscaling a film: open, plan, make the segments that are missing, and join them with everything else."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from mafdn._support.atomic import printable
from mafdn._support.interrupts import undivided
from mafdn._support.machine import peak_mib
from mafdn._support.progress import ignore
from mafdn._support.validate import check_place
from mafdn._version import __version__
from mafdn.errors import DamagedError, EncodeError, MafdnError, UsageError
from mafdn.film.choice import Networks, as_shown, exact_size, select
from mafdn.film.frame import FilmFrame, Pixels, turned
from mafdn.film.making import GapWriter, Pace
from mafdn.film.names import default_target
from mafdn.film.options import FilmOptions
from mafdn.film.output.mux import join
from mafdn.film.output.plan import FilmPlan, plan_film
from mafdn.film.pipeline import pump
from mafdn.film.report import FilmProgress, FilmReport, FilmStopped
from mafdn.film.reuse import FrameUpscaler, Reused
from mafdn.film.segments import Gap, Segments, identify
from mafdn.film.source.info import FilmInfo
from mafdn.film.source.reader import FilmSource, open_film
from mafdn.film.thumbnails import write_thumbnails
from mafdn.inference import Engine
from mafdn.inference.engines import describe
from mafdn.pictures.writing import publish, refuse
from mafdn.upscaling.networks import Selection
from mafdn.upscaling.work import size_notes

OnProgress = Callable[[FilmProgress], None]


def upscale_film_file(
    source: Path,
    target: Path | None = None,
    *,
    networks: Networks,
    options: FilmOptions | None = None,
    on_progress: OnProgress = ignore,
    on_whole: Callable[[Path], None] = ignore,
) -> FilmReport:
    """Upscale a film.

    Args:
        source: The film.
        target: The result, whose ending chooses the container (default: `NAME_x4.EXT` beside the film).
        networks: The networks to use.
        options: How it is upscaled and encoded (default: `FilmOptions()`). The time limit starts now.
        on_progress: Called after every tile and frame, and may raise.
        on_whole: Called with the complete file before it is renamed, and may raise to prevent that.

    Raises:
        FilmStopped: At Ctrl-C; a `KeyboardInterrupt`.
        PictureError: The film cannot be read, exceeds a limit, or the result cannot be written or exists.
        UsageError: The options contradict each other or the film.
        MafdnError: Another run is working on the same result.
    """
    began = time.perf_counter()
    options = options or FilmOptions()
    options = replace(options, upscale=replace(options.upscale, limits=options.upscale.limits.begun()))
    with closing(open_film(source, options)) as film:
        info, size, shown = film.info, options.upscale.requested_size, as_shown(film.info)
        scale = networks.scale_for(size, *shown)
        plan = plan_film(info, options, scale=scale, target=target)
        target = target or default_target(
            source,
            options.upscale.effective_size(scale),
            plan.size,
            plan.container,
            start=options.start,
            end=options.end,
        )
        check_target(source, target, overwrite=options.upscale.overwrite)
        selection = select(networks, film)
        engine = selection.engine(size, *shown)
        settings = _settings(
            source, plan, options, engine, networks.digest(size, *shown, bits=info.color.bits), selection
        )
        place = target.resolve() if options.upscale.overwrite else target  # a link is written through
        with Segments(place, settings, length=options.segment_frames) as held:
            kept = held.frames
            run = _Run(film, plan, held, options, place, on_progress)
            with _told_how_to_resume(held, target):
                run.make(engine)
                frames = run.join()
                on_whole(held.result)
                try:
                    with undivided():  # or Ctrl-C leaves the segments of a complete film, which no run would use
                        publish(held.result, place, overwrite=options.upscale.overwrite)
                        held.remove()
                except OSError as error:
                    raise EncodeError.from_os_error(f"cannot write {printable(target)}", error) from None
            notes = (*info.notes, *plan.notes, *held.notes, *held.film_notes, *run.notes(engine))
    made, others = frames - kept, len(info.streams) - 1
    return FilmReport(
        source=source,
        target=target,
        scale=engine.scale,
        size=shown,
        new_size=as_shown(info, plan.size),
        bits=info.color.bits,
        frames=frames,
        kept_frames=kept,
        repeated_frames=run.reused.frames,
        reused_tiles=run.reused.tiles,
        frame_rate=info.average_rate,
        encoder=plan.encoder.name,
        container=plan.container,
        copied_streams=len(plan.ways),
        dropped_streams=others - len(plan.ways),
        engine=describe(engine),
        seconds=time.perf_counter() - began,
        frames_per_second=made / run.seconds if made and run.seconds else None,
        peak_mib=peak_mib(),
        notes=tuple(dict.fromkeys((*notes, *selection.notes(engine)))),
        weights=selection.weights,
        thumbnails=run.thumbnails,
    )


def describe_film(
    path: Path, networks: Networks, options: FilmOptions, *, target: Path | None = None
) -> tuple[FilmInfo, FilmPlan, tuple[int, int]]:
    """Return what is known about a film, what its result would be, and its size as shown; raises `MafdnError`."""
    with closing(open_film(path, options)) as film:
        shown = as_shown(film.info)
        scale = networks.scale_for(options.upscale.requested_size, *shown)
        return film.info, plan_film(film.info, options, scale=scale, target=target), shown


def upscaled_frames(source: Path, *, networks: Networks, options: FilmOptions) -> Iterator[FilmFrame]:
    """Upscale the frames of a film, one after the other.

    Args:
        source: The film.
        networks: The networks to use.
        options: What is upscaled, and how.

    Returns:
        Its frames with their results as pixels, turned as they are shown; equal ones in a row are the same object.

    Raises:
        PictureError: The film cannot be read, at once; or, when that frame is reached, it is damaged from there on.
    """
    film = open_film(source, options)
    try:
        shown = as_shown(film.info)
        selection = select(networks, film)
        engine = selection.engine(options.upscale.requested_size, *shown)
        new_size = exact_size(film.info, options.upscale.effective_size(engine.scale))
        upscaler = FrameUpscaler(engine, new_size, options.upscale)
    except BaseException:
        film.close()
        raise

    def frames() -> Iterator[FilmFrame]:
        last: tuple[Pixels, Pixels] | None = None
        with closing(film):
            for frame in film.frames():
                result = upscaler.upscale(frame.pixels)
                if last is None or last[0] is not result:
                    last = result, np.ascontiguousarray(turned(result, film.info.display_matrix))
                yield replace(frame, pixels=last[1])

    return frames()


class _Run:
    """One run over a film.

    Attributes:
        reused: What was not computed.
        seconds: Time for the frames.
        thumbnails: The pictures that were written.
    """

    def __init__(
        self,
        film: FilmSource,
        plan: FilmPlan,
        held: Segments,
        options: FilmOptions,
        target: Path,
        on_progress: OnProgress,
    ) -> None:
        self.reused = Reused()
        self.seconds = 0.0
        self.thumbnails: tuple[Path, ...] = ()
        self._join_notes: list[str] = []
        self._film, self._plan, self._held, self._options, self._target = film, plan, held, options, target
        self._on_progress = on_progress
        self._done, self._pace = held.frames, Pace(held.frames)

    def make(self, engine: Engine) -> None:
        """Make the segments that are missing."""
        began = time.perf_counter()
        upscaler = FrameUpscaler(engine, self._plan.size, self._options.upscale, on_progress=self._tick)
        self.reused = upscaler.reused
        self._pace = Pace(self._done)
        try:
            while (gap := self._held.next_gap()) is not None:
                self._fill(gap, upscaler)
        except KeyboardInterrupt:
            raise FilmStopped(self._held.frames, self._film.info.frame_count) from None
        finally:
            self.seconds = time.perf_counter() - began

    def _fill(self, gap: Gap, upscaler: FrameUpscaler) -> None:
        length = self._options.segment_frames

        def upscale(pixels: Pixels) -> Pixels:
            result = upscaler.upscale(pixels)
            self._done += 1
            self._pace.reached(self._done)
            self._tick()
            return result

        with GapWriter(
            self._held, gap, self._film.info, self._plan, length=length, on_segment=self._thumbnail
        ) as writer:
            frames = writer.selected(self._film.frames(gap.first * length))
            pump(frames, upscale, writer.write)
            writer.finish(tuple(self._film.notes))
        wanted = None if gap.stop is None else (gap.stop - gap.first) * length
        if writer.frames == 0 or (wanted is not None and writer.frames != wanted):
            folder = printable(self._held.folder)
            raise DamagedError(
                f"{printable(self._film.path)} gives other frames than in an earlier run; remove {folder} and try again"
            )

    def join(self) -> int:
        """Write the complete film; returns its number of frames."""
        check_target(self._film.path, self._target, overwrite=self._options.upscale.overwrite)

        def tick(done: int, total: int) -> None:
            name = self._film.path.name
            self._on_progress(FilmProgress(phase="joining", name=name, done=done, total=total))

        return join(
            self._film.info,
            self._held.paths(),
            self._held.result,
            plan=self._plan,
            options=self._options,
            on_progress=tick,
            on_note=self._join_notes.append,
        )

    def notes(self, engine: Engine) -> tuple[str, ...]:
        """Return what is not as one might expect, one sentence each."""
        strength = self._options.upscale.strength
        info = self._film.info
        sizes = size_notes(as_shown(info), as_shown(info, self._plan.size), engine.scale, strength, what="film")
        return (*sizes, *self._join_notes)

    def _tick(self, _done: int = 0, _total: int = 0) -> None:
        """Check the time limit and report the progress."""
        info = self._film.info
        self._options.upscale.limits.check_time(info.path)
        total, speed = info.frame_count, self._pace.frames_per_second
        total = None if total is None else max(total, self._done)
        self._on_progress(
            FilmProgress(
                phase="frames",
                name=info.path.name,
                done=self._done,
                total=total,
                frames_per_second=speed,
                remaining_seconds=None if total is None or speed is None else (total - self._done) / speed,
            )
        )

    def _thumbnail(self, frame: FilmFrame, pixels: Pixels) -> None:
        if self._options.thumbnails:
            self.thumbnails = write_thumbnails(self._target, frame.pixels, pixels)


@contextmanager
def _told_how_to_resume(held: Segments, target: Path) -> Generator[None]:
    """Add to errors that are not due to the film how many frames are kept; the result has its own name in them."""
    try:
        yield
    except DamagedError:
        raise
    except MafdnError as error:
        text = str(error).replace(printable(held.result), printable(target))
        if held.frames:
            error.args = (f"{text}; {held.frames:,} frames are kept: run the same command again to resume",)
        raise


def check_target(source: Path, target: Path, *, overwrite: bool) -> None:
    """Raise `PictureError` or `UsageError` if the result cannot be written under its name."""
    try:
        if target.exists() and target.samefile(source):
            raise UsageError(f"{printable(target)} is the film itself; choose another name for the result")
        check_place(target)
        refuse(target, overwrite=overwrite)
    except OSError as error:
        raise EncodeError.from_os_error(f"cannot write {printable(target)}", error) from None


def _settings(
    source: Path, plan: FilmPlan, options: FilmOptions, engine: Engine, network: str, selection: Selection
) -> dict[str, Any]:
    """Return all that the segments depend on, by words that notes can name."""
    upscale, turn = options.upscale, ["turned"] if plan.turn else []
    ensemble = [upscale.ensemble] if upscale.ensemble > 1 else []
    return {
        "source": identify(source),
        "part": [options.start, options.end, options.deinterlace],
        "network": [network, selection.weights.variant if selection.weights else None, *ensemble],
        "engine": describe(engine),
        "size": [*plan.size, upscale.strength, *turn],
        "tile": [upscale.tile, upscale.exact],
        "encoder": repr(plan.encoder),
        "version": [__version__, av.__version__, {name: list(v) for name, v in sorted(av.library_versions.items())}],
    }
