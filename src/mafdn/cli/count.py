"""`mafdn count`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mafdn.cli.extras import needs_extra
from mafdn.cli.options.network import NETWORK
from mafdn.cli.output import Json, show_json, show_table

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
    file: Annotated[
        str | None,
        typer.Argument(metavar="[NETWORK]", help="Network, with a name as for --network.", show_default=False),
    ] = None,
    network: Annotated[str | None, typer.Option("--network", metavar="NAME", help=NETWORK)] = None,
    scale: Annotated[
        int | None,
        typer.Option("--scale", "-s", help="2, 3 or 4 (default: that of the network, else 4).", min=2, max=4),
    ] = None,
    as_json: Json = False,
) -> None:
    """Count parameters and Multi-Adds for a 1280x720 output.

    Counts are listed for every part of the network. "conv MACs" counts convolutions only; "thop-style" counts like
    thop, the tool behind most published figures. The training form is listed where its counts differ from those of the
    folded (inference) form. ONNX files from other programs are counted from their graph, as a whole. AFAN is a
    reconstruction that matches the published counts (692K, 50.90G) by its conv MACs, not the published network; counted
    like thop it has 50.95G.

    \b
    Examples:
      mafdn count
      mafdn count imdn --scale 2 --json
      mafdn count mine.safetensors
      mafdn count other.onnx
    """
    from mafdn.errors import UsageError
    from mafdn.weights.sizes import OUTPUT, input_size

    if file is not None and network is not None:
        raise UsageError("name one network, either as an argument or with --network")
    chosen = file or network or "mafdn"
    name, title, scale, rows = _count_onnx(chosen, scale) or _count(chosen, scale)
    height, width = input_size(scale)
    *parts, total = rows
    if as_json:
        sizes = {"network": name, "title": title, "scale": scale, "input": [width, height]}
        show_json({**sizes, "parts": parts, "total": total})
        return
    columns = [c for c in COLUMNS if not c.startswith("training_") or total[c] != total[c.removeprefix("training_")]]
    show_table(
        f"{title} x{scale}, {width}x{height} to {OUTPUT[1]}x{OUTPUT[0]}",
        ["part", *(COLUMNS[c] for c in columns)],
        [[row["part"], *(f"{row[c] / 1e9:.4f}G" if "macs" in c else f"{row[c]:,}" for c in columns)] for row in rows],
        total=True,
    )


def _count(name: str, scale: int | None) -> tuple[str, str, int, list[dict[str, Any]]]:
    """Architecture, title, scale and rows of a network in torch."""
    with needs_extra("counting", extra="train"):
        from mafdn.evaluation.costs.counting import count_costs
        from mafdn.networks import architecture, title
    chosen = _open(name, scale)
    kind, found = architecture(chosen.settings), chosen.settings.scale
    return kind, title(chosen.settings), found, [asdict(row) for row in count_costs(chosen, found)]


def _count_onnx(name: str, scale: int | None) -> tuple[str, str, int, list[dict[str, Any]]] | None:
    """The same of an ONNX file without a header that describes its network, or without torch; else `None`."""
    from mafdn.errors import UsageError
    from mafdn.inference import EngineOptions, open_engine, preferred_engine
    from mafdn.weights.resolve import resolve

    source = resolve(name, scale=scale)
    if source.kind != "file" or source.path is None or source.path.suffix != ".onnx":
        return None
    found = open_engine(source.path, EngineOptions(engine=preferred_engine(), device="cpu")).scale
    if scale not in (None, found):
        raise UsageError(f"{name} upscales by {found}, not {scale}")
    from mafdn.evaluation.costs.counting import count_costs, described_network

    if described_network(source.path):
        return None
    with needs_extra("counting an ONNX file", extra="train"):
        return "", source.path.name, found, [asdict(row) for row in count_costs(source.path, found)]


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
    assert network is not None  # a baseline, or an ONNX file that was counted from its graph
    if scale not in (None, network.settings.scale):
        raise UsageError(f"{name} upscales by {network.settings.scale}, not {scale}")
    return build(training_form(network.settings)) if source.kind == "shipped" else network
