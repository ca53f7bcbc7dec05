"""What is to be done with each of many pictures, determined before any result is created."""

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mafdn._support.atomic import printable, sha256
from mafdn._support.extras import pip_install
from mafdn.errors import MafdnError, MissingPackageError, PictureError, UnsupportedError, UsageError
from mafdn.pictures.formats import SUFFIXES, Format, sniff
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import PictureHeader, read_header
from mafdn.upscaling.folder.decide import decide
from mafdn.upscaling.folder.discover import Found, Source
from mafdn.upscaling.folder.films import FILMS_NOT_VERIFIED, FilmHeader, Films
from mafdn.upscaling.folder.job import Job
from mafdn.upscaling.folder.manifest import Manifest, Manifests, settings_digest
from mafdn.upscaling.folder.naming import NameRequest, Pattern, assign, place
from mafdn.upscaling.folder.report import FolderItem
from mafdn.upscaling.folder.selection import is_older, ordered
from mafdn.upscaling.intended import Intended, intended_result
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet
from mafdn.upscaling.options import FolderOptions, UpscaleOptions
from mafdn.upscaling.output import Output
from mafdn.upscaling.preflight import check_encodable
from mafdn.upscaling.several import Sizes
from mafdn.upscaling.size import Size

SIDECARS = (".aae", ".xmp")
"""Endings of files with metadata or edits beside pictures."""
NO_FILMS = f"films need the extra film: {pip_install('film')}"
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


@dataclass(frozen=True, kw_only=True)
class _Inspected:
    """A source whose header was read."""

    source: Source
    sizes: Sizes
    bits: int
    """Bits per channel."""
    kind: Format
    output: Output
    skipped: str | None
    """Why it is not upscaled, if so."""
    film: FilmHeader | None = None
    """The film, if it is one."""
    notes: tuple[str, ...] = ()
    """What will not be done as expected."""


def make_plan(
    found: Found,
    networks: NetworkSet | AutomaticNetworks,
    manifests: Manifests,
    options: UpscaleOptions,
    *,
    size: Size,
    pattern: Pattern,
    selection: FolderOptions,
    films: Films | None = None,
    on_check: Callable[[str, int, int], None] = lambda _name, _done, _total: None,
) -> Plan:
    """Read all headers, name all results, and compare existing results with the manifest.

    Args:
        found: The files.
        networks: The networks to use.
        manifests: The manifests of the run, which know the folder of the results.
        options: How pictures are upscaled.
        size: Size of the results.
        pattern: Pattern for their names.
        selection: Which pictures are upscaled, and in which order.
        films: How films are read; without it, they fail.
        on_check: Called as `on_check(name, done, total)` for each file, and again before its result is checked.

    Raises:
        MafdnError: If a manifest cannot be read or a network is missing.
    """
    finished = [FolderItem(source=entry.path, status="failed", reason=entry.reason) for entry in found.unusable]
    shard, others = selection.shard, 0
    inspected: list[_Inspected] = []
    not_pictures = sidecars = 0
    steps = 2 * len(found.sources)
    for number, source in enumerate(found.sources):
        on_check(source.path.name, number, steps)
        read_by = films if films is not None and films.recognizes(source.path) else None
        if read_by is None and _is_not_a_picture(source):
            sidecar = source.path.suffix.lower() in SIDECARS
            sidecars, not_pictures = sidecars + sidecar, not_pictures + (not sidecar)
            continue
        failure, skipped = "", _not_chosen(selection, film=read_by is not None)
        try:
            if skipped is None and read_by is not None:
                inspected.append(_inspect_film(source, read_by, networks, options, pattern, selection))
                continue
            if skipped is None:
                inspected.append(_inspect(source, options, size, pattern, selection))
                continue
        except MafdnError as error:
            skipped = _is_too_old(source, selection) or _not_read(source, error, film=read_by is not None)
            failure = str(error)
        if shard and not shard.has(source.relative):
            others += 1
        else:
            status = "skipped" if skipped else "failed"
            finished.append(FolderItem(source=source.path, status=status, reason=skipped or failure))
    requests = {one.source.path: _name_request(one, size, pattern, manifests.folder) for one in inspected}
    results = _earlier_results(found, requests, manifests, films)
    pictures = [one for one in inspected if place(one.source.path) not in results]
    finished = [item for item in finished if place(item.source) not in results]
    targets = _assign_targets(pictures, requests, found, results, manifests)
    jobs: list[Job] = []
    for number, one in enumerate(pictures):
        path, target = one.source.path, targets[one.source.path]
        on_check(path.name, steps - len(pictures) + number, steps)
        if shard and not shard.has(one.source.relative):  # it has a name all the same, as when it is skipped
            others += 1
            continue
        if one.skipped:  # it has a name all the same, so that names do not depend on what is skipped
            finished.append(FolderItem(source=path, status="skipped", reason=one.skipped, size=one.sizes.before[0]))
            continue
        scale = networks.scale_for(size, *one.sizes.most_enlarged)
        job = Job(
            source=path,
            target=target,
            sizes=one.sizes,
            scale=scale,
            bits=one.bits,
            output=one.output,
            settings=_settings_of(one, options, size, target),
            weights=networks.digest(size, *one.sizes.most_enlarged, bits=one.bits),
            home=manifests.home_of(one.source),
            film_frames=None if one.film is None else one.film.frames,
            notes=one.notes,
        )
        decision = decide(job, manifests.manifest(job.home), overwrite=options.overwrite, redo=selection.redo)
        if isinstance(decision, Job):
            jobs.append(decision)
        else:
            unverified = options.verify and decision.status == "kept" and decision.verification is None
            reason = NOT_VERIFIED if one.film is None else FILMS_NOT_VERIFIED
            finished.append(replace(decision, notes=(*decision.notes, reason)) if unverified else decision)
    return Plan(
        jobs=tuple(ordered(jobs, selection.order)),
        finished=tuple(finished),
        not_pictures=not_pictures,
        sidecars=sidecars,
        earlier_results=len(inspected) - len(pictures),
        other_shards=others,
    )


