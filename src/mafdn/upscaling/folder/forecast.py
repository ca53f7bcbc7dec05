"""An estimate of the time and disk space of a run, measured on parts of its pictures and films."""

import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mafdn.errors import MafdnError
from mafdn.inference import Engine
from mafdn.pictures.encoding import save_picture
from mafdn.pictures.formats import format_called
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import read_header
from mafdn.upscaling.choice.weights import choose_weights
from mafdn.upscaling.folder.films import Films
from mafdn.upscaling.folder.job import Job, work_of
from mafdn.upscaling.folder.report import FolderEstimate
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.picture import Report, prepare, run
from mafdn.upscaling.size import Size

SIDE = 192
"""Side in pixels of the parts that are upscaled, from the middle of pictures."""
SAMPLES = 3
"""Pictures or films that are sampled of each kind: those with the same network and format of the result."""
MOST_SECONDS = 10.0
"""Time after which no further picture or film is sampled."""
DIGITS = 2
"""Significant digits of times: parts tell no more."""
_Kind = tuple[int, str]
"""Scale of the network, and ending of the result."""


@dataclass(frozen=True)
class _Sample:
    """What the part of one picture or film took; a part of a frame does not tell the size of a film."""

    work: float
    seconds: float
    pixels: int = 0
    bytes: int = 0


def forecast(
    jobs: Sequence[Job],
    networks: NetworkSet | AutomaticNetworks,
    options: UpscaleOptions,
    *,
    size: Size,
    films: Films | None = None,
) -> FolderEstimate:
    """Estimate what upscaling these pictures and films would take.

    Parts of a few of them are upscaled, those of pictures also encoded, in a temporary folder. This never fails: those
    that cannot be read are left out, and `basis` is the reason if there are no figures. The time of films is that of
    all their frames, as if each differed from the one before.

    Args:
        jobs: The pictures and films.
        networks: The networks to use.
        options: How they are upscaled.
        size: Size of the results.
        films: How films are upscaled; without it, they are left out.
    """
    pixels, free = sum(job.pixels for job in jobs if job.film_frames != 0), _free_bytes(jobs)
    kinds: defaultdict[_Kind, list[Job]] = defaultdict(list)
    for job in jobs:
        kinds[job.scale, job.target.suffix.lower()].append(job)
    began = time.monotonic()
    samples: dict[_Kind, list[_Sample]] = {}
    problem = "nothing to measure"
    with tempfile.TemporaryDirectory(prefix="mafdn-") as folder:
        measure = _Measurement(networks, options, size, Path(folder))
        for kind, job in _in_turns({kind: _typical(members) for kind, members in kinds.items()}):
            if time.monotonic() - began > MOST_SECONDS:
                break
            try:
                sample = measure(job) if job.film_frames is None else _of_film(job, films, networks, options)
            except (MafdnError, OSError, MemoryError) as error:
                problem = str(error) or type(error).__name__
            else:
                samples.setdefault(kind, []).append(sample)
    known = [sample for several in samples.values() for sample in several]
    if not known:
        return FolderEstimate(pixels=pixels, free_bytes=free, basis=f"no estimate: {problem}")
    written = [sample for sample in known if sample.pixels]
    seconds = total_bytes = 0.0
    for kind, members in kinds.items():
        like, like_written = samples.get(kind, known), samples.get(kind, written)
        per_work = sum(sample.seconds for sample in like) / sum(sample.work for sample in like)
        seconds += per_work * sum(job.work for job in members if job.film_frames != 0)
        pictures = [job for job in members if job.film_frames is None]
        if written and pictures:
            per_pixel = sum(sample.bytes for sample in like_written) / sum(sample.pixels for sample in like_written)
            total_bytes += per_pixel * sum(job.pixels for job in pictures)
    return FolderEstimate(
        pixels=pixels,
        seconds=float(f"{seconds:.{DIGITS}g}") or None,
        bytes=round(total_bytes) if written else None,
        free_bytes=free,
        basis=f"measured just now by upscaling {_parts(len(written), len(known) - len(written))}{_left_out(jobs)}",
    )


def _parts(pictures: int, films: int) -> str:
    """Name what was upscaled."""
    parts = [f"{_one_or(pictures)} of the pictures"] if pictures else []
    parts += [f"a frame of {_one_or(films)} of the films"] if films else []
    return f"a part of {' and of '.join(parts)}"


def _one_or(count: int) -> str:
    return str(count) if count > 1 else "one"


