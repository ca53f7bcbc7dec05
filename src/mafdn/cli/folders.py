"""Progress and results of `mafdn upscale` for several pictures."""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import typer
from rich.progress import TextColumn

from mafdn._support.atomic import printable, replacing
from mafdn.cli.output import check_stop, duration, progress_bar, rough_duration, show_json, show_json_line, show_table
from mafdn.cli.verify import verifications_line
from mafdn.errors import MafdnError, UsageError
from mafdn.upscaling.folder.report import FolderEstimate, FolderItem, FolderProgress, FolderReport, Stopped

FAILURES_LISTED = 30
"""Maximum number of failures to print; a report file lists all."""

Tick = Callable[[FolderProgress], None]


@dataclass(frozen=True, kw_only=True)
class FolderOutput:
    """How to show the progress and the report of a run over several pictures.

    Args:
        inputs: The inputs, as typed.
        report_file: JSON file for the report.
        dry_run: Whether nothing but the report is written.
        quiet: Whether to print nothing but errors.
        as_json: Whether to print JSON instead of text.
        as_json_lines: Whether to print a line of JSON at the start, for every picture and at the end.
    """

    inputs: Sequence[str]
    report_file: Path | None
    dry_run: bool
    quiet: bool
    as_json: bool
    as_json_lines: bool

    def run(self, upscale: Callable[..., FolderReport]) -> None:
        """Run `upscale`, given its callbacks, with a progress bar and show its report.

        Raises:
            MafdnError: If a picture failed or the run ended early.
            Stopped: On Ctrl-C.
        """
        if self.report_file is not None:
            _check_report_file(self.report_file)
        hidden = self.quiet or self.as_json or (self.as_json_lines and sys.stdout.isatty())
        try:
            with _progress(quiet=hidden) as tick:
                report = self._followed(upscale, tick) if self.as_json_lines else upscale(on_progress=tick)
        except Stopped as stopped:
            problem = self._show(stopped.report)
            if problem is not None:
                typer.echo(str(problem), err=True)
            counts = stopped.report.counts
            complete, total = counts["done"] + counts["kept"], sum(counts.values()) - counts["skipped"]
            typer.echo(f"{complete} of {total} pictures are done; run the same command again to resume", err=True)
            raise
        problem, fault = self._show(report), _fault(report)
        if problem is not None and fault is not None:
            typer.echo(str(problem), err=True)
        if error := fault or problem:
            raise error

    def _show(self, report: FolderReport) -> MafdnError | None:
        """Show a report; returns an error if its file cannot be written."""
        problem = None if self.report_file is None else _write_report(report, self.report_file)
        if self.as_json_lines:
            _show_event("end", report)
        elif self.as_json:
            show_json(report.for_programs())
        elif self.quiet:
            _show_reasons(report)
        else:
            _show_text(report, self.inputs, dry_run=self.dry_run)
        if problem is None:
            return None
        return MafdnError.from_os_error(f"cannot write {printable(self.report_file or '')}", problem)

    def _followed(self, upscale: Callable[..., FolderReport], tick: Tick) -> FolderReport:
        """Run `upscale` and print a line of JSON for what happens; the last line says why a run failed."""
        started = False

        def start(report: FolderReport) -> None:
            nonlocal started
            _show_event("start", report)
            started = True

        def show(item: FolderItem) -> None:
            show_json_line({"event": "picture", **asdict(item)})

        try:
            return upscale(on_progress=tick, on_start=start, on_item=show)
        except MafdnError as error:
            if started:
                show_json_line({"event": "end", "error": str(error)})
            raise


def _fault(report: FolderReport) -> MafdnError | None:
    """The error that says why not all pictures are done, if that is so."""
    counts = report.counts
    total = len(report.items) - counts["skipped"]
    if report.stopped:
        left = f"{counts['left']} of {total} pictures remain"
        return MafdnError(f"{report.stopped}; {left}: run the same command again to resume")
    if counts["failed"]:
        return MafdnError(f"{counts['failed']} of {total} pictures failed")
    return None


def _check_report_file(path: Path) -> None:
    """Raise `UsageError` before any work if a report cannot be written to `path`."""
    from mafdn.upscaling.output import is_picture_name

    folder = path.absolute().parent
    if is_picture_name(path):  # such as an input, if the name of the report was forgotten
        raise UsageError(f"--report {printable(path)} has the name of a picture; give that of a JSON file")
    if not folder.is_dir():
        raise UsageError(f"cannot write {printable(path)}: no such folder")
    if path.exists() and not path.is_file():
        raise UsageError(f"cannot write {printable(path)}: it is not a regular file")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"cannot write {printable(path)}: its folder is not writable")


