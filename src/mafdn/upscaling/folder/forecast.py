"""An estimate of the time and disk space of a run, measured on parts of its pictures."""

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
from mafdn.upscaling.folder.job import Job, work_of
from mafdn.upscaling.folder.report import FolderEstimate
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.picture import Report, prepare, run
from mafdn.upscaling.size import Size

SIDE = 192
"""Side in pixels of the parts that are upscaled, from the middle of pictures."""
SAMPLES = 3
"""Pictures that are sampled of each kind: those with the same network and format of the result."""
MOST_SECONDS = 10.0
"""Time after which no further picture is sampled."""
_Kind = tuple[int, str]
"""Scale of the network, and ending of the result."""


@dataclass(frozen=True)
class _Sample:
    """What the part of one picture took."""

    work: float
    seconds: float
    pixels: int
    bytes: int


def forecast(
    jobs: Sequence[Job], networks: NetworkSet | AutomaticNetworks, options: UpscaleOptions, *, size: Size
) -> FolderEstimate:
    """Estimate what upscaling these pictures would take.

    Parts of a few of them are upscaled and encoded in a temporary folder. This never fails: pictures that cannot be
    read are left out, and `basis` is the reason if there are no figures.

    Args:
        jobs: The pictures.
        networks: The networks to use.
        options: How pictures are upscaled.
        size: Size of the results.
    """
    pixels, free = sum(job.pixels for job in jobs), _free_bytes(jobs)
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
                sample = measure(job)
            except (MafdnError, OSError, MemoryError) as error:
                problem = str(error) or type(error).__name__
            else:
                samples.setdefault(kind, []).append(sample)
    known = [sample for several in samples.values() for sample in several]
    if not known:
        return FolderEstimate(pixels=pixels, free_bytes=free, basis=f"no estimate: {problem}")
    seconds = total_bytes = 0.0
    for kind, members in kinds.items():
        like = samples.get(kind, known)
        per_work = sum(sample.seconds for sample in like) / sum(sample.work for sample in like)
        per_pixel = sum(sample.bytes for sample in like) / sum(sample.pixels for sample in like)
        seconds += per_work * sum(job.work for job in members)
        total_bytes += per_pixel * sum(job.pixels for job in members)
    parts = f"a part of {len(known)} of the pictures" if len(known) > 1 else "a part of one of the pictures"
    return FolderEstimate(
        pixels=pixels,
        seconds=seconds,
        bytes=round(total_bytes),
        free_bytes=free,
        basis=f"measured just now by upscaling {parts}",
    )


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
