"""An estimate of the time and disk space of a run, measured on parts of its pictures."""

import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mafdn.errors import MafdnError
from mafdn.pictures.encoding import save_picture
from mafdn.pictures.formats import format_called
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import read_header
from mafdn.upscaling.folder.job import Job, work_of
from mafdn.upscaling.folder.report import FolderEstimate
from mafdn.upscaling.networks import NetworkSet
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.picture import Report, prepare, run
from mafdn.upscaling.size import Size

SIDE = 192
"""Side in pixels of the parts that are upscaled, from the middle of pictures."""
SAMPLES = 3
"""Pictures that are sampled of each kind: those with the same network and format of the result."""
MOST_SECONDS = 10.0
"""Time after which no further picture is sampled."""


@dataclass(frozen=True)
class _Sample:
    """What the part of one picture took."""

    work: float
    seconds: float
    pixels: int
    bytes: int


def forecast(jobs: Sequence[Job], networks: NetworkSet, options: UpscaleOptions) -> FolderEstimate:
    """Estimate what upscaling these pictures would take.

    Parts of a few of them are upscaled and encoded in a temporary folder. This never fails: pictures that cannot be
    read are left out, and `basis` says why there are no figures.

    Args:
        jobs: The pictures.
        networks: The networks to use.
        options: How pictures are upscaled.
    """
    pixels, free = sum(job.pixels for job in jobs), _free_bytes(jobs)
    kinds: defaultdict[tuple[int, str], list[Job]] = defaultdict(list)
    for job in jobs:
        kinds[job.scale, job.target.suffix.lower()].append(job)
    began = time.monotonic()
    samples: dict[tuple[int, str], list[_Sample]] = {}
    problem = "nothing to measure"
    with tempfile.TemporaryDirectory(prefix="mafdn-") as folder:
        for kind, members in kinds.items():
            for job in _typical(members):
                if time.monotonic() - began > MOST_SECONDS:
                    break
                try:
                    samples.setdefault(kind, []).append(_measure(job, networks, options, Path(folder)))
                except (MafdnError, OSError, MemoryError) as error:
                    problem = str(error) or type(error).__name__
    known = [sample for several in samples.values() for sample in several]
    if not known:
        return FolderEstimate(pixels=pixels, free_bytes=free, basis=f"no estimate: {problem}")
    seconds = size = 0.0
    for kind, members in kinds.items():
        like = samples.get(kind, known)
        per_work = sum(sample.seconds for sample in like) / sum(sample.work for sample in like)
        per_pixel = sum(sample.bytes for sample in like) / sum(sample.pixels for sample in like)
        seconds += per_work * sum(job.work for job in members)
        size += per_pixel * sum(job.pixels for job in members)
    parts = f"a part of {len(known)} of the pictures" if len(known) > 1 else "a part of one of the pictures"
    return FolderEstimate(
        pixels=pixels,
        seconds=seconds,
        bytes=round(size),
        free_bytes=free,
        basis=f"measured just now by upscaling {parts}",
    )


def _typical(jobs: Sequence[Job]) -> list[Job]:
    """Return a few of the jobs, evenly spread over their sizes."""
    jobs = sorted(jobs, key=lambda job: job.work)
    count = min(SAMPLES, len(jobs))
    return [jobs[len(jobs) * (2 * number + 1) // (2 * count)] for number in range(count)]


def _measure(job: Job, networks: NetworkSet, options: UpscaleOptions, folder: Path) -> _Sample:
    """Upscale the middle of a picture; raises what upscaling it would raise."""
    picture = read_header(job.source, limits=options.limits).decode(limits=options.limits, scratch=folder)
    part, target = folder / "part.tif", folder / f"result{job.target.suffix}"
    save_picture(_middle(picture), part, format_called("tiff"))
    width = max(1, round(min(SIDE, job.size[0]) * job.new_size[0] / job.size[0]))
    options = replace(
        options, size=Size(width=width), output=replace(job.output, strip_metadata=True), overwrite=True, exact=False
    )
    engine = networks.engine(job.scale)

    def upscale() -> Report:
        return run(prepare(read_header(part), target, scale=job.scale, options=options), engine).finish()

    upscale()  # a first picture of its size takes longer: graphs are compiled
    report = upscale()
    return _Sample(
        work=work_of(report.size, report.new_size),
        seconds=report.network_seconds,
        pixels=report.new_size[0] * report.new_size[1],
        bytes=target.stat().st_size,
    )


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
