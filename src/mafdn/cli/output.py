"""What all commands share of talking to a person: tables, JSON and progress.

Public names: :func:`show_table`, :func:`show_json`, :func:`progress`, :func:`progress_bar`, :func:`stages`,
:data:`STOP_REQUESTED`, :func:`check_stop` and the options that several commands have.
"""

import json
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

STOP_REQUESTED = threading.Event()
"""Set by the signal that asks to end: the exception it raises is lost when it strikes inside a callback."""
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Scale = Annotated[int, typer.Option("--scale", "-s", help="How many times larger: 2, 3 or 4.", min=2, max=4)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no closing line.")]


def show_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str, allow_nan=False))


def show_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, total: bool = False, left: bool = False
) -> None:
    """Print a table, the first column left and the others right; ``total`` sets off the last row.

    With ``left`` all are texts: the others are left too, and cut to fit.
    """
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        least = min(30, max(len(row[0]) for row in rows)) if left and number == 0 and rows else None
        table.add_column(column, justify="right" if number and not left else "left", no_wrap=True, min_width=least)
    for number, row in enumerate(rows):
        cells = [Text(cell) for cell in row] if left else row  # brackets in a file name are no markup
        table.add_row(*cells, end_section=total and number == len(rows) - 2)
    wide = None if sys.stdout.isatty() else 200  # a pipe has no width to fit into
    Console(width=wide).print(table)


@contextmanager
def progress(description: str, *, quiet: bool = False) -> Generator[Callable[[int, int], None]]:
    """A progress bar with time left on stderr when that is a terminal, else silence.

    The function given also ends the work, by ``KeyboardInterrupt``, once :data:`STOP_REQUESTED` is set.
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
def progress_bar(*, quiet: bool, pace: float = 30.0) -> Generator[Progress | None]:
    """Bars with time left on stderr, which vanish at the end; ``None`` when ``quiet`` or to no terminal.

    The time left is reckoned over what was done in ``pace`` seconds.
    """
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),  # brackets in a file name are no markup
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, speed_estimate_period=pace) as bar:
        yield bar


@contextmanager
def stages(*, quiet: bool) -> Generator[Callable[[str, int, int], None]]:
    """A progress bar for each stage of the work, one after the other."""
    with ExitStack() as stack:
        shown: dict[str, Callable[[int, int], None]] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in shown:
                stack.close()
                shown[what] = stack.enter_context(progress(what, quiet=quiet))
            shown[what](done, total)

        yield tell


def check_stop() -> None:
    """Raise ``KeyboardInterrupt`` once :data:`STOP_REQUESTED` is set."""
    if STOP_REQUESTED.is_set():
        raise KeyboardInterrupt
