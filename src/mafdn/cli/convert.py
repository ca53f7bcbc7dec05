"""``mafdn convert``."""

from pathlib import Path
from typing import Annotated

import typer

from mafdn.cli.output import Json, show_json
from mafdn.cli.training_extra import training_extra


def convert_command(
    source: Annotated[Path, typer.Argument(metavar="PTH", help="A state dict saved by torch.")],
    target: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The weights file; PTH with the ending .safetensors when not given."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the weights file when it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Turn weights that others released into a weights file: IMDN or DDistill-SR (inference form), x2, x3 or x4.

    The .pth file is read without running anything in it. Network and scale are recognized by the tensors, every one
    of which must fit. The card of the new file names its source.

    \b
    Example:
      mafdn convert IMDN_x4.pth -o imdn-x4.safetensors
    """
    with training_extra("converting"):
        from mafdn.networks import TITLES, architecture
        from mafdn.networks.convert import convert
    from mafdn.errors import UsageError, WeightsError

    target = target or source.with_suffix(".safetensors")
    if target.suffix != ".safetensors":
        raise UsageError(f"the name of a weights file ends in .safetensors; {target} does not")
    if target.exists() and not overwrite:
        raise WeightsError(f"{target} exists; give another name or --overwrite")
    network = convert(source, target)
    name, scale = architecture(network.settings), network.settings.scale
    if as_json:
        show_json({"target": target, "network": name, "scale": scale})
    else:
        typer.echo(f"{target}: {TITLES[name]} x{scale}")
