"""`mafdn count`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn.cli.network_options import NetworkName
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
DEFAULT_SCALE = 4


def count_command(
    network: NetworkName = "mafdn",
    scale: Annotated[
        int | None,
        typer.Option("--scale", "-s", help="2, 3 or 4 (default: that of the network, else 4).", min=2, max=4),
    ] = None,
    as_json: Json = False,
) -> None:
    """Count parameters and Multi-Adds for a 1280x720 output.

    Counts are listed for every part of the network. "conv MACs" counts convolutions only; "thop-style" counts like
    thop, the tool behind most published figures. The training form is listed where its counts differ from those of the
    folded (inference) form. AFAN is a reconstruction that matches the published counts (692K, 50.90G), not the
    published network.

    \b
    Examples:
      mafdn count
      mafdn count --network imdn --scale 2 --json
      mafdn count --network mine.safetensors
    """
    with training_extra("counting"):
        from mafdn.networks import architecture, count, title
        from mafdn.networks.counting import input_size
    chosen = _open(network, scale)
    name, scale = architecture(chosen.settings), chosen.settings.scale
    rows = count(chosen)
    height, width = input_size(scale)
    if as_json:
        *parts, total = (asdict(row) for row in rows)
        sizes = {"network": name, "title": title(chosen.settings), "scale": scale, "input": [width, height]}
        show_json({**sizes, "parts": parts, "total": total})
        return
    total = asdict(rows[-1])
    columns = [c for c in COLUMNS if not c.startswith("training_") or total[c] != total[c.removeprefix("training_")]]
    show_table(
        f"{title(chosen.settings)} x{scale}, {width}x{height} to 1280x720",
        ["part", *(COLUMNS[c] for c in columns)],
        [
            [row.part, *(f"{asdict(row)[c] / 1e9:.4f}G" if "macs" in c else f"{asdict(row)[c]:,}" for c in columns)]
            for row in rows
        ],
        total=True,
    )


def _open(name: str, scale: int | None) -> "Network":
    """Return the network to count; a shipped one in its training form, to which its published counts refer."""
    from mafdn.errors import UsageError
    from mafdn.evaluation.candidates import open_source
    from mafdn.networks import build
    from mafdn.networks.architectures import training_form
    from mafdn.weights.resolve import resolve

    source = resolve(name, scale=scale)
    if source.kind == "baseline":
        raise UsageError(f"{name} is not a network: it has no parameters to count")
    network = open_source(source, scale=scale or DEFAULT_SCALE)
    if network is None:
        raise UsageError(f"{name} has no header that describes its network; use a weights file")
    if scale not in (None, network.settings.scale):
        raise UsageError(f"{name} upscales by {network.settings.scale}, not {scale}")
    return build(training_form(network.settings)) if source.kind == "shipped" else network
