"""The tables of docs/hosts.md, from `docs/results/plain-gates.json` (`tools/plain_gates`)."""

from typing import Any

from mafdn.evaluation.tables import markdown_table

Rows = list[dict[str, Any]]


def gates_tables(networks: Rows) -> str:
    """What typical gates cost in PSNR, and what they save at the borders of tiles."""
    losses = [
        [
            network["network"],
            f"{row['set']}, {row['degraded']}",
            str(row["pictures"]),
            f"{row['own']:.2f}",
            f"{row['typical'] - row['own']:+.2f}",
        ]
        for network in networks
        for row in network["scores"]
    ]
    steps: list[list[str]] = []
    for network in networks:
        kinds = {row["gates"]: row for row in network["seams"]}
        own, typical = kinds["own"], kinds["typical"]
        cells = [f"{row[key]:.{digits}f}" for row, digits in ((own, 1), (typical, 3)) for key in ("mean", "largest")]
        steps.append([network["network"], f"{own['tile']}, overlapping by {own['overlap']}", *cells])
    loss_head = ["network", "pictures", "number", "PSNR dB, their own gates", "typical gates"]
    step_head = ["network", "tiles", "computed: mean step", "largest", "typical: mean step", "largest"]
    return f"{markdown_table(loss_head, losses)}\n\n{markdown_table(step_head, steps)}"
