"""The command line options that limit the pictures that commands read and write."""

from typing import Annotated

import typer

from mafdn.pictures.limits import Limits

LIMITS = "Limit"
"""Group of these options on help pages."""
DEFAULT = Limits()
"""The limits if no option is given."""
SERVER_SECONDS = 3_600.0
"""The time limit of what answers others, in seconds; commands that a person runs have none."""

MaxPixels = Annotated[
    int,
    typer.Option(
        "--max-pixels", help="Maximum number of pixels of an input or a result.", min=1, rich_help_panel=LIMITS
    ),
]
MaxFileMb = Annotated[
    float, typer.Option("--max-file-mb", help="Maximum size of an input file in MB.", min=0, rich_help_panel=LIMITS)
]
MaxSeconds = Annotated[
    float | None,
    typer.Option(
        "--max-seconds", help="Time limit per picture in seconds (default: none).", min=0, rich_help_panel=LIMITS
    ),
]
ServerMaxSeconds = Annotated[
    float,
    typer.Option("--max-seconds", help="Time limit per picture in seconds.", min=0, rich_help_panel=LIMITS),
]
