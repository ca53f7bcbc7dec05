"""`mafdn upscale` for a single film: progress and outcome."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.progress import TextColumn

from mafdn._support.atomic import printable
from mafdn.cli.inputs import STANDARD, OnePicture
from mafdn.cli.output import check_stop, duration, progress_bar, show_json
from mafdn.errors import UsageError

if TYPE_CHECKING:
    from mafdn import EngineOptions, FilmOptions, FilmProgress, FilmReport

LINE_SECONDS = 60.0
"""Time between lines of progress without a terminal."""


def upscale_one_film(
    film: OnePicture, *, network: str, engine: "EngineOptions", options: "FilmOptions", quiet: bool, as_json: bool
) -> None:
    """Upscale a film and print the outcome.

    Args:
        film: The film and the place of its result.
        network: As for `mafdn.upscale_film`.
        engine: As for `mafdn.upscale_film`.
        options: As for `mafdn.upscale_film`.
        quiet: Whether to print nothing but errors.
        as_json: Whether to print JSON instead of text.

    Raises:
        UsageError: If the result is to be written to standard output.
        FilmStopped: On Ctrl-C.
    """
    from mafdn.film.api import upscale_film
    from mafdn.film.report import FilmStopped

    if film.target == STANDARD:
        raise UsageError("a film is not written to standard output; give the name of the result")
    try:
        with _progress(quiet=quiet or as_json) as tick:
            report = upscale_film(
                film.source, film.target, network=network, engine=engine, options=options, on_progress=tick
            )
    except FilmStopped as stopped:
        total = "" if stopped.total is None else f" of about {max(stopped.total, stopped.frames):,}"
        typer.echo(f"{stopped.frames:,}{total} frames are kept; run the same command again to resume", err=True)
        raise
    if as_json:
        show_json(report.for_programs())
    elif not quiet:
        _show(report)


def _show(report: "FilmReport") -> None:
    (width, height), (new_width, new_height) = report.size, report.new_size
    made = report.frames - report.kept_frames
    earlier = f" ({report.kept_frames:,} of an earlier run)" if report.kept_frames else ""
    parts = [f"{report.frames:,} frames{earlier}"]
    if report.repeated_frames:
        parts.append(f"{report.repeated_frames:,} of them like the one before")
    speed = f" ({report.frames_per_second:.2f} frames/s)" if made and report.frames_per_second else ""
    parts.append(f"{report.encoder} in {report.container}")
    if report.copied_streams:
        parts.append(f"{report.copied_streams} other stream{'s' if report.copied_streams > 1 else ''} copied")
    sizes = f"{width}x{height} to {new_width}x{new_height}"
    typer.echo(f"{printable(report.target)}: {sizes}, {', '.join(parts)}, in {duration(report.seconds)}{speed}")
    typer.echo(f"network: {report.engine}")
    if report.weights:
        typer.echo(str(report.weights))
    for note in report.notes:
        typer.echo(f"note: {note}")


@contextmanager
def _progress(*, quiet: bool) -> "Generator[Callable[[FilmProgress], None]]":
    """Show a progress bar on stderr, if that is a terminal, else a line now and then.

    The function that is yielded also raises `KeyboardInterrupt` once a stop has been requested.
    """
    with progress_bar(quiet=quiet, remaining=TextColumn("{task.fields[left]}")) as bar:
        if bar is None:
            yield _lines(quiet=quiet)
            return
        task = bar.add_task("", total=None, left="?")

        def update(at: "FilmProgress") -> None:
            check_stop()
            bar.update(task, description=_described(at), completed=at.done, total=at.total, left=_left(at))

        yield update


def _lines(*, quiet: bool) -> "Callable[[FilmProgress], None]":
    """Return a function that prints a line of progress to stderr every `LINE_SECONDS`, and none if `quiet`."""
    printed = time.monotonic()

    def update(at: "FilmProgress") -> None:
        nonlocal printed
        check_stop()
        if not quiet and time.monotonic() - printed >= LINE_SECONDS:
            printed = time.monotonic()
            left = "" if at.remaining_seconds is None else f", {_left(at)} left"
            typer.echo(f"{_described(at)}{left}", err=True)

    return update


def _described(at: "FilmProgress") -> str:
    name = printable(Path(at.name).name)[:40]
    if at.phase != "frames":
        return f"{name}: {at.phase}"
    speed = "" if at.frames_per_second is None else f", {at.frames_per_second:.2f} frames/s"
    total = "" if at.total is None else f" of {at.total:,}"
    return f"{name}: {at.done:,}{total} frames{speed}"


def _left(at: "FilmProgress") -> str:
    return "?" if at.remaining_seconds is None else duration(at.remaining_seconds)
