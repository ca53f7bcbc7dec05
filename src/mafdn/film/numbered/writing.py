"""The frames of a film as numbered pictures."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from mafdn._support.atomic import printable, sha256, temporary_name
from mafdn._support.machine import peak_mib
from mafdn.errors import EncodeError, PictureError
from mafdn.film.choice import Networks, as_shown, exact_size, select
from mafdn.film.frame import FilmFrame, Pixels, turned
from mafdn.film.making import Pace
from mafdn.film.numbered.names import Numbering
from mafdn.film.options import FilmOptions
from mafdn.film.pipeline import pump
from mafdn.film.report import FilmProgress, FilmReport, FilmStopped
from mafdn.film.reuse import FrameUpscaler
from mafdn.film.segments import identify
from mafdn.film.source.info import FilmInfo, Light
from mafdn.film.source.reader import FilmSource, open_film
from mafdn.inference.engines import describe
from mafdn.pictures.encoding import check_colors, save_picture
from mafdn.pictures.formats import Format
from mafdn.pictures.picture import DEFAULT_PIXELS_PER_MM, HDR_TRANSFERS, CodePoints, Picture
from mafdn.pictures.writing import publish
from mafdn.upscaling.folder.bookkeeping import InFlight, undo
from mafdn.upscaling.folder.manifest import Entry, Manifest
from mafdn.upscaling.output import check_output, encode_options, named_format

USUAL_PRIMARIES = (1, 2, 5, 6, 7)
"""Primaries that differ little from those of sRGB, and unspecified ones."""


def write_pictures(
    source: Path,
    pictures: Numbering,
    *,
    networks: Networks,
    options: FilmOptions,
    on_progress: Callable[[FilmProgress], None],
) -> FilmReport:
    """Upscale the frames of a film and write each as a picture, the first with the number 1, turned as it is shown.

    Pictures of an earlier run with the same settings are kept; a manifest in their folder records them.

    Args:
        source: The film.
        pictures: The names of the pictures, whose ending decides their format.
        networks: The networks to use.
        options: How frames are upscaled, and in `upscale.output` how pictures are written.
        on_progress: Called after every tile and frame, and may raise.

    Raises:
        FilmStopped: At Ctrl-C; a `KeyboardInterrupt`.
        PictureError: The film cannot be read, exceeds a limit, or a picture cannot be written or exists.
        UsageError: The options contradict each other.
        MafdnError: Another run is working in the folder.
    """
    began, kind = time.perf_counter(), named_format(pictures.path, options.upscale.output)
    check_output(options.upscale.output, kind)
    limits = options.upscale.limits.begun()
    options = replace(options, upscale=replace(options.upscale, limits=limits))
    with closing(open_film(source, options)) as film:
        info, size, shown = film.info, options.upscale.requested_size, as_shown(film.info)
        selection = select(networks, film)
        engine = selection.engine(size, *shown)
        new_size = exact_size(info, options.upscale.effective_size(engine.scale))
        limits.check_pixels(source, *as_shown(info, new_size), what="would become")
        check_colors(pictures.path, _code_points(info), kind)
        parts = [asdict(options.upscale.output), new_size, options.upscale.strength, options.upscale.exact]
        parts += [options.upscale.tile, options.start, options.end, options.deinterlace, describe(engine)]
        parts += ["ensemble"] * (options.upscale.ensemble > 1)
        with Manifest(pictures.folder) as manifest:
            run = _Run(film, pictures, kind, manifest, options, on_progress)
            run.source_digest = hashlib.sha256(json.dumps(identify(source)).encode()).hexdigest()
            run.settings = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
            network = networks.digest(size, *shown, bits=info.color.bits)
            run.weights = f"{network} {selection.weights.variant if selection.weights else ''}"
            upscaler = FrameUpscaler(engine, new_size, options.upscale, on_progress=run.tick)
            run.make(upscaler)
            notes = (*info.notes, *film.notes, *_notes(info), *run.notes, *selection.notes(engine))
    made, seconds = run.made, time.perf_counter() - began
    return FilmReport(
        source=source,
        target=pictures.path,
        scale=engine.scale,
        size=shown,
        new_size=as_shown(info, new_size),
        bits=8 if info.color.bits <= 8 else 16,
        frames=run.kept + made,
        kept_frames=run.kept,
        repeated_frames=upscaler.reused.frames,
        reused_tiles=upscaler.reused.tiles,
        frame_rate=info.average_rate,
        encoder=kind.name,
        container=kind.name,
        copied_streams=0,
        dropped_streams=len(info.streams) - 1,
        engine=describe(engine),
        seconds=seconds,
        frames_per_second=made / seconds if made else None,
        peak_mib=peak_mib(),
        notes=tuple(dict.fromkeys(notes)),
        weights=selection.weights,
    )


class _Run:
    """One run over a film.

    Attributes:
        kept: Number of pictures of an earlier run.
        made: Number of pictures that were written.
        notes: What the pictures do not keep.
        source_digest: What identifies the film in the manifest.
        settings: What identifies the settings.
        weights: What identifies the network.
    """

    def __init__(
        self,
        film: FilmSource,
        pictures: Numbering,
        kind: Format,
        manifest: Manifest,
        options: FilmOptions,
        on_progress: Callable[[FilmProgress], None],
    ) -> None:
        self.kept = self.made = 0
        self.notes: tuple[str, ...] = ()
        self.source_digest = self.settings = self.weights = ""
        self._film, self._pictures, self._kind, self._manifest = film, pictures, kind, manifest
        self._options, self._on_progress = options, on_progress
        self._pace = Pace(0)
        self._done = 0

    def make(self, upscaler: FrameUpscaler) -> None:
        """Write the pictures that are missing."""
        self._refuse_others()

        def upscale(pixels: Pixels) -> Pixels:
            result = upscaler.upscale(pixels)
            self._done += 1
            self._pace.reached(self._done)
            self.tick()
            return result

        try:
            pump(self._missing(), upscale, self._write)
        except KeyboardInterrupt:
            raise FilmStopped(self.kept + self.made, self._film.info.frame_count) from None
        self.notes = (*self.notes, *self._note_on_others())

    def tick(self, _done: int = 0, _total: int = 0) -> None:
        """Check the time limit and report the progress."""
        info, speed, done = self._film.info, self._pace.frames_per_second, self.kept + self._done
        self._options.upscale.limits.check_time(info.path)
        total = None if info.frame_count is None else max(info.frame_count, done)
        self._on_progress(
            FilmProgress(
                phase="frames",
                name=info.path.name,
                done=done,
                total=total,
                frames_per_second=speed,
                remaining_seconds=None if total is None or speed is None else (total - done) / speed,
            )
        )

    def _refuse_others(self) -> None:
        """Raise `PictureError` if files would be replaced that no run has made."""
        if self._options.upscale.overwrite:
            return
        try:
            existing = self._pictures.files()
        except PictureError:  # there are none
            return
        for path in existing:
            if self._manifest.find(path) is None:
                raise PictureError(
                    f"{printable(path)} exists and was not made by this command; overwrite it, or use another folder",
                    setting="overwrite",
                )

    def _note_on_others(self) -> tuple[str, ...]:
        """Name the pictures that belong to the sequence by their names but are not frames of this film."""
        frames = {self._pictures.file(number) for number in range(1, self.kept + self.made + 1)}
        others = [printable(path.name) for path in self._pictures.files() if path not in frames] if frames else []
        if not others:
            return ()
        which = others[0] if len(others) == 1 else f"{others[0]} to {others[-1]} ({len(others):,} pictures)"
        return (f"not of this run, but named like its pictures: {which}",)

    def _missing(self) -> Iterator[FilmFrame]:
        """Yield the frames whose pictures are not there."""
        for frame in self._film.frames():
            if self._is_kept(self._pictures.file(frame.number + 1)):
                self.kept += 1
            else:
                yield frame

    def _is_kept(self, path: Path) -> bool:
        entry = self._manifest.find(path)
        return entry is not None and self._describes(entry) and path.is_file() and sha256(path) == entry.output

    def _describes(self, entry: Entry) -> bool:
        wanted = (self.source_digest, self.settings, self.weights)
        return (entry.source_sha256, entry.settings, entry.weights) == wanted

    def _write(self, frame: FilmFrame, result: Pixels) -> None:
        """Write one picture; called in the encoding thread."""
        info, path = self._film.info, self._pictures.file(frame.number + 1)
        upright = np.ascontiguousarray(turned(result, info.display_matrix))
        ratio = float(info.sample_aspect_ratio)
        if info.rotation % 180:
            ratio = 1 / ratio
        picture = Picture(
            planes=upright,
            format=self._kind,
            code_points=_code_points(info),
            pixels_per_mm=(DEFAULT_PIXELS_PER_MM[0] / ratio, DEFAULT_PIXELS_PER_MM[1]),
        )
        previous, temporary = self._manifest.find(path), path.with_name(temporary_name())
        entry: Entry | None = None
        try:
            own = sha256(path) if path.is_file() else None
            ours = own is not None and previous is not None and own in (previous.output, previous.replaces)
            entry = self._manifest.begin(
                path,
                source=self._film.path,
                source_sha256=self.source_digest,
                settings=self.settings,
                weights=self.weights,
                replaces=own if ours else None,
                temporary=temporary.name,
            )
            output = encode_options(self._options.upscale.output)
            self.notes = save_picture(picture, temporary, self._kind, report_as=path, options=output)
            self._manifest.seal(path, sha256(temporary))
            publish(temporary, path, overwrite=ours or self._options.upscale.overwrite)
            self._manifest.finish(path)
            entry = None
        except OSError as error:
            raise EncodeError.from_os_error(f"cannot write {printable(path)}", error) from None
        finally:
            temporary.unlink(missing_ok=True)
            if entry is not None:
                undo(self._manifest, InFlight(entry, previous, temporary.name))
        self.made += 1


def _code_points(info: FilmInfo) -> CodePoints | None:
    """Return the colors of an HDR film by number; `None` for others."""
    color = info.color
    if color.transfer not in HDR_TRANSFERS:
        return None
    return CodePoints(
        primaries=color.primaries,
        transfer=color.transfer,
        mastering=_mastering(color.light),
        light_levels=_levels(color.light),
    )


def _mastering(light: Light) -> tuple[int, ...] | None:
    if light.primaries is None or light.luminance is None:
        return None
    low, high = light.luminance
    return (*(round(value * 50_000) for value in light.primaries), round(high * 10_000), round(low * 10_000))


def _levels(light: Light) -> tuple[int, int] | None:
    if light.max_cll is None:
        return None
    return light.max_cll * 10_000, (light.max_fall or 0) * 10_000


def _notes(info: FilmInfo) -> tuple[str, ...]:
    color = info.color
    if color.transfer in HDR_TRANSFERS or color.primaries in USUAL_PRIMARIES:
        return ()
    return ("the pictures do not say that their colors are not those of sRGB",)
