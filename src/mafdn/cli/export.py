"""`mafdn export`."""

from pathlib import Path
from typing import Annotated

import typer

from mafdn.cli.network_options import Overwrite
from mafdn.cli.output import Json, output_file, show_json, stages
from mafdn.cli.training_extra import training_extra


def export_command(
    source: Annotated[
        Path,
        typer.Argument(metavar="WEIGHTS", help="A .safetensors or .pth file, or the folder of a training run."),
    ],
    target: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE_OR_FOLDER",
            help="Output file: ONNX, or for a run also .safetensors (default: WEIGHTS with the extension .onnx).",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Fold a network and export it as an ONNX file.

    The file accepts pictures of any size and runs without torch. It is run in every engine at two sizes, and the
    results must match those of the network. From a run, the averaged weights of the newest checkpoint are exported.

    \b
    Examples:
      mafdn export mine.safetensors -o mine.onnx
      mafdn export runs/imdn -o imdn.safetensors
    """
    with training_extra("exporting"):
        from mafdn.export.onnx import export_onnx
        from mafdn.networks.checkpoints import open_network
        from mafdn.training.record.averaged import averaged_network, export_run
    from mafdn.errors import UsageError, WeightsError

    is_run = source.is_dir()
    name = source.resolve().name
    if is_run and not (name or target):
        raise UsageError(f"{source} has no name for the ONNX file; set one with --output")
    default = source.resolve().with_name(f"{name or 'network'}.onnx") if is_run else source.with_suffix(".onnx")
    target = output_file(target, default)
    if target.suffix != ".onnx" and not (is_run and target.suffix == ".safetensors"):
        also = " (or .safetensors for a run)" if is_run else ""
        raise UsageError(f"an ONNX file must end in .onnx{also}; {target} does not")
    if target.exists() and not overwrite:
        raise WeightsError(f"{target} exists; use another name or --overwrite")
    if target.suffix == ".safetensors":
        export_run(source, target)
        worst = None
    else:
        network = averaged_network(source)[0] if is_run else open_network(source)
        with stages(quiet=as_json) as on_stage:
            worst = export_onnx(network, target, on_progress=on_stage)
    if as_json:
        show_json({"target": target, "largest_difference": worst})
    elif worst is None:
        typer.echo(f"{target}: averaged weights, folded")
    else:
        typer.echo(f"{target}: agrees with the network to within {worst:.1e} of white")
