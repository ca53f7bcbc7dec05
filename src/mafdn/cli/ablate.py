"""``mafdn ablate``."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mafdn.cli.output import Json, progress, show_json, show_table
from mafdn.cli.training_extra import training_extra


def ablate_command(
    configs: Annotated[
        list[Path], typer.Argument(metavar="CONFIG...", help="Configurations; the first is compared with.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder the runs go to; going on is free.")],
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Steps of every run.")] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.01, help="Instead: as many steps as each does in this time.")
    ] = None,
    seeds: Annotated[str, typer.Option("--seeds", help="Two or more show the spread.")] = "0,1",
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Single-threaded runs at a time; one per core by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train several configurations at one budget from the same seeds, and compare them.

    With --minutes the time of a step is measured first, configurations in turns, and every run gets the
    number of steps that fits: equal time, whatever else the machine does.

    \b
    Examples:
      mafdn ablate configs/ablations/*.toml --steps 1000 -o runs/ablations
      mafdn ablate configs/choices/muon.toml configs/choices/adam.toml --minutes 10 -o runs/optimizer
    """
    with training_extra("training"):
        from mafdn.training.ablate import ablate
    from mafdn.errors import UsageError

    if (steps is None) == (minutes is None):
        raise UsageError("give either --steps or --minutes")
    try:
        numbers = [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise UsageError(f"--seeds must be numbers with commas between, such as 0,1, not {seeds!r}") from None
    if len(set(numbers)) < len(numbers) or min(numbers) < 0:
        raise UsageError(f"--seeds must be different and at least 0, not {seeds}")
    with progress("training", quiet=as_json) as tick:
        rows = ablate(
            configs,
            output,
            seeds=numbers,
            steps=steps,
            minutes=minutes,
            jobs=jobs or os.cpu_count() or 1,
            on_progress=tick,
        )
    if as_json:
        show_json({"seeds": numbers, "minutes": minutes, "rows": [asdict(row) for row in rows]})
        return
    table = [
        [
            row.name,
            f"{row.steps:,}",
            f"{row.hours:.2f}",
            f"{row.psnr:.3f}",
            f"{row.spread:.3f}",
            " ".join(f"{difference:+.3f}" for difference in row.differences),
        ]
        for row in rows
    ]
    columns = ["configuration", "steps", "hours", "PSNR dB", "spread", f"against {rows[0].name}, per seed"]
    show_table(f"held-out pictures, seeds {seeds}", columns, table)
