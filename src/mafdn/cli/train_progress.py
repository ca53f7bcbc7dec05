"""The progress of `mafdn train` on a terminal or in a log."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from mafdn.cli.output import STOPPED, CommandStoppedError, shows_bars

if TYPE_CHECKING:
    from mafdn.training.record.progress import TrainingProgress as State


def leads() -> bool:
    """Whether this process reports to the user; under torchrun, only the one of rank 0 does."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def reporting() -> "Generator[tuple[Callable[[int, int], None], Callable[[State], None], Callable[[str], None]]]":
    """Show progress: as a live line on a terminal, otherwise as one line per report.

    Yields:
        Callbacks for `on_prepare`, `on_progress` and `on_note`.
    """
    from mafdn.training.record.progress import TrainingStopped

    console = Console(stderr=True)

    def note(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    try:
        with _progress(console, note) as (prepared, report):
            yield prepared, report, note
    except TrainingStopped as stopped:
        if leads():
            raise CommandStoppedError(str(stopped)) from None
        raise SystemExit(STOPPED) from None  # the first process reports it


@contextmanager
def _progress(
    console: Console, note: "Callable[[str], None]"
) -> "Generator[tuple[Callable[[int, int], None], Callable[[State], None]]]":
    if not shows_bars(console) or not leads():
        yield lambda _done, _total: None, lambda state: note(progress_line(state))
        return
    text = TextColumn("{task.fields[text]}")
    with Progress(TaskProgressColumn(), BarColumn(bar_width=20), text, console=console, transient=True) as bar:
        task = bar.add_task("", text="preparing pictures", total=None)
        shown = {"loss": "loss -", "psnr": "validation -"}

        def prepared(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, text=f"preparing pictures {done:,}/{total:,}")

        def report(state: "State") -> None:
            if state.note:
                bar.console.print(state.note, highlight=False)
            if state.loss is not None:
                shown["loss"] = f"loss {state.loss:.5f}"
            if state.psnr is not None:
                shown["psnr"] = f"validation {state.psnr:.3f} dB"
            of = "" if state.steps is None else f"/{state.steps:,}"
            text = f"{state.step:,}{of}  {shown['loss']}  {shown['psnr']}  {_speed(state)}"
            bar.update(task, completed=state.step, total=state.steps, text=text)

        yield prepared, report


def progress_line(state: "State") -> str:
    """Format a report as one line."""
    if state.note:
        return state.note
    if state.psnr is not None:
        return f"step {state.step}: validation {state.psnr:.3f} dB"
    of = "" if state.steps is None else f" of {state.steps}"
    rates = " / ".join(f"{lr:.1e}" for lr in state.lr)
    return f"step {state.step}{of}  loss {state.loss:.5f}  lr {rates}  {_speed(state)}".rstrip()


def _speed(state: "State") -> str:
    """Format the current patches per second and the remaining time, as far as they are known."""
    if state.pace is None:
        return ""
    speed = f"{state.pace:.1f} patches/s"
    return speed if state.seconds_left is None else f"{speed}  {_short_time(state.seconds_left)} left"


def _short_time(seconds: float) -> str:
    """Format a time in the unit that fits: `1.5 h`, `12 min` or `40 s`."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.0f} s"
