"""What is to be done with each of many pictures, found out before any is touched.

Public names: :class:`Request`, :class:`Job`, :class:`Plan`, :class:`Homes`, :func:`make_plan`.
"""

import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mafdn._support.atomic import FileSnapshot, sha256, shown
from mafdn._support.validate import as_kind, as_number
from mafdn.errors import DamagedError, MafdnError, PictureError
from mafdn.pictures.formats import SUFFIXES, Format, format_called, format_of_name, sniff
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import open_picture, read_header
from mafdn.upscaling.folder.discover import Found, Source
from mafdn.upscaling.folder.engines import Networks
from mafdn.upscaling.folder.manifest import MANIFEST, Entry, Manifest, settings_digest
from mafdn.upscaling.folder.naming import Pattern, Wanted, assign, place
from mafdn.upscaling.folder.report import Item
from mafdn.upscaling.output import Output, choose_format
from mafdn.upscaling.size import Size, result_size

RAW = frozenset(
    ".3fr .arw .cr2 .dng .erf .iiq .nef .nrw .orf .pef .raw .rw2 .sr2 .srf .srw".split()  # noqa: SIM905 - to be read
)
"""Endings of raw photographs. Many begin as TIFF does, and what that holds is a thumbnail."""
CHANGED = "the result was changed since it was made and is left as it is; --overwrite makes it again"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of all pictures. Raises :class:`UsageError` for what makes no sense."""

    folder: Path | None
    """Where results go; ``None`` for beside their sources."""
    size: Size
    strength: float = 1.0
    output: Output = field(default_factory=Output)
    limits: Limits = field(default_factory=Limits)
    """The seconds are those for each picture."""
    pattern: Pattern
    overwrite: bool = False
    """Replace what is there and was not made by a run like this one."""
    redo: bool = False
    """Make also what is there and right."""
    tile: int | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", as_number("strength", self.strength, least=0, most=1))
        as_kind("output", self.output, Output)
        as_kind("limits", self.limits, Limits)
        self.pattern.check_size(as_kind("size", self.size, Size))
        if self.output.format is not None:
            self.output.check(format_called(self.output.format))


@dataclass(frozen=True, kw_only=True)
class Job:
    """One picture to be made."""

    source: Path
    target: Path
    size: tuple[int, int]
    new_size: tuple[int, int]
    scale: int
    """The network's."""
    output: Output
    """As far as it applies to this picture's format."""
    settings: str
    weights: str
    home: Path
    """The folder of its manifest."""
    why: str = "new"
    seen: FileSnapshot | None = None
    """What is at ``target`` and may be replaced."""
    replaces: str | None = None
    """The SHA-256 of an earlier result that is, or was, at ``target``."""

    @property
    def pixels(self) -> int:
        """Of the result."""
        return self.new_size[0] * self.new_size[1]

    def item(self, **changes: object) -> Item:
        blank = Item(source=self.source, target=self.target, status="left", size=self.size, new_size=self.new_size)
        return replace(blank, **changes)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The pictures to be made, and those of which all is known already."""

    jobs: tuple[Job, ...]
    settled: tuple[Item, ...]
    """Kept or failed."""
    not_pictures: int
    earlier_results: int


class Homes:
    """The manifests of a run; a result's is in the output folder, else in the nearest folder that has one."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._open: dict[Path, Manifest] = {}
        self._nearest: dict[Path, Path | None] = {}

    def home_of(self, source: Source) -> Path:
        """The folder of the manifest for this source's result."""
        return self._folder or self.nearest(source) or source.root

    def nearest(self, source: Source) -> Path | None:
        """The folder at or above this source that has a manifest; ``None`` when none has."""
        folder = source.path.parent
        if folder not in self._nearest:
            above = (folder, *folder.parents)
            self._nearest[folder] = next((home for home in above if _is_file(home / MANIFEST)), None)
        return self._nearest[folder]

    @property
    def unfinished(self) -> set[Path]:
        """The folders among those asked for in which a run was killed, or works at present."""
        return {home for home, manifest in self._open.items() if manifest.unfinished}

    def manifest(self, home: Path) -> Manifest:
        """The manifest in ``home``, read when first asked for."""
        if home not in self._open:
            self._open[home] = Manifest(home)
        return self._open[home]


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A source whose header was read."""

    source: Source
    size: tuple[int, int]
    new_size: tuple[int, int]
    kind: Format
    output: Output


def make_plan(
    found: Found,
    request: Request,
    networks: Networks,
    homes: Homes,
    *,
    on_check: Callable[[str, int, int], None] = lambda _name, _done, _total: None,
) -> Plan:
    """Read all headers, name all results, and compare what is there with what is known of it.

    ``on_check(name, done, total)`` is called for each file, and again when its earlier result is looked at. Raises
    :class:`MafdnError` for a manifest that cannot be read and for missing networks.
    """
    settled = [Item(source=gone.path, status="failed", reason=gone.reason) for gone in found.unusable]
    seen: list[_Seen] = []
    not_pictures = 0
    steps = 2 * len(found.sources)
    for number, source in enumerate(found.sources):
        on_check(source.path.name, number, steps)
        try:
            if _is_no_picture(source):
                not_pictures += 1
            else:
                seen.append(_look(source, request))
        except MafdnError as error:
            settled.append(Item(source=source.path, status="failed", reason=str(error)))
    wanted = {one.source.path: _wanted(one, request) for one in seen}
    results = _earlier_results(found, wanted, request, homes)
    left = [one for one in seen if place(one.source.path) not in results]
    settled = [item for item in settled if place(item.source) not in results]
    targets = _named(left, wanted, found, results, homes)
    jobs: list[Job] = []
    for number, one in enumerate(left):
        path, target = one.source.path, targets[one.source.path]
        on_check(path.name, steps - len(left) + number, steps)
        scale = networks.scale_for(request.size, *one.size)
        digest = partial(settings_digest, request.size, request.strength, one.output, exact=request.exact)
        job = Job(
            source=path,
            target=target,
            size=one.size,
            new_size=one.new_size,
            scale=scale,
            output=one.output,
            settings=digest(ending=target.suffix),
            weights=networks.digest(scale),
            home=homes.home_of(one.source),
        )
        judged = _judge(job, homes.manifest(job.home), request)
        if isinstance(judged, Job):
            jobs.append(judged)
        else:
            settled.append(judged)
    return Plan(
        jobs=tuple(jobs),
        settled=tuple(settled),
        not_pictures=not_pictures,
        earlier_results=len(seen) - len(left),
    )


def _is_no_picture(source: Source) -> bool:
    """Whether a file that was found, not named, is none by content and does not claim to be one."""
    ending = source.path.suffix.lower()
    if source.named or ending in SUFFIXES:
        return False
    try:
        sniff(source.path)
    except PictureError:
        return True
    return ending in RAW


def _look(source: Source, request: Request) -> _Seen:
    """What a picture's header says, and what follows for its result; raises :class:`MafdnError`."""
    stated = read_header(source.path, limits=request.limits)
    new_size = result_size(request.size, stated.width, stated.height)
    request.limits.check_pixels(source.path, *new_size, what="would become")
    plain = replace(request.output, quality=None)
    name = None if request.pattern.format_for(None) is None else Path(request.pattern.text)
    kind = choose_format(stated, name, plain)
    # a quality is for those of many pictures whose format has one
    return _Seen(
        source=source,
        size=(stated.width, stated.height),
        new_size=new_size,
        kind=kind,
        output=request.output if kind.lossy else plain,
    )


