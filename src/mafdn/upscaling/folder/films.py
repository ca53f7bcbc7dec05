"""Films among many pictures. How they are read and made is given by the caller, as `mafdn.film` is a layer above."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from mafdn._support.atomic import sha256
from mafdn._support.progress import ignore
from mafdn.pictures.formats import Format
from mafdn.pictures.spill import LEAST_ROOM
from mafdn.pictures.writing import keep_times
from mafdn.upscaling.choice.weights import WeightsChoice
from mafdn.upscaling.folder.bookkeeping import begin, describe_error, folder_fault, seal, undo
from mafdn.upscaling.folder.job import Job
from mafdn.upscaling.folder.manifest import Manifest
from mafdn.upscaling.folder.report import FolderItem, FolderProgress
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet
from mafdn.upscaling.options import UpscaleOptions

FILMS_NOT_VERIFIED = "films are not verified"


@dataclass(frozen=True, kw_only=True)
class FilmHeader:
    """A film before it is decoded.

    Attributes:
        size: Width and height of frames as they are shown, in pixels.
        new_size: Those of the result.
        frames: Estimated number of frames; 0 if it is unknown.
        bits: Bits per channel.
        kind: How the result is named.
        settings: What the result depends on beside the settings of pictures, as text.
    """

    size: tuple[int, int]
    new_size: tuple[int, int]
    frames: int
    bits: int
    kind: Format
    settings: str


@dataclass(frozen=True, kw_only=True)
class FilmOutcome:
    """What was made of a film: number of frames, seconds, notes, and the choice of weights if there was one."""

    frames: int
    seconds: float
    notes: tuple[str, ...]
    weights: WeightsChoice | None


@dataclass(frozen=True, kw_only=True)
class FilmSample:
    """What a part of one frame of a film took: its size and that of its result, and seconds."""

    size: tuple[int, int]
    new_size: tuple[int, int]
    seconds: float


class Films(Protocol):
    """How films are recognized, read and upscaled."""

    def recognizes(self, path: Path) -> bool:
        """Whether a file is a film."""
        ...

    def read(self, path: Path, networks: NetworkSet | AutomaticNetworks, options: UpscaleOptions) -> FilmHeader:
        """Read what is known about a film; raises `MafdnError`."""
        ...

    def measure(
        self, path: Path, networks: NetworkSet | AutomaticNetworks, options: UpscaleOptions, *, side: int
    ) -> FilmSample:
        """Upscale the middle of the first selected frame, at most `side` pixels wide and high; raises `MafdnError`."""
        ...

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
        """Upscale a film, or go on with one.

        Args:
            source: The film.
            target: The result.
            networks: The networks to use.
            options: How it is upscaled.
            on_progress: Called with the number of frames that are done and with the frames per second, if known.
            on_whole: Called with the complete file before it is renamed; may raise to prevent that.

        Raises:
            MafdnError: If that is not possible.
        """
        ...

    def thumbnails_of(self, target: Path) -> Sequence[Path]:
        """Return where pictures of the progress are written beside the result of a film; empty for another result."""
        ...

    def for_programs(self) -> dict[str, Any]:
        """Return the settings for a report."""
        ...


class FilmRun:
    """The films of a run over many files, one after the other.

    Attributes:
        items: The outcome of every film, filled by `run`.
        stopped: Why the run ended before its last film; `None` if it did not.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        films: Films | None,
        networks: NetworkSet | AutomaticNetworks,
        manifests: Mapping[Path, Manifest],
        options: UpscaleOptions,
        *,
        before: Sequence[Job] = (),
        on_progress: Callable[[FolderProgress], None] = ignore,
        on_item: Callable[[FolderItem], None] = ignore,
    ) -> None:
        """Prepare; the arguments are as for `Pipeline`, and `before` are the pictures that came before."""
        self.items: list[FolderItem] = []
        self.stopped: str | None = None
        self._jobs, self._films, self._networks, self._manifests = list(jobs), films, networks, manifests
        self._options, self._on_progress, self._on_item = options, on_progress, on_item
        self._before = len(before)
        self._done = sum(job.pixels for job in before)
        self._total = self._done + sum(job.pixels for job in jobs)

    def run(self) -> None:
        """Upscale all films; a failure ends only its own, unless it concerns the folder of the results.

        Raises:
            KeyboardInterrupt: At Ctrl-C, when `items` has the outcome of all films.
        """
        try:
            for number, job in enumerate(self._jobs, 1):
                if self.stopped is None:
                    self._add(self._upscale(job, self._before + number))
                    self._done += job.pixels
        finally:
            known = {item.source for item in self.items}
            for job in self._jobs:
                if job.source not in known:
                    self._add(job.item(status="left"))

    def _upscale(self, job: Job, number: int) -> FolderItem:
        assert self._films is not None, "there are no films without it"
        manifest = self._manifests[job.home]
        left = sum(other.work for other in self._jobs[number - self._before :])

        def tick(frames: int, speed: float | None) -> None:
            count = job.film_frames or 0
            share = min(1.0, frames / count) if count else 0.0
            per_frame = job.work / max(1, count)
            seconds = ((count - frames) * per_frame + left) / (speed * per_frame) if speed and count else None
            self._on_progress(
                FolderProgress(
                    phase="upscaling",
                    name=job.source.name,
                    number=number,
                    count=self._before + len(self._jobs),
                    done=self._done + round(share * job.pixels),
                    total=self._total,
                    remaining_seconds=None if seconds is None else max(0.0, seconds),
                )
            )

        sealed: str | None = None

        def on_whole(complete: Path) -> None:
            nonlocal sealed
            sealed = seal(job, manifest, complete)

        try:
            in_flight = begin(job, manifest)
            try:
                outcome = self._films.upscale(
                    job.source,
                    job.target,
                    networks=self._networks,
                    options=replace(self._options, overwrite=job.snapshot is not None),
                    on_progress=tick,
                    on_whole=on_whole,
                )
            except BaseException:
                if sealed is None or not _has_content(job.target, sealed):  # it may come after the film is complete
                    undo(manifest, in_flight)
                raise
        except Exception as error:
            self.stopped = folder_fault(job.home, error, LEAST_ROOM)
            return job.item(status="failed", reason=describe_error(job, error))
        with suppress(OSError):  # its content is recorded, so the next run will recognize it
            manifest.finish(job.target, None, outcome.weights)
        notes = (*outcome.notes, FILMS_NOT_VERIFIED) if self._options.verify else outcome.notes
        if self._options.keep_times:
            notes += keep_times(job.source, job.target)
        return job.item(
            status="done",
            reason=job.reason,
            seconds=outcome.seconds,
            notes=notes,
            weights=outcome.weights,
            frames=outcome.frames,
        )

    def _add(self, item: FolderItem) -> None:
        self.items.append(item)
        self._on_item(item)


def _has_content(path: Path, digest: str) -> bool:
    try:
        return sha256(path) == digest
    except OSError:
        return False
