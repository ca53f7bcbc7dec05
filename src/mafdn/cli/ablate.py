"""`mafdn ablate`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mafdn._support.machine import usable_cores
from mafdn.cli.extras import needs_extra
from mafdn.cli.output import Json, progress, show_json, show_table


def ablate_command(
    configs: Annotated[
        list[Path], typer.Argument(metavar="CONFIG", help="Configuration files; the first is the baseline.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the runs; completed runs are reused.")],
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Number of training steps per run.")] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.01, help="Training time per run, instead of --steps.")
    ] = None,
    seeds: Annotated[
        str, typer.Option("--seeds", help="Random seeds, separated by commas; with two or more, their range is shown.")
    ] = "0,1",
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Number of concurrent single-threaded runs (default: one per core)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train configurations with equal budgets and compare them.

    All configurations are trained with the same seeds and compared by their validation PSNR. With --minutes, the time
    per step of every configuration is measured first, and each run gets as many steps as fit. If the command is
    interrupted, run it again to resume.

    \b
    Examples:
      mafdn ablate configs/ablations/*.toml --steps 1000 -o runs/ablations
      mafdn ablate configs/choices/muon.toml configs/choices/adam.toml --minutes 10 -o runs/optimizer
    """
    with needs_extra("training", extra="train"):
        from mafdn.training.ablate import ablate, spread_title
    from mafdn.errors import UsageError

    if (steps is None) == (minutes is None):
        raise UsageError("set either --steps or --minutes")
    try:
        numbers = [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise UsageError(f"--seeds must be whole numbers separated by commas, such as 0,1, not {seeds!r}") from None
    if len(set(numbers)) < len(numbers) or min(numbers) < 0:
        raise UsageError(f"--seeds must be distinct and at least 0, not {seeds}")
    with progress("training", quiet=as_json) as tick:
        rows = ablate(
            configs,
            output,
            seeds=numbers,
            steps=steps,
            minutes=minutes,
            jobs=jobs or usable_cores(),
            on_progress=tick,
        )
    if as_json:
        show_json({"seeds": numbers, "minutes": minutes, "rows": [asdict(row) for row in rows]})
        return
    table = [
        [
            row.name,
            f"{row.precision}{', compiled' if row.compile == 'on' else ''}",
            f"{row.steps:,}",
            f"{row.hours:.2f}",
            f"{row.psnr:.3f}",
            "-" if row.spread is None else f"{row.spread:.3f}",
            " ".join(f"{difference:+.3f}" for difference in row.differences),
        ]
        for row in rows
    ]
    columns = ["configuration", "mode", "steps", "hours", "PSNR dB", spread_title(len(numbers))]
    show_table(f"validation, seeds {seeds}", [*columns, f"difference from {rows[0].name}, per seed"], table)