def _wanted(one: _Seen, request: Request) -> Wanted:
    path, relative = one.source.path, one.source.relative
    folder = path.parent if request.folder is None else request.folder / relative.parent

    def name(extra: str) -> str:
        return request.pattern.name(path, request.size, one.new_size, one.kind, extra=extra)

    return Wanted(source=path, relative=relative, folder=folder, name=name)


def _earlier_results(found: Found, wanted: dict[Path, Wanted], request: Request, homes: Homes) -> set[str]:
    """The places of files that are results: by a manifest, or by their name beside what they would be made of."""
    here = {place(source.path) for source in found.sources}
    results: set[str] = set()
    for home in {homes.home_of(s) for s in found.sources} | {h for s in found.sources if (h := homes.nearest(s))}:
        ours = request.folder is None or home == request.folder
        manifest = homes.manifest(home) if ours else Manifest(home)
        for target, source in manifest.results().items():
            # what another run made elsewhere is left out only where its own source is here too
            if ours or place(source) in here:
                results.add(place(target))
    for path, one in wanted.items():
        usual = next(one.candidates)
        if usual.stem != path.stem:
            results.add(place(usual))
    return results & here


def _named(
    left: list[_Seen], wanted: dict[Path, Wanted], found: Found, results: set[str], homes: Homes
) -> dict[Path, Path]:
    """A target for each source, the one it had where it can be."""
    home_of = {one.source.path: homes.home_of(one.source) for one in left}
    known = {home: homes.manifest(home).by_source() for home in set(home_of.values())}

    def before(one: Wanted) -> set[Path]:
        home = home_of[one.source]
        return known[home].get(homes.manifest(home).name_of(one.source), set())

    def may(one: Wanted, target: Path) -> bool:
        """Not what was made of another picture: unless that is this one under another name."""
        manifest = homes.manifest(home_of[one.source])
        entry = manifest.find(target)
        if entry is None or entry.source == manifest.name_of(one.source) or not os.path.lexists(target):
            return True
        try:
            return sha256(one.source) == entry.source_sha256
        except OSError:
            return False

    reserved = [source.path for source in found.sources if place(source.path) not in results]
    return assign([wanted[one.source.path] for one in left], reserved=reserved, before=before, may=may)