def _is_not_a_picture(source: Source) -> bool:
    """Whether a file that was found, not named, is not a picture by its content and does not claim to be one.

    A picture of a format that is not read is one: it is skipped, and the reason says which format it is.
    """
    if source.named or source.path.suffix.lower() in SUFFIXES:
        return False
    try:
        sniff(source.path)
    except UnsupportedError:
        return False
    except PictureError:
        return True
    return False


def _not_chosen(selection: FolderOptions, *, film: bool) -> str | None:
    """Return why a film, or a picture, is skipped if only the other kind is upscaled."""
    if selection.only is None or (selection.only == "films") == film:
        return None
    return f"{'films' if film else 'pictures'} are left out (only {selection.only})"


def _not_read(source: Source, error: MafdnError, *, film: bool) -> str | None:
    """Return why a file that was found, not named, is skipped: nobody expects it to be read."""
    if source.named or source.path.suffix.lower() in SUFFIXES:
        return None
    if film:
        return NO_FILMS if isinstance(error, MissingPackageError) else None
    return str(error).removeprefix(f"{printable(source.path)} is ") if isinstance(error, UnsupportedError) else None


def _is_too_old(source: Source, selection: FolderOptions) -> str | None:
    """Return why a file is skipped if it was not modified since the time of the options."""
    if selection.since is None or not is_older(source.path, selection.since):
        return None
    return f"not modified since {selection.since.astimezone():%Y-%m-%d %H:%M}"


def _inspect(
    source: Source, options: UpscaleOptions, size: Size, pattern: Pattern, selection: FolderOptions
) -> _Inspected:
    """Read a picture's header and derive size and format of its result; raises `MafdnError`."""
    header = read_header(source.path, limits=options.limits, number=options.frame)
    largest, skipped = selection.skip_larger_than, _is_too_old(source, selection)
    if largest is not None and max(header.width, header.height) > largest:
        skipped = skipped or f"larger than {largest} pixels on its longest side"
    name = None if pattern.format_for(None) is None else Path(pattern.text)
    limits = replace(options.limits, pixels=sys.maxsize) if skipped else options.limits
    intended, output = result_of_many(header, name, options.output, size, limits=limits, frame=options.frame)
    kind, sizes = intended.kind, intended.sizes
    for width, height in () if skipped else set(sizes.after):
        target = source.path.with_name(pattern.name(source.path, size, sizes.after[0], kind))
        check_encodable(target, kind, width=width, height=height)
    return _Inspected(
        source=source,
        sizes=sizes,
        bits=header.bits,
        kind=kind,
        output=output,
        skipped=skipped,
        notes=intended.notes,
    )


def result_of_many(
    header: PictureHeader, name: Path | None, output: Output, size: Size, *, limits: Limits, frame: int | None
) -> tuple[Intended, Output]:
    """Return what becomes of one of many pictures, and its output: the quality is for those whose format has one.

    Arguments and errors are those of `intended_result`; `output` is that of all pictures.
    """
    intended = intended_result(header, name, replace(output, quality=None), size, limits=limits, frame=frame)
    return intended, output if intended.kind.lossy else replace(output, quality=None)


def _inspect_film(
    source: Source,
    films: Films,
    networks: NetworkSet | AutomaticNetworks,
    options: UpscaleOptions,
    pattern: Pattern,
    selection: FolderOptions,
) -> _Inspected:
    """Read what is known about a film; raises `MafdnError`."""
    if pattern.format_for(None) is not None:
        raise UsageError(
            f"{printable(source.path)} is a film, and {printable(pattern.text)!r} names pictures: end it in {{ext}}, "
            "or leave films out"
        )
    if options.output.strip_metadata:
        raise UsageError(
            f"{printable(source.path)} is a film, whose metadata is not removed; upscale films without that option",
            setting="strip_metadata",
        )
    film = films.read(source.path, networks, options)
    largest, skipped = selection.skip_larger_than, _is_too_old(source, selection)
    if largest is not None and max(film.size) > largest:
        skipped = skipped or f"larger than {largest} pixels on its longest side"
    sizes = Sizes(before=(film.size,), after=(film.new_size,))
    return _Inspected(
        source=source, sizes=sizes, bits=film.bits, kind=film.kind, output=Output(), skipped=skipped, film=film
    )


def _settings_of(one: _Inspected, options: UpscaleOptions, size: Size, target: Path) -> str:
    """Return a digest of all settings that affect a result."""
    digest = settings_digest(
        size,
        options.strength,
        one.output,
        exact=options.exact,
        ending=target.suffix,
        ensemble=options.ensemble,
        frame=options.frame,
        count=one.sizes.count,
    )
    return digest if one.film is None else hashlib.sha256(f"{digest} {one.film.settings}".encode()).hexdigest()


def _name_request(one: _Inspected, size: Size, pattern: Pattern, folder: Path | None) -> NameRequest:
    path, relative = one.source.path, one.source.relative

    def name(extra: str) -> str:
        return pattern.name(path, size, one.sizes.after[0], one.kind, extra=extra)

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
    pictures: list[_Inspected],
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
