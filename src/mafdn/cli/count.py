"""``mafdn count``."""

from dataclasses import asdict
from typing import Annotated

import typer

from mafdn.cli.output import Json, Scale, show_json, show_table
from mafdn.cli.training_extra import training_extra


def count_command(
    network: Annotated[str, typer.Option("--network", help="Which network: mafdn.")] = "mafdn",
    scale: Scale = 4,
    as_json: Json = False,
) -> None:
    """Count parameters and Multi-Adds for a 1280x720 output, part by part.

    Conv MACs counts the convolutions; thop-style adds what the counter behind most published figures adds.

    \b
    Examples:
      mafdn count
      mafdn count --scale 2 --json
    """
    from mafdn.errors import UsageError

    if network != "mafdn":
        raise UsageError(f"unknown network {network!r}; there is: mafdn")
    with training_extra("counting"):
        from mafdn.networks import MAFDN, MAFDNSettings, count
        from mafdn.networks.counting import input_size
    rows = count(MAFDN(MAFDNSettings(scale=scale)))
    height, width = input_size(scale)
    if as_json:
        *parts, total = (asdict(row) for row in rows)
        show_json({"network": network, "scale": scale, "input": [width, height], "parts": parts, "total": total})
        return
    show_table(
        f"MAFDN x{scale} (reconstruction), {width}x{height} to 1280x720",
        ["part", "training form", "folded", "conv MACs", "thop-style"],
        [
            [
                row.part,
                f"{row.training_parameters:,}",
                f"{row.parameters:,}",
                f"{row.conv_macs / 1e9:.4f}G",
                f"{row.thop_macs / 1e9:.4f}G",
            ]
            for row in rows
        ],
        total=True,
    )
