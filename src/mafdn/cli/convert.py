"""`mafdn convert`."""

from pathlib import Path
from typing import Annotated

import typer

from mafdn.cli.extras import needs_extra
from mafdn.cli.options.network import Overwrite
from mafdn.cli.output import Json, keep_existing, output_file, show_json


def convert_command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PTH", help="A .pth, .pt, .ckpt or .safetensors file with the state dict of a known network."
        ),
    ],
    target: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE_OR_FOLDER",
            help="Output file (default: PTH with the extension .safetensors).",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Convert weights released by other authors to a weights file.

    Supported are IMDN, DDistill-SR (inference form) and SMFANet+ at x2, x3 and x4. No code in the .pth file is run. The
    network and its scale are recognized by the tensors, all of which must match; averaged weights (params_ema) are
    preferred. The card of the new file names its source.

    \b
    Example:
      mafdn convert IMDN_x4.pth -o imdn-x4.safetensors
    """
    with needs_extra("converting", extra="train"):
        from mafdn.networks import architecture, title
        from mafdn.networks.checkpoints import convert
    from mafdn.errors import UsageError
    from mafdn.weights.resolve import DESCRIPTIONS, resolve

    kind = resolve(source).kind
    if kind != "file":
        raise UsageError(f"{source} is {DESCRIPTIONS[kind]}; only weights files can be converted")
    target = output_file(target, source.with_suffix(".safetensors"))
    if target.suffix != ".safetensors":
        raise UsageError(f"a weights file must end in .safetensors; {target} does not")
    keep_existing(target, overwrite=overwrite)
    network, note = convert(source, target)
    name, scale = architecture(network.settings), network.settings.scale
    if as_json:
        show_json({"target": target, "network": name, "scale": scale} | ({"note": note} if note else {}))
    else:
        typer.echo(f"{target}: {title(network.settings)} x{scale}")
        if note:
            typer.echo(f"note: {source.name} {note}", err=True)