def _left_out(jobs: Sequence[Job]) -> str:
    """Say what the figures do not contain."""
    films = sum(job.film_frames is not None for job in jobs)
    endless = sum(job.film_frames == 0 for job in jobs)
    parts = ["; films take less where frames repeat"] if films > endless else []
    parts += [f"; without {_films(endless)} of unknown length"] if endless else []
    return "".join(parts) + (f"; disk space is without {_films(films)}" if films else "")


def _films(count: int) -> str:
    return f"{count} film{'s' if count > 1 else ''}"


def _of_film(
    job: Job, films: Films | None, networks: NetworkSet | AutomaticNetworks, options: UpscaleOptions
) -> _Sample:
    """Upscale a part of a frame of a film; raises what upscaling it would raise."""
    if films is None:
        raise MafdnError("films are not read")
    sample = films.measure(job.source, networks, options, side=SIDE)
    return _Sample(work=work_of(sample.size, sample.new_size), seconds=sample.seconds)


def _typical(jobs: Sequence[Job]) -> list[Job]:
    """Return a few of the jobs, evenly spread over their sizes."""
    jobs = sorted(jobs, key=lambda job: job.work)
    count = min(SAMPLES, len(jobs))
    return [jobs[len(jobs) * (2 * number + 1) // (2 * count)] for number in range(count)]


def _in_turns(kinds: Mapping[_Kind, Sequence[Job]]) -> list[tuple[_Kind, Job]]:
    """Return the first job of every kind, then the second ones, and so on, so that no kind is left out in the end."""
    return [(kind, jobs[turn]) for turn in range(SAMPLES) for kind, jobs in kinds.items() if turn < len(jobs)]


class _Measurement:
    """Upscales the middle of pictures, in a temporary folder."""

    def __init__(
        self, networks: NetworkSet | AutomaticNetworks, options: UpscaleOptions, size: Size, folder: Path
    ) -> None:
        self._networks, self._options, self._size, self._folder = networks, options, size, folder
        self._ready: set[tuple[int, tuple[int, int]]] = set()
        """Engines and sizes for which graphs were compiled."""

    def __call__(self, job: Job) -> _Sample:
        """Upscale the middle of a picture; raises what upscaling it would raise."""
        limits, folder = self._options.limits, self._folder
        header = read_header(job.source, limits=limits, number=self._options.frame)
        picture = header.decode(limits=limits, scratch=folder)
        save_picture(_middle(picture), folder / "part.tif", format_called("tiff"))
        selection = self._networks.select(lambda: choose_weights(header, lambda: picture.planes), bits=header.bits)
        engine = selection.engine(self._size, *job.sizes.most_enlarged)
        report = self._upscale(job, engine)
        if (id(engine), report.size) not in self._ready:  # that took longer than the next one of this size
            self._ready.add((id(engine), report.size))
            report = self._upscale(job, engine)
        return _Sample(
            work=work_of(report.size, report.new_size),
            seconds=report.network_seconds,
            pixels=report.new_size[0] * report.new_size[1],
            bytes=report.target.stat().st_size,
        )

    def _upscale(self, job: Job, engine: Engine) -> Report:
        width = max(1, round(min(SIDE, job.size[0]) * job.new_size[0] / job.size[0]))
        options = replace(
            self._options,
            size=Size(width=width),
            output=replace(job.output, strip_metadata=True),
            overwrite=True,
            exact=False,
            frame=None,
        )
        header, target = read_header(self._folder / "part.tif"), self._folder / f"result{job.target.suffix}"
        prepared = prepare(header, target, scale=job.scale, options=options)
        return run(prepared, engine).finish()


def _middle(picture: Picture) -> Picture:
    """Return the middle of a picture without profile and metadata, whose size does not depend on the pixels."""
    top, left = max(0, (picture.height - SIDE) // 2), max(0, (picture.width - SIDE) // 2)
    planes = picture.planes[top : top + SIDE][:, left : left + SIDE]
    return Picture(planes=planes, format=picture.format)


def _free_bytes(jobs: Sequence[Job]) -> int | None:
    """Return the free space for the results, on the fullest disk of their folders; `None` if unknown."""
    found: list[int] = []
    for home in {job.home for job in jobs}:
        folder = next((path for path in (home, *home.parents) if path.is_dir()), None)
        try:
            if folder is not None:
                found.append(shutil.disk_usage(folder).free)
        except OSError:
            continue
    return min(found, default=None)
