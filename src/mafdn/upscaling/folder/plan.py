"""What is to be done with each of many pictures, determined before any result is created."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mafdn._support.atomic import sha256
from mafdn._support.progress import ignore
from mafdn.upscaling.folder.decide import decide
from mafdn.upscaling.folder.discover import Found
from mafdn.upscaling.folder.films import FILMS_NOT_VERIFIED, Films
from mafdn.upscaling.folder.inspection import Inspected, Setup, inspect
from mafdn.upscaling.folder.job import Job
from mafdn.upscaling.folder.manifest import Manifest, Manifests, settings_digest
from mafdn.upscaling.folder.naming import NameRequest, assign, place
from mafdn.upscaling.folder.report import FolderItem
from mafdn.upscaling.folder.selection import ordered

NOT_VERIFIED = "the result was kept and not verified; use the option redo, or mafdn verify"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The pictures of a run.

    Args:
        jobs: Pictures to upscale, in the order of the work.
        finished: Pictures that are kept, skipped or have failed already.
        not_pictures: Number of files that are not pictures, without sidecars.
        sidecars: Number of files with metadata beside pictures.
        earlier_results: Number of files that were skipped as results of earlier runs.
        other_shards: Number of pictures that belong to other shards.
    """

    jobs: tuple[Job, ...]
    finished: tuple[FolderItem, ...]
    not_pictures: int
    sidecars: int
    earlier_results: int
    other_shards: int


def make_plan(
    found: Found, manifests: Manifests, setup: Setup, *, on_check: Callable[[str, int, int], None] = ignore
) -> Plan:
    """Read all headers, name all results, and compare existing results with the manifest.

    Args:
        found: The files.
        manifests: The manifests of the run, which know the folder of the results.
        setup: How pictures and films are upscaled.
        on_check: Called as `on_check(name, done, total)` for each file, and again before its result is checked.

    Raises:
        MafdnError: If a manifest cannot be read or a network is missing.
    """
    steps = 2 * len(found.sources)
    inspection = inspect(found.sources, setup, on_check=lambda name, number: on_check(name, number, steps))
    requests = {one.source.path: _name_request(one, setup, manifests.folder) for one in inspection.read}
    results = _earlier_results(found, requests, manifests, setup.films)
    pictures = [one for one in inspection.read if place(one.source.path) not in results]
    unusable = (FolderItem(source=entry.path, status="failed", reason=entry.reason) for entry in found.unusable)
    finished = [item for item in (*unusable, *inspection.finished) if place(item.source) not in results]
    targets = _assign_targets(pictures, requests, found, results, manifests)
    jobs: list[Job] = []
    others = inspection.other_shards
    for number, one in enumerate(pictures, steps - len(pictures)):
        on_check(one.source.path.name, number, steps)
        if setup.is_of_another_shard(one.source):  # it has a name all the same, as when it is skipped
            others += 1
            continue
        outcome = _decided(one, targets[one.source.path], manifests, setup)
        if isinstance(outcome, Job):
            jobs.append(outcome)
        else:
            finished.append(outcome)
    return Plan(
        jobs=tuple(ordered(jobs, setup.selection.order)),
        finished=tuple(finished),
        not_pictures=inspection.not_pictures,
        sidecars=inspection.sidecars,
        earlier_results=len(inspection.read) - len(pictures),
        other_shards=others,
    )