def _judge(job: Job, manifest: Manifest, request: Request) -> Job | Item:
    """``job`` with why it is to be done; or what became of it, when it is not."""
    target, entry = job.target, manifest.find(job.target)
    if not os.path.lexists(target):
        return replace(job, why="missing", replaces=entry.output) if entry else job
    if target.is_symlink() or not target.is_file():
        return job.item(status="failed", reason=f"{shown(target)} exists and is no regular file; give another folder")
    hint = "give --overwrite to replace it, or another folder or --pattern"
    if entry is None and not request.overwrite:
        return job.item(status="failed", reason=f"{shown(target)} exists and was not made by a run like this; {hint}")
    try:
        seen = FileSnapshot.take(target)
        ours, others = replace(job, seen=seen, replaces=seen.sha256), replace(job, seen=seen, why="replaced")
        if entry is None:
            return others
        other = _other(job, entry)
        if seen.sha256 == entry.output:
            return replace(ours, why=other or "redone") if other or request.redo else job.item(status="kept")
        if seen.sha256 == entry.replaces:
            return replace(ours, why="unfinished")
        if request.overwrite:
            return others
        if entry.output is not None and _is_damaged(target):
            return replace(ours, why="damaged")
    except OSError as error:
        reason = f"cannot read {shown(error.filename or job.source)}: {error.strerror or error}"
        return job.item(status="failed", reason=reason)
    if other or entry.output is None:
        return job.item(status="failed", reason=f"{shown(target)} was changed since it was made; {hint}")
    return job.item(status="kept", notes=(CHANGED,))


def _other(job: Job, entry: Entry) -> str | None:
    """What a result was made of that ``job`` is not; errors are the system's own."""
    if entry.settings != job.settings:
        return "other settings"
    if entry.weights != job.weights:
        return "other weights"
    return "changed" if entry.source_sha256 != sha256(job.source) else None


def _is_damaged(target: Path) -> bool:
    """Whether a result is nothing known any more, or not whole; one of another format is somebody's."""
    try:
        if sniff(target) == format_of_name(target):
            open_picture(target, limits=Limits(pixels=sys.maxsize, file_mb=math.inf), scratch=target.parent)
    except MafdnError as error:
        return isinstance(error, DamagedError)
    return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be looked into
        return False
