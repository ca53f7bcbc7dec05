"""The options of `mafdn upscale` for folders and other batches of pictures."""

from typing import Annotated, Literal

import typer

BATCH = "Batch"
"""Group of these options on the help page."""
SkipLargerThan = Annotated[
    int | None,
    typer.Option(
        "--skip-larger-than",
        metavar="PIXELS",
        help="Skip pictures whose longest side has more pixels.",
        min=1,
        rich_help_panel=BATCH,
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Skip pictures that were not modified since a date (2026-11-01, 2026-11-01T18:30) or within a time (7d, "
        "12h, 30m).",
        rich_help_panel=BATCH,
    ),
]
OnlyKind = Annotated[
    Literal["pictures", "films"] | None,
    typer.Option("--only", help="Upscale only the pictures, or only the films.", rich_help_panel=BATCH),
]
PictureOrder = Annotated[
    Literal["name", "size", "newest", "oldest", "random"],
    typer.Option(
        "--order",
        help="Which pictures come first: name, size (the smallest), newest, oldest or random.",
        rich_help_panel=BATCH,
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        help="Number of pictures that are decoded, and of those that are encoded, while the network runs; "
        "more help where files are slow to read or write.",
        min=1,
        max=64,
        rich_help_panel=BATCH,
    ),
]
ShardOf = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Upscale only the pictures of share I of N, by their names; N runs, on any machines, upscale all.",
        rich_help_panel=BATCH,
    ),
]
JsonLines = Annotated[
    bool,
    typer.Option(
        "--jsonl",
        help="Print a line of JSON at the start, for every picture as soon as it is done, and at the end.",
        rich_help_panel=BATCH,
    ),
]
