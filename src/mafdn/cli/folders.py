"""``mafdn upscale`` for many pictures: progress over all of them, and what became of each.

Public names: :class:`Asked`, :func:`is_one_picture`, :func:`upscale_many`.
"""

import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from mafdn._support.atomic import replacing, shown
from mafdn._support.validate import as_path
from mafdn.cli.output import check_stop, progress_bar, show_json, show_table
from mafdn.errors import MafdnError, UsageError
from mafdn.pictures.limits import Limits
from mafdn.upscaling.folder.discover import WILD, find_sources, is_folder
from mafdn.upscaling.folder.report import BatchReport, Item, Standing
from mafdn.upscaling.folder.run import Stopped
from mafdn.upscaling.output import Output
from mafdn.upscaling.size import Size

LISTED = 30
"""The most failures that are listed; a report has all."""
PACE = 120.0
"""Seconds over whose pixels the time left is reckoned."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of one picture as well as of many."""

    size: Size | None
    strength: float
    output: Output
    limits: Limits
    overwrite: bool
    network: Path | None
    engine: str
    device: str
    threads: int | None
    precision: str
    tile: int | None
    exact: bool
    quiet: bool
    as_json: bool


def is_one_picture(inputs: Sequence[str]) -> bool:
    """Whether these are one picture, or one and the name of its result, and nothing more.

    Raises :class:`UsageError` for a picture and a folder, which could be two inputs or one and its place, and for an
    empty name.
    """
    for given in inputs:
        as_path("INPUT", given)
    if len(inputs) > 2 or is_folder(Path(inputs[0])) or _is_glob(inputs[0]):
        return False
    if len(inputs) == 2 and is_folder(Path(inputs[1])):
        name = shown(inputs[1])
        raise UsageError(f"{name} is a folder: give -o {name} to have the result there, or -o with another for both")
    return len(inputs) == 1 or not _is_glob(inputs[1])


def upscale_many(
    inputs: Sequence[str],
    folder: Path | None,
    asked: Asked,
    *,
    recursive: bool,
    pattern: str | None,
    redo: bool,
    dry_run: bool,
    report_file: Path | None,
) -> None:
    """Upscale, report, and raise :class:`MafdnError` when a picture failed."""
    from mafdn.api import upscale_folder

    if report_file is not None and not report_file.absolute().parent.is_dir():
        raise UsageError(f"cannot write {shown(report_file)}: there is no such folder")

    def tell(report: BatchReport) -> None:
        if report_file is not None:
            with replacing(report_file) as temporary:
                temporary.write_text(json.dumps(report.for_programs(), indent=2, default=str) + "\n", "utf-8")
        if asked.as_json:
            show_json(report.for_programs())
        elif not asked.quiet:
            _show(report, inputs, dry_run=dry_run)

    try:
        with _progress(quiet=asked.quiet or asked.as_json) as tick:
            report = upscale_folder(
                inputs,
                folder,
                recursive=recursive,
                pattern=pattern,
                size=asked.size,
                strength=asked.strength,
                output=asked.output,
                limits=asked.limits,
                overwrite=asked.overwrite,
                redo=redo,
                dry_run=dry_run,
                network=asked.network,
                engine=asked.engine,
                device=asked.device,
                threads=asked.threads,
                precision=asked.precision,
                tile=asked.tile,
                exact=asked.exact,
                on_progress=tick,
            )
    except Stopped as stopped:
        tell(stopped.report)
        counts = stopped.report.counts
        right, total = counts["done"] + counts["kept"], sum(counts.values())
        typer.echo(f"{right} of {total} pictures are done; run the same command again to go on", err=True)
        raise
    tell(report)
    counts, total = report.counts, len(report.items)
    if report.stopped:
        raise MafdnError(f"{report.stopped}; {counts['left']} of {total} pictures are left: run the same command again")
    if counts["failed"]:
        raise MafdnError(f"{counts['failed']} of {total} pictures failed")


def _is_glob(text: str) -> bool:
    """Whether a pattern is meant; brackets alone that match nothing are those of a name that is not there."""
    wild = WILD & set(text)
    if not wild or os.path.lexists(text):
        return False
    return bool(wild - {"["} or find_sources([text]).sources)


def _show(report: BatchReport, inputs: Sequence[str], *, dry_run: bool) -> None:
    """What was done, in a few lines, and every failure with its reason."""
    if dry_run:
        for item in report.with_status("left"):
            typer.echo(f"{shown(item.source)} -> {shown(item.target or '')} ({item.reason})")
    for note, count in report.notes.items():
        typer.echo(f"note: {note} ({count} picture{'s' if count > 1 else ''})")
    if report.failed:
        rows = [[_name(item), _cause(item)] for item in report.failed[:LISTED]]
        show_table("failed", ["picture", "reason"], rows, left=True)
        if len(report.failed) > LISTED:
            typer.echo(f"and {len(report.failed) - LISTED} more; --report FILE lists all")
    counts = report.counts
    if dry_run:
        parts = [f"{counts['left']} to be made"]
    else:
        parts = [f"{counts['done']} made"]
        parts += [f"{counts['left']} left"] if counts["left"] else []
    parts += [f"{counts['kept']} kept as they are"] if counts["kept"] else []
    parts += [f"{counts['failed']} failed"] if counts["failed"] else []
    where = shown(report.folder) if report.folder else ", ".join(shown(given) for given in inputs[:3])
    typer.echo(f"{where}: {', '.join(parts)} in {report.seconds:.1f} s")
    for count, one, more in (
        (report.not_pictures, "file that is no picture", "files that are no pictures"),
        (report.earlier_results, "result of an earlier run", "results of earlier runs"),
        (report.links, "link to a folder: links are not followed", "links to folders: links are not followed"),
        (
            report.folders,
            "folder in a folder: --recursive takes it in",
            "folders in folders: --recursive takes them in",
        ),
    ):
        if count:
            typer.echo(f"skipped {count} {one if count == 1 else more}")


def _name(item: Item) -> str:
    return shown(item.source.name)


def _cause(item: Item) -> str:
    """The reason without the name it begins with, which has a column of its own."""
    return (item.reason or "").removeprefix(f"{shown(item.source)} ")


@contextmanager
def _progress(*, quiet: bool) -> Generator[Callable[[Standing], None]]:
    """A progress bar over all pictures on stderr when that is a terminal, else silence.

    Progress is counted in pixels of results, so that the time left is what was measured in this run. The function given
    also ends the work, by ``KeyboardInterrupt``, once the end is asked for.
    """
    with progress_bar(quiet=quiet, pace=PACE) as bar:
        if bar is None:
            yield lambda _: check_stop()
            return
        tasks = {"checking": bar.add_task("checking", total=None)}

        def update(standing: Standing) -> None:
            check_stop()
            if standing.phase not in tasks:
                bar.update(tasks["checking"], visible=False)
                tasks[standing.phase] = bar.add_task("", total=None)
            place = "checking" if standing.phase == "checking" else f"{standing.number}/{standing.count}"
            bar.update(
                tasks[standing.phase],
                description=f"{place} {shown(standing.name)[:40]}",
                completed=standing.done,
                total=standing.total,
            )

        yield update