def _decided(one: Inspected, target: Path, manifests: Manifests, setup: Setup) -> Job | FolderItem:
    """Return the work on a picture, or its outcome if it is skipped or its result is kept or in the way."""
    path, largest, options = one.source.path, one.sizes.most_enlarged, setup.options
    if one.skipped:  # it has a name all the same, so that names do not depend on what is skipped
        return FolderItem(source=path, status="skipped", reason=one.skipped, size=one.sizes.before[0])
    job = Job(
        source=path,
        target=target,
        sizes=one.sizes,
        scale=setup.networks.scale_for(setup.size, *largest),
        bits=one.bits,
        output=one.output,
        settings=_settings_of(one, setup, target),
        weights=setup.networks.digest(setup.size, *largest, bits=one.bits),
        home=manifests.home_of(one.source),
        film_frames=None if one.film is None else one.film.frames,
        notes=one.notes,
    )
    outcome = decide(job, manifests.manifest(job.home), overwrite=options.overwrite, redo=setup.selection.redo)
    if isinstance(outcome, FolderItem) and options.verify and outcome.status == "kept" and outcome.verification is None:
        reason = NOT_VERIFIED if one.film is None else FILMS_NOT_VERIFIED
        return replace(outcome, notes=(*outcome.notes, reason))
    return outcome


def _settings_of(one: Inspected, setup: Setup, target: Path) -> str:
    """Return a digest of all settings that affect a result."""
    options = setup.options
    digest = settings_digest(
        setup.size,
        options.strength,
        one.output,
        exact=options.exact,
        ending=target.suffix,
        ensemble=options.ensemble,
        frame=options.frame,
        count=one.sizes.count,
    )
    return digest if one.film is None else hashlib.sha256(f"{digest} {one.film.settings}".encode()).hexdigest()


def _name_request(one: Inspected, setup: Setup, folder: Path | None) -> NameRequest:
    path, relative = one.source.path, one.source.relative

    def name(extra: str) -> str:
        return setup.pattern.name(path, setup.size, one.sizes.after[0], one.kind, extra=extra)

    target_folder = path.parent if folder is None else folder / relative.parent
    return NameRequest(source=path, relative=relative, folder=target_folder, name=name)


def _earlier_results(
    found: Found, requests: dict[Path, NameRequest], manifests: Manifests, films: Films | None
) -> set[str]:
    """Return the places of sources that are results: by a manifest, or by their name beside their source.

    Pictures of a film's progress belong to its result.
    """
    here = {place(source.path) for source in found.sources}
    results: set[Path] = set()
    homes = {manifests.home_of(s) for s in found.sources}
    for home in homes | {nearest for s in found.sources if (nearest := manifests.nearest(s))}:
        own = manifests.folder is None or home == manifests.folder
        manifest = manifests.manifest(home) if own else Manifest(home)
        for target, source in manifest.results().items():
            # a result of a run with another output folder is only skipped if its source is here too
            if own or place(source) in here:
                results.add(target)
    for path, request in requests.items():
        default = next(request.candidates)
        if default.stem != path.stem:
            results.add(default)
    if films is not None:
        results |= {picture for target in results for picture in films.thumbnails_of(target)}
    return {place(path) for path in results} & here


def _assign_targets(
    pictures: list[Inspected],
    requests: dict[Path, NameRequest],
    found: Found,
    results: set[str],
    manifests: Manifests,
) -> dict[Path, Path]:
    """Return a target for each source, that of an earlier run if possible."""
    home_of = {one.source.path: manifests.home_of(one.source) for one in pictures}
    known = {home: manifests.manifest(home).by_source() for home in set(home_of.values())}

    def earlier(request: NameRequest) -> set[Path]:
        home = home_of[request.source]
        return known[home].get(manifests.manifest(home).name_of(request.source), set())

    def allowed(request: NameRequest, target: Path) -> bool:
        """Whether `target` is not the result of another picture; a moved picture is recognized by its content."""
        manifest = manifests.manifest(home_of[request.source])
        entry = manifest.find(target)
        if entry is None or entry.source == manifest.name_of(request.source) or not os.path.lexists(target):
            return True
        try:
            return sha256(request.source) == entry.source_sha256
        except OSError:
            return False

    reserved = [source.path for source in found.sources if place(source.path) not in results]
    names = [requests[one.source.path] for one in pictures]
    return assign(names, reserved=reserved, earlier=earlier, allowed=allowed)
