"""What many files are, and what would become of each: headers are read, and nothing else."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn._support.extras import pip_install
from mafdn.errors import MafdnError, MissingPackageError, PictureError, UnsupportedError, UsageError
from mafdn.pictures.formats import SUFFIXES, Format, sniff
from mafdn.pictures.reading import read_header
from mafdn.upscaling.folder.discover import Source
from mafdn.upscaling.folder.films import FilmHeader, Films
from mafdn.upscaling.folder.options import FolderOptions
from mafdn.upscaling.folder.report import FolderItem
from mafdn.upscaling.folder.selection import is_older
from mafdn.upscaling.intended import result_of_many
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.output import Output
from mafdn.upscaling.pattern import Pattern
from mafdn.upscaling.preflight import check_encodable
from mafdn.upscaling.several import Sizes
from mafdn.upscaling.size import Size

SIDECARS = (".aae", ".xmp")
"""Endings of files with metadata or edits beside pictures."""
NO_FILMS = f"films need the extra film: {pip_install('film')}"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How the pictures and films of a run are upscaled.

    Args:
        networks: The networks to use.
        options: How pictures are upscaled.
        size: Size of the results.
        pattern: Pattern for their names.
        selection: Which pictures are upscaled, and in which order.
        films: How films are read; without it, they fail.
    """

    networks: NetworkSet | AutomaticNetworks
    options: UpscaleOptions
    size: Size
    pattern: Pattern
    selection: FolderOptions
    films: Films | None = None

    def is_of_another_shard(self, source: Source) -> bool:
        """Whether another run upscales a file."""
        shard = self.selection.shard
        return shard is not None and not shard.has(source.relative)


@dataclass(frozen=True, kw_only=True)
class Inspected:
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


@dataclass(kw_only=True)
class Inspection:
    """What the files of a run are.

    Args:
        read: Pictures and films, also those that are not upscaled.
        finished: Those that are skipped or have failed without a header.
        not_pictures: Number of files that are not pictures, without sidecars.
        sidecars: Number of files with metadata beside pictures.
        other_shards: Number of further pictures that belong to other shards.
    """

    read: list[Inspected]
    finished: list[FolderItem]
    not_pictures: int = 0
    sidecars: int = 0
    other_shards: int = 0


def inspect(sources: list[Source], setup: Setup, *, on_check: Callable[[str, int], None]) -> Inspection:
    """Read the headers of all files; `on_check` is called with the name and number of each."""
    inspection = Inspection(read=[], finished=[])
    for number, source in enumerate(sources):
        on_check(source.path.name, number)
        films = setup.films if setup.films is not None and setup.films.recognizes(source.path) else None
        if films is None and _is_not_a_picture(source):
            sidecar = source.path.suffix.lower() in SIDECARS
            inspection.sidecars += sidecar
            inspection.not_pictures += not sidecar
            continue
        outcome = _inspected(source, setup, films)
        if isinstance(outcome, Inspected):
            inspection.read.append(outcome)
        elif setup.is_of_another_shard(source):
            inspection.other_shards += 1
        else:
            inspection.finished.append(outcome)
    return inspection


def _inspected(source: Source, setup: Setup, films: Films | None) -> Inspected | FolderItem:
    """Read the header of a picture, or of a film if `films` are given; or say why it is skipped or has failed."""
    selection, failure = setup.selection, ""
    skipped = _not_chosen(selection, film=films is not None)
    if skipped is None:
        try:
            return _inspect_picture(source, setup) if films is None else _inspect_film(source, setup, films)
        except MafdnError as error:
            skipped = _too_old(source, selection) or _not_read(source, error, film=films is not None)
            failure = error.reason
    return FolderItem(source=source.path, status="skipped" if skipped else "failed", reason=skipped or failure)


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


def _too_old(source: Source, selection: FolderOptions) -> str | None:
    """Return why a file is skipped if it was not modified since the time of the options."""
    if selection.since is None or not is_older(source.path, selection.since):
        return None
    return f"not modified since {selection.since.astimezone():%Y-%m-%d %H:%M}"


def _not_wanted(source: Source, selection: FolderOptions, longest: int) -> str | None:
    """Return why a file is skipped by its time or by its longest side."""
    largest, too_old = selection.skip_larger_than, _too_old(source, selection)
    if too_old is None and largest is not None and longest > largest:
        return f"larger than {largest} pixels on its longest side"
    return too_old


def _inspect_picture(source: Source, setup: Setup) -> Inspected:
    """Read a picture's header and derive size and format of its result; raises `MafdnError`."""
    options, size, pattern = setup.options, setup.size, setup.pattern
    header = read_header(source.path, limits=options.limits, number=options.frame)
    skipped = _not_wanted(source, setup.selection, max(header.width, header.height))
    name = None if pattern.format_for(None) is None else Path(pattern.text)
    limits = replace(options.limits, pixels=sys.maxsize) if skipped else options.limits
    intended, output = result_of_many(header, name, options.output, size, limits=limits, frame=options.frame)
    kind, sizes = intended.kind, intended.sizes
    for width, height in () if skipped else set(sizes.after):
        target = source.path.with_name(pattern.name(source.path, size, sizes.after[0], kind))
        check_encodable(target, kind, width=width, height=height)
    return Inspected(
        source=source,
        sizes=sizes,
        bits=header.bits,
        kind=kind,
        output=output,
        skipped=skipped,
        notes=intended.notes,
    )


def _inspect_film(source: Source, setup: Setup, films: Films) -> Inspected:
    """Read what is known about a film; raises `MafdnError`."""
    options, pattern = setup.options, setup.pattern
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
    film = films.read(source.path, setup.networks, options)
    return Inspected(
        source=source,
        sizes=Sizes(before=(film.size,), after=(film.new_size,)),
        bits=film.bits,
        kind=film.kind,
        output=Output(),
        skipped=_not_wanted(source, setup.selection, max(film.size)),
        film=film,
    )
