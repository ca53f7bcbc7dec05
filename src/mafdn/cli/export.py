"""``mafdn export``."""

from pathlib import Path
from typing import Annotated

import typer

from mafdn.cli.output import Json, show_json
from mafdn.cli.training_extra import training_extra


def export_command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="WEIGHTS", help="A .safetensors or .pth file, in either form, or the folder of a training run."
        ),
    ],
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="OUTPUT", help="The ONNX file, or a run's .safetensors; WEIGHTS with .onnx when not given."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT when it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Fold a network and write it as an ONNX file that any input size fits and no torch is needed for.

    Every engine then runs the file at two sizes and must agree with the network. Of a run, the averaged weights of its
    newest checkpoint are taken.

    \b
    Examples:
      mafdn export mine.safetensors mine.onnx
      mafdn export runs/imdn imdn.safetensors
    """
    with training_extra("exporting"):
        from mafdn.export.onnx import export_onnx
        from mafdn.networks.convert import open_network
        from mafdn.training.record.averaged import averaged_network, export_run
    from mafdn.errors import UsageError, WeightsError

    of_run = source.is_dir()
    name = source.resolve().name
    if of_run and not (name or target):
        raise UsageError(f"{source} has no name to call the ONNX file after; give OUTPUT")
    target = target or (source.resolve().with_name(f"{name}.onnx") if of_run else source.with_suffix(".onnx"))
    if target.suffix != ".onnx" and not (of_run and target.suffix == ".safetensors"):
        also = " (a run's may also be .safetensors)" if of_run else ""
        raise UsageError(f"the name of an ONNX file ends in .onnx{also}; {target} does not")
    if target.exists() and not overwrite:
        raise WeightsError(f"{target} exists; give another name or --overwrite")
    if target.suffix == ".safetensors":
        export_run(source, target)
        worst = None
    else:
        worst = export_onnx(averaged_network(source)[0] if of_run else open_network(source), target)
    if as_json:
        show_json({"target": target, "largest_difference": worst})
    elif worst is None:
        typer.echo(f"{target}: averaged weights, folded")
    else:
        typer.echo(f"{target}: agrees with the network within {worst:.1e} of white")
