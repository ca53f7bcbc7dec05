"""Films in folders: what `mafdn.upscaling.folder` needs to know about them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mafdn.film.libav import require_av
from mafdn.film.names import film_format, is_film
from mafdn.film.options import FilmOptions
from mafdn.film.report import FilmProgress
from mafdn.film.thumbnails import thumbnail_paths
from mafdn.pictures.codecs.foreign.unsupported import FILM_SUFFIXES
from mafdn.upscaling.folder.films import FilmHeader, FilmOutcome, FilmSample
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet
from mafdn.upscaling.options import UpscaleOptions

RESULT_VERSION = 1
"""Raised whenever the same film, settings and weights give another result than before: all are then re-created."""
WITHOUT_EFFECT = ("upscale", "thumbnails", "segment_frames", "rate")
"""Options that are not for films only, or do not affect the result of a film in a folder."""


class FolderFilms:
    """How the films of a run over many files are upscaled.

    Args:
        options: Their options; `upscale` is replaced by those of the run.
    """

    def __init__(self, options: FilmOptions) -> None:
        self._options = options

    def recognizes(self, path: Path) -> bool:
        """Whether a file is a film."""
        return is_film(path)

    def read(self, path: Path, networks: NetworkSet | AutomaticNetworks, options: UpscaleOptions) -> FilmHeader:
        """Read what is known about a film; raises `MafdnError`."""
        require_av(path)
        from mafdn.film.choice import as_shown
        from mafdn.film.run import describe_film

        info, plan, shown = describe_film(path, networks, replace(self._options, upscale=options))
        settings = {**self.for_programs(), "rate": None}  # which the records of earlier versions contain
        return FilmHeader(
            size=shown,
            new_size=as_shown(info, plan.size),
            frames=info.frame_count or 0,
            bits=info.color.bits,
            kind=film_format(plan.container),
            settings=json.dumps([RESULT_VERSION, settings], sort_keys=True),
        )

    def measure(
        self, path: Path, networks: NetworkSet | AutomaticNetworks, options: UpscaleOptions, *, side: int
    ) -> FilmSample:
        """Measure the pace of a film; arguments and errors as for `mafdn.upscaling.folder.films.Films`."""
        require_av(path)
        from mafdn.film.measuring import measure_film

        return measure_film(path, networks=networks, options=replace(self._options, upscale=options), side=side)

    def upscale(
        self,
        source: Path,
        target: Path,
        *,
        networks: NetworkSet | AutomaticNetworks,
        options: UpscaleOptions,
        on_progress: Callable[[int, float | None], None],
        on_whole: Callable[[Path], None],
    ) -> FilmOutcome:
        """Upscale a film, or go on with one; arguments and errors as for `mafdn.upscaling.folder.films.Films`."""
        from mafdn.film.run import upscale_film_file

        def tick(at: FilmProgress) -> None:
            if at.phase == "frames":
                on_progress(at.done, at.frames_per_second)

        report = upscale_film_file(
            source,
            target,
            networks=networks,
            options=replace(self._options, upscale=options),
            on_progress=tick,
            on_whole=on_whole,
        )
        return FilmOutcome(frames=report.frames, seconds=report.seconds, notes=report.notes, weights=report.weights)

    def thumbnails_of(self, target: Path) -> Sequence[Path]:
        """Return where pictures of the progress are written beside the result of a film; empty for another result."""
        return thumbnail_paths(target) if target.suffix.lower() in FILM_SUFFIXES else ()

    def for_programs(self) -> dict[str, Any]:
        """Return the settings that are for films only and affect their results."""
        settings = asdict(self._options)
        return {name: settings[name] for name in settings if name not in WITHOUT_EFFECT}