def _write_report(report: FolderReport, path: Path) -> OSError | None:
    """Write a report as JSON; returns the error if it cannot be written, so that it can be shown all the same."""
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(report.for_programs(), indent=2, default=str) + "\n", "utf-8")
    except OSError as error:
        return error
    return None


def _show_event(event: str, report: FolderReport) -> None:
    """Print everything of a report but its pictures as a line of JSON."""
    totals = {name: value for name, value in report.for_programs().items() if name != "pictures"}
    show_json_line({"event": event, **totals})


def _show_reasons(report: FolderReport) -> None:
    """Print why pictures failed to standard error, a line for each."""
    for item in report.failed[:FAILURES_LISTED]:
        typer.echo(printable(item.reason or item.source), err=True)
    if len(report.failed) > FAILURES_LISTED:
        typer.echo(f"and {len(report.failed) - FAILURES_LISTED} more; --report FILE lists all", err=True)


def _show_text(report: FolderReport, inputs: Sequence[str], *, dry_run: bool) -> None:
    """Print a summary and the failures with their reasons."""
    if dry_run:
        for item in report.with_status("left"):
            typer.echo(f"{printable(item.source)} -> {printable(item.target or '')} ({item.reason}){_sizes(item)}")
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
    engines = f" ({', '.join(report.engines)})" if report.engines else ""
    typer.echo(f"{where}: {', '.join(parts)} in {report.seconds:.1f} s{engines}")
    chosen = Counter(item.weights.variant for item in report.items if item.weights)
    if chosen:
        parts = [f"{variant} weights for {n} picture{'s' if n > 1 else ''}" for variant, n in chosen.most_common()]
        typer.echo(f"{', '.join(parts)}; --report FILE says why")
    verified = [(_name(item), item.verification) for item in report.items if item.verification]
    if verified:
        typer.echo(verifications_line(verified))
    if report.estimate:
        typer.echo(f"estimate: {_estimate_text(report.estimate)}")
    for reason, count in Counter(item.reason for item in report.with_status("skipped")).items():
        typer.echo(f"skipped {count} file{'s' if count > 1 else ''}: {reason}")
    for count, one, several in (
        (report.not_pictures, "file that is not a picture", "files that are not pictures"),
        (report.sidecars, "sidecar file (.xmp, .aae), which was not copied", "sidecar files, which were not copied"),
        (report.other_shards, "picture of another shard", "pictures of other shards"),
        (report.earlier_results, "result of an earlier run", "results of earlier runs"),
        (report.links, "link to a folder: links are not followed", "links to folders: links are not followed"),
        (report.folders, "subfolder: use --recursive to enter it", "subfolders: use --recursive to enter them"),
    ):
        if count:
            typer.echo(f"skipped {count} {one if count == 1 else several}")


def _sizes(item: FolderItem) -> str:
    if item.size is None or item.new_size is None:
        return ""
    (width, height), (new_width, new_height) = item.size, item.new_size
    return f", {width}x{height} to {new_width}x{new_height}"


def _estimate_text(estimate: FolderEstimate) -> str:
    parts = [f"{estimate.pixels / 1e6:,.1f} megapixels of results"]
    parts += [f"about {rough_duration(estimate.seconds)}"] if estimate.seconds is not None else []
    if estimate.bytes is not None:
        free = "" if estimate.free_bytes is None else f" of {_megabytes(estimate.free_bytes)} free"
        parts.append(f"about {_megabytes(estimate.bytes)}{free} on disk")
    return f"{', '.join(parts)} ({estimate.basis})"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"


def _name(item: FolderItem) -> str:
    return printable(item.source.name)


def _reason(item: FolderItem) -> str:
    """Return the reason without the file name at its start, which has its own column."""
    return (item.reason or "").removeprefix(f"{printable(item.source)} ")


@contextmanager
def _progress(*, quiet: bool) -> Generator[Tick]:
    """Show a progress bar over all pictures on stderr, if that is a terminal.

    Progress is measured in output pixels. The function that is yielded also raises `KeyboardInterrupt` once a stop has
    been requested.
    """
    with progress_bar(quiet=quiet, remaining=TextColumn("{task.fields[left]}")) as bar:
        if bar is None:
            yield lambda _: check_stop()
            return
        tasks = {"checking": bar.add_task("checking", total=None, left="?")}

        def update(at: FolderProgress) -> None:
            check_stop()
            if at.phase not in tasks:
                bar.update(tasks["checking"], visible=False)
                tasks[at.phase] = bar.add_task("", total=None, left="?")
            what = "checking" if at.phase == "checking" else f"{at.number}/{at.count}"
            bar.update(
                tasks[at.phase],
                description=f"{what} {printable(at.name)[:40]}",
                completed=at.done,
                total=at.total,
                left="?" if at.remaining_seconds is None else duration(at.remaining_seconds),
            )

        yield update
