"""Output of all commands: tables, JSON and progress bars, and the options for them."""

import json
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mafdn.errors import MafdnError

if TYPE_CHECKING:  # rich takes as long to import as the rest of the command line
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

STOPPED = 130
"""Exit code of a command that was stopped by Ctrl-C; the convention of shells is 128 + SIGINT."""
STOP_REQUESTED = threading.Event()
"""Set by the signal handler, whose exception is lost if it is raised inside a callback."""


class CommandStoppedError(MafdnError):
    """Ctrl-C stopped a command, with a message of its own; typer replaces that of a `KeyboardInterrupt`."""


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Scale = Annotated[int, typer.Option("--scale", "-s", help="Factor: 2, 3 or 4.", min=2, max=4)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress bar and no summary.")]


def show_json(value: Any, *, err: bool = False) -> None:
    """Print a value as JSON, to standard error if `err`."""
    print(json.dumps(value, indent=2, default=str, allow_nan=False), file=sys.stderr if err else sys.stdout)


def show_json_line(value: Any) -> None:
    """Print a value as one line of JSON, at once."""
    print(json.dumps(value, default=str, allow_nan=False), flush=True)


def show_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, total: bool = False, left: bool = False
) -> None:
    """Print a table.

    Args:
        title: Title above the table.
        columns: Headings; the first column is aligned left, the others right.
        rows: The cells.
        total: Whether the last row is a total, separated by a line.
        left: Whether all columns are text: aligned left, and cut to fit the terminal.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        least = min(30, max(len(row[0]) for row in rows)) if left and number == 0 and rows else None
        table.add_column(column, justify="right" if number and not left else "left", no_wrap=True, min_width=least)
    for number, row in enumerate(rows):
        cells = [Text(cell) for cell in row] if left else row  # brackets in a file name are not markup
        table.add_row(*cells, end_section=total and number == len(rows) - 2)
    wide = None if sys.stdout.isatty() else 200  # a pipe has no width
    Console(width=wide).print(table)


@contextmanager
def progress(description: str, *, quiet: bool = False) -> Generator[Callable[[int, int], None]]:
    """Show a progress bar with the remaining time on stderr, if that is a terminal.

    The function that is yielded, called as `update(done, total)`, also raises `KeyboardInterrupt` once
    `STOP_REQUESTED` is set.
    """
    with progress_bar(quiet=quiet) as bar:
        if bar is None:
            yield lambda _done, _total: check_stop()
            return
        task = bar.add_task(description, total=None)

        def update(done: int, total: int) -> None:
            check_stop()
            bar.update(task, completed=done, total=total)

        yield update


@contextmanager
def progress_bar(*, quiet: bool, remaining: "ProgressColumn | None" = None) -> Generator["Progress | None"]:
    """Show progress bars on stderr, which disappear at the end; yields `None` if quiet or without a terminal.

    The column `remaining` shows the remaining time (default: estimated from the progress of the last 30 seconds).
    """
    if quiet:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not shows_bars(console):
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),  # brackets in a file name are not markup
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        remaining or TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield bar


def shows_bars(console: "Console") -> bool:
    """Whether progress bars are shown on a console for stderr: FORCE_COLOR alone makes it no terminal."""
    return console.is_terminal and console.file.isatty()


@contextmanager
def stages(*, quiet: bool) -> Generator[Callable[[str, int, int], None]]:
    """Show a progress bar for each stage of the work; the function that is yielded takes stage, done and total."""
    with ExitStack() as stack:
        bars: dict[str, Callable[[int, int], None]] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                stack.close()
                bars[stage] = stack.enter_context(progress(stage, quiet=quiet))
            bars[stage](done, total)

        yield report


def duration(seconds: float) -> str:
    """Return a duration as text, such as `1:02:03 h`, `2:03 min` or `3 s`."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def rough_duration(seconds: float) -> str:
    """Return an estimated duration with two digits, such as `2.5 h`, `61 min` or `3 s`."""
    for unit, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * unit:
            return f"{float(f'{seconds / unit:.2g}'):g} {name}"
    return f"{seconds:.2g} s" if seconds >= 0.1 else "0.1 s"


def output_file(output: Path | None, default: Path) -> Path:
    """Return the file of the option `--output`: a folder that exists gets a file with the name of the default."""
    if output is None:
        return default
    return output / default.name if output.is_dir() else output


def keep_existing(path: Path, *, overwrite: bool) -> None:
    """Raise `MafdnError` if a file exists that may not be replaced."""
    if path.exists() and not overwrite:
        raise MafdnError(f"{path} exists; use another name or --overwrite")


def check_stop() -> None:
    """Raise `KeyboardInterrupt` once `STOP_REQUESTED` is set."""
    if STOP_REQUESTED.is_set():
        raise KeyboardInterrupt
