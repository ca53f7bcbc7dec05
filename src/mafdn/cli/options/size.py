"""The command line options for the size of a result."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mafdn import Size

SIZE = "Size"
"""Group of these options on the help page."""

Factor = Annotated[
    float | None, typer.Option("--scale", "-s", help="Factor, such as 2.5 (default: 4).", rich_help_panel=SIZE)
]
Width = Annotated[int | None, typer.Option("--width", help="Width in pixels.", min=1, rich_help_panel=SIZE)]
Height = Annotated[int | None, typer.Option("--height", help="Height in pixels.", min=1, rich_help_panel=SIZE)]
Longest = Annotated[int | None, typer.Option("--longest", help="Longest side in pixels.", min=1, rich_help_panel=SIZE)]
Fit = Annotated[
    str | None,
    typer.Option("--fit", metavar="WxH", help="Largest size that fits into W x H pixels.", rich_help_panel=SIZE),
]
Megapixels = Annotated[
    float | None, typer.Option("--megapixels", help="Maximum size in megapixels.", rich_help_panel=SIZE)
]


def requested_size(*, fit: str | None, **values: float | None) -> "Size | None":
    """Return the size that the options give, `None` if they give none; raises `UsageError`."""
    from mafdn.upscaling.size import Size, as_box

    if fit is None and all(value is None for value in values.values()):
        return None
    box = None if fit is None else as_box(fit, name="--fit")
    return Size(fit=box, **values)  # pyright: ignore[reportArgumentType]
