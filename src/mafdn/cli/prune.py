"""`mafdn prune`."""

from pathlib import Path
from typing import Annotated

import typer

from mafdn.cli.extras import needs_extra
from mafdn.cli.options.network import Overwrite
from mafdn.cli.output import Json, Quiet, keep_existing, output_file, progress, show_json


def prune_command(
    network: Annotated[
        str, typer.Argument(metavar="NETWORK", help="A MAFDN: x2, x3, x4, a .safetensors file or a training run.")
    ],
    *,
    width: Annotated[int, typer.Option("--width", help="Number of channels to keep, even.", min=2)],
    bank: Annotated[Path, typer.Option("--bank", metavar="BANK", help="Training bank whose pictures are used.")],
    target: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE_OR_FOLDER", help="Output file (default: NAME-WIDTH.safetensors)."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Prune a MAFDN to fewer channels, for faster inference after further training.

    Removes the channels that change the results least. Processors compute channels in groups of 8 or 16: a network of
    48 channels is much faster than one of 50. To train the pruned network, set run.init to its file and network.width
    to its width.

    \b
    Example:
      mafdn prune x4 --width 48 --bank runs/bank -o mafdn-x4-48.safetensors
    """
    from mafdn.errors import UsageError
    from mafdn.weights.resolve import SCALE_NAMES, resolve

    with needs_extra("pruning", extra="train"):
        from mafdn.release.prune import prune_file

    origin = resolve(network)
    source = origin.file(".safetensors")
    if source.suffix != ".safetensors":
        raise UsageError(f"{network} cannot be pruned; use a .safetensors file, a training run, {SCALE_NAMES}")
    target = output_file(target, Path(f"{origin.stem}-{width}.safetensors"))
    if target.suffix != ".safetensors" or target.resolve() == source.resolve():
        raise UsageError(f"{target} cannot be the pruned file: use a .safetensors file other than {source}")
    keep_existing(target, overwrite=overwrite)
    with progress("pruning", quiet=quiet or as_json) as tick:
        agreement = prune_file(source, target, width=width, bank=bank, on_progress=tick)
    if as_json:
        show_json({"target": target, "width": width, "psnr_to_source": agreement})
    else:
        typer.echo(f"{target}: {width} channels; its results differ from those of {network} by {agreement:.1f} dB PSNR")
