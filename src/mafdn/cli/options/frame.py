"""The option that chooses one of several frames or pages."""

from typing import Annotated

import typer


def _number(text: str) -> int:
    """Parse the number of a frame or page."""
    if text == "first":
        return 1
    if not (text.isascii() and text.isdigit() and int(text[:7]) > 0):
        raise typer.BadParameter(f"{text!r} is neither a number from 1 nor first")
    return int(text[:7])


Frame = Annotated[
    int | None,
    typer.Option(
        "--frame",
        "--page",
        metavar="N",
        parser=_number,
        help="Only this frame of an animation or page of a TIFF: a number from 1, or first (default: all, if the "
        "format of the result holds several).",
        rich_help_panel="Format",
    ),
]
"""`--frame` or `--page`, as for `UpscaleOptions.frame`."""
