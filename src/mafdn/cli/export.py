"""``mafdn export``."""

from pathlib import Path
from typing import Annotated

import typer

from mafdn.cli.output import Json, show_json
from mafdn.cli.training_extra import training_extra


def export_command(
    network: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="A .safetensors or .pth file, in either form.")],
    target: Annotated[
        Path | None,
        typer.Argument(metavar="OUTPUT", help="The ONNX file; WEIGHTS with the ending .onnx when not given."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT when it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Fold a network and write it as an ONNX file that any input size fits and no torch is needed for.

    Every engine then runs the file at two sizes and must agree with the network.

    \b
    Example:
      mafdn export mine.safetensors mine.onnx
    """
    with training_extra("exporting"):
        from mafdn.networks.convert import open_network
        from mafdn.training.export import export_onnx
    from mafdn.errors import UsageError, WeightsError

    target = target or network.with_suffix(".onnx")
    if target.suffix != ".onnx":
        raise UsageError(f"the name of an ONNX file ends in .onnx; {target} does not")
    loaded = open_network(network)
    if target.exists() and not overwrite:
        raise WeightsError(f"{target} exists; give another name or --overwrite")
    worst = export_onnx(loaded, target)
    if as_json:
        show_json({"target": target, "largest_difference": worst})
    else:
        typer.echo(f"{target}: agrees with the network within {worst:.1e} of white")
