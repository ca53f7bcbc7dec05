"""``mafdn count``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn.cli.output import Json, show_json, show_table
from mafdn.cli.training_extra import training_extra

if TYPE_CHECKING:
    from mafdn.networks import Network

COLUMNS = {
    "training_parameters": "training form",
    "parameters": "folded",
    "training_conv_macs": "conv MACs, training form",
    "conv_macs": "conv MACs",
    "training_thop_macs": "thop-style, training form",
    "thop_macs": "thop-style",
}


def count_command(
    network: Annotated[
        str, typer.Option("--network", help="mafdn, imdn, ddistill, afan, smfanet, or a .safetensors or .pth file.")
    ] = "mafdn",
    scale: Annotated[
        int | None,
        typer.Option("--scale", "-s", help="2, 3 or 4; a file's own, else 4 when not given.", min=2, max=4),
    ] = None,
    as_json: Json = False,
) -> None:
    """Count parameters and Multi-Adds for a 1280x720 output, part by part.

    Conv MACs counts the convolutions; thop-style adds what the counter behind most published figures adds. What the
    training form costs stands beside it where it differs from the folded (inference) form. AFAN is an AFAN-style
    reconstruction that fits 692K / 50.90G, not the published network.

    \b
    Examples:
      mafdn count
      mafdn count --network imdn --scale 2 --json
      mafdn count --network mine.safetensors
    """
    with training_extra("counting"):
        from mafdn.networks import TITLES, architecture, count
        from mafdn.networks.counting import input_size
    chosen = _network(network, scale)
    name, scale = architecture(chosen.settings), chosen.settings.scale
    rows = count(chosen)
    height, width = input_size(scale)
    if as_json:
        *parts, total = (asdict(row) for row in rows)
        sizes = {"network": name, "title": TITLES[name], "scale": scale, "input": [width, height]}
        show_json({**sizes, "parts": parts, "total": total})
        return
    total = asdict(rows[-1])
    columns = [c for c in COLUMNS if not c.startswith("training_") or total[c] != total[c.removeprefix("training_")]]
    show_table(
        f"{TITLES[name]} x{scale}, {width}x{height} to 1280x720",
        ["part", *(COLUMNS[c] for c in columns)],
        [
            [row.part, *(f"{asdict(row)[c] / 1e9:.4f}G" if "macs" in c else f"{asdict(row)[c]:,}" for c in columns)]
            for row in rows
        ],
        total=True,
    )


def _network(given: str, scale: int | None) -> "Network":
    """The network of a name or a file."""
    from mafdn.errors import UsageError
    from mafdn.networks import ARCHITECTURES
    from mafdn.networks.convert import open_network

    if given in ARCHITECTURES:
        make, settings = ARCHITECTURES[given]
        return make(settings(scale=scale or 4))
    path = Path(given)
    if path.suffix not in (".safetensors", ".pth"):
        names = ", ".join(ARCHITECTURES)
        raise UsageError(f"unknown network {given!r}; there are {names}, and files (.safetensors, .pth)")
    network = open_network(path)
    if scale not in (None, network.settings.scale):
        raise UsageError(f"{path} upscales by {network.settings.scale}, not {scale}")
    return network
