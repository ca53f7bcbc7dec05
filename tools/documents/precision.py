"""The table of the stored differences between precisions and fp32 (`tools.precision`)."""

from pathlib import Path

from mafdn.evaluation.tables import markdown_table
from mafdn.inference.engines.precision import Measured, load_measured
from mafdn.inference.options import BF16

COLUMNS = [
    "network",
    "precision, instructions",
    "processor",
    "largest difference, levels",
    "mean",
    "pixels beyond one level",
    "PSNR dB against fp32",
    "worst picture",
    "speed",
    "`auto`",
]
MISSING = "bf16 has not been measured yet: the processor of this table has no instructions for it."


def precision_table(project: Path) -> str:
    """A row for each measurement beside the weights of `project`."""
    rows = load_measured(project / "weights")
    if not rows:
        raise FileNotFoundError(project / "weights")
    pictures = {row.pictures for row in rows}
    count = f"{min(pictures)}" if len(pictures) == 1 else f"{min(pictures)} to {max(pictures)}"
    missing = [] if any(row.precision == BF16 for row in rows) else [MISSING]
    text = (
        f"Differences from fp32 on {count} pictures (Set5, Set14, B100), in levels of 8 bits, and speed relative to "
        "fp32 for a picture of 320x180:"
    )
    return "\n\n".join([text, markdown_table(COLUMNS, [_cells(row) for row in rows]), *missing])


def _cells(row: Measured) -> list[str]:
    return [
        row.network,
        f"{row.precision}, {row.instructions}",
        row.processor,
        str(row.largest),
        f"{row.mean:.2f}",
        f"{100 * row.beyond:.2f} %",
        f"{-row.loss:+.3f}",
        f"{-row.worst_loss:+.3f} {row.worst}",
        f"{row.speedup:.2f}",
        "yes" if row.within_limits else "no",
    ]
