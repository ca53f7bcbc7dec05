"""Progress and results of `mafdn upscale` for several pictures."""

import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from mafdn._support.atomic import printable, replacing
from mafdn._support.validate import as_path
from mafdn.cli.output import check_stop, progress_bar, show_json, show_table
from mafdn.errors import MafdnError, UsageError
from mafdn.upscaling.folder.discover import WILDCARDS, find_sources, is_folder
from mafdn.upscaling.folder.report import FolderItem, FolderProgress, FolderReport
from mafdn.upscaling.folder.run import Stopped

FAILURES_LISTED = 30
"""Maximum number of failures to print; a report file lists all."""
ESTIMATE_SECONDS = 120.0
"""Length, in seconds, of the period from which the remaining time is estimated."""

Tick = Callable[[FolderProgress], None]


def is_one_picture(inputs: Sequence[str]) -> bool:
    """Whether the inputs are a single picture, optionally followed by the name of its result.

    Raises:
        UsageError: If they are a picture and a folder, which could be two inputs or an input and an output, or a name
            is empty.
    """
    for text in inputs:
        as_path("INPUT", text)
    if len(inputs) > 2 or is_folder(Path(inputs[0])) or _is_glob(inputs[0]):
        return False
    if len(inputs) == 2 and is_folder(Path(inputs[1])):
        name = printable(inputs[1])
        raise UsageError(f"{name} is a folder: use -o {name} to write there, or -o with another folder to upscale both")
    return len(inputs) == 1 or not _is_glob(inputs[1])


@dataclass(frozen=True, kw_only=True)
class FolderOutput:
    """How to show the progress and the report of a run over several pictures.

    Args:
        inputs: The inputs, as typed.
        report_file: JSON file for the report.
        dry_run: Whether nothing but the report is written.
        quiet: Whether to print nothing but errors.
        as_json: Whether to print JSON instead of text.
    """

    inputs: Sequence[str]
    report_file: Path | None
    dry_run: bool
    quiet: bool
    as_json: bool

    def run(self, upscale: Callable[[Tick], FolderReport]) -> None:
        """Run `upscale` with a progress bar and show its report.

        Raises:
            MafdnError: If a picture failed or the run ended early.
            Stopped: On Ctrl-C.
        """
        if self.report_file is not None and not self.report_file.absolute().parent.is_dir():
            raise UsageError(f"cannot write {printable(self.report_file)}: no such folder")
        try:
            with _progress(quiet=self.quiet or self.as_json) as tick:
                report = upscale(tick)
        except Stopped as stopped:
            self._show(stopped.report)
            counts = stopped.report.counts
            complete, total = counts["done"] + counts["kept"], sum(counts.values())
            typer.echo(f"{complete} of {total} pictures are done; run the same command again to resume", err=True)
            raise
        self._show(report)
        counts, total = report.counts, len(report.items)
        if report.stopped:
            left = f"{counts['left']} of {total} pictures remain"
            raise MafdnError(f"{report.stopped}; {left}: run the same command again to resume")
        if counts["failed"]:
            raise MafdnError(f"{counts['failed']} of {total} pictures failed")

    def _show(self, report: FolderReport) -> None:
        if self.report_file is not None:
            with replacing(self.report_file) as temporary:
                temporary.write_text(json.dumps(report.for_programs(), indent=2, default=str) + "\n", "utf-8")
        if self.as_json:
            show_json(report.for_programs())
        elif not self.quiet:
            _show_text(report, self.inputs, dry_run=self.dry_run)


def _is_glob(text: str) -> bool:
    """Whether `text` is a glob pattern; one with brackets only that matches nothing is taken for a missing file."""
    wildcards = WILDCARDS & set(text)
    if not wildcards or os.path.lexists(text):
        return False
    return bool(wildcards - {"["} or find_sources([text]).sources)


def _show_text(report: FolderReport, inputs: Sequence[str], *, dry_run: bool) -> None:
    """Print a summary and the failures with their reasons."""
    if dry_run:
        for item in report.with_status("left"):
            typer.echo(f"{printable(item.source)} -> {printable(item.target or '')} ({item.reason})")
    for note, count in report.notes.items():
        typer.echo(f"note: {note} ({count} picture{'s' if count > 1 else ''})")
    if report.failed:
        rows = [[_name(item), _reason(item)] for item in report.failed[:FAILURES_LISTED]]
        show_table("failed", ["picture", "reason"], rows, left=True)
        if len(report.failed) > FAILURES_LISTED:
            typer.echo(f"and {len(report.failed) - FAILURES_LISTED} more; --report FILE lists all")
    counts = report.counts
    parts = [f"{counts['left']} to upscale"] if dry_run else [f"{counts['done']} upscaled"]
    parts += [f"{counts['left']} remaining"] if counts["left"] and not dry_run else []
    parts += [f"{counts['kept']} up to date"] if counts["kept"] else []
    parts += [f"{counts['failed']} failed"] if counts["failed"] else []
    where = printable(report.folder) if report.folder else ", ".join(printable(text) for text in inputs[:3])
    typer.echo(f"{where}: {', '.join(parts)} in {report.seconds:.1f} s")
    for count, one, several in (
        (report.not_pictures, "file that is not a picture", "files that are not pictures"),
        (report.earlier_results, "result of an earlier run", "results of earlier runs"),
        (report.links, "link to a folder: links are not followed", "links to folders: links are not followed"),
        (report.folders, "subfolder: use --recursive to enter it", "subfolders: use --recursive to enter them"),
    ):
        if count:
            typer.echo(f"skipped {count} {one if count == 1 else several}")


def _name(item: FolderItem) -> str:
    return printable(item.source.name)


def _reason(item: FolderItem) -> str:
    """Return the reason without the file name at its start, which has its own column."""
    return (item.reason or "").removeprefix(f"{printable(item.source)} ")


@contextmanager
def _progress(*, quiet: bool) -> Generator[Tick]:
    """Show a progress bar over all pictures on stderr, if that is a terminal.

    Progress is measured in output pixels, from which the remaining time is estimated. The function that is yielded
    also raises `KeyboardInterrupt` once a stop has been requested.
    """
    with progress_bar(quiet=quiet, pace=ESTIMATE_SECONDS) as bar:
        if bar is None:
            yield lambda _: check_stop()
            return
        tasks = {"checking": bar.add_task("checking", total=None)}

        def update(at: FolderProgress) -> None:
            check_stop()
            if at.phase not in tasks:
                bar.update(tasks["checking"], visible=False)
                tasks[at.phase] = bar.add_task("", total=None)
            what = "checking" if at.phase == "checking" else f"{at.number}/{at.count}"
            bar.update(
                tasks[at.phase],
                description=f"{what} {printable(at.name)[:40]}",
                completed=at.done,
                total=at.total,
            )

        yield update
