"""``mafdn train``."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mafdn.cli.output import progress
from mafdn.cli.training_extra import training_extra

if TYPE_CHECKING:
    from mafdn.training.loop import Progress


def train_command(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The settings of the run, a TOML file.")],
) -> None:
    """Train a network, or go on with a run where it stopped.

    The first time, the pictures are prepared into a bank. Ctrl-C finishes the step, saves and stops.
    For several cores or GPUs: torchrun --nproc-per-node 2 -m mafdn.training.loop CONFIG

    \b
    Example:
      mafdn train configs/x4.toml
    """
    with training_extra("training"):
        from mafdn.training.loop import prepare, train
    console = Console(stderr=True)
    with progress("preparing pictures") as tick:
        prepare(config, on_progress=tick)
    folder = train(config, on_progress=lambda p: console.print(_line(p), highlight=False))
    typer.echo(f"{folder}: checkpoints and log.jsonl")


def _line(now: "Progress") -> str:
    left = now.seconds / max(now.step, 1) * (now.steps - now.step)
    if now.psnr is not None:
        return f"step {now.step}: held-out pictures {now.psnr:.3f} dB"
    loss = "-" if math.isnan(now.loss) else f"{now.loss:.5f}"
    return (
        f"step {now.step} of {now.steps}  loss {loss}  rate {now.rate:.3f}  "
        f"{now.samples / max(now.seconds, 1e-9):.1f} patches/s  {left / 3600:.1f} h left"
    )
