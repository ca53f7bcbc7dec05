"""The table of weights at other scales in docs/training.md, from the measurement of `tools.other_scales`."""

from typing import Any

from mafdn.evaluation.tables import markdown_table
from mafdn.weights.resolve import NAMES_OF_SCALES


def other_scales_table(report: dict[str, Any]) -> str:
    """A row per scale and variant: held-out PSNR of its weights, and of those of the other scales once fitted."""
    rows: list[dict[str, Any]] = report["rows"]
    starts = sorted({row["start"] for row in rows})
    psnr = {(row["variant"], row["scale"], row["start"]): row["psnr"] for row in rows}
    cells = [
        [
            name,
            f"{psnr[variant, scale, scale]:.3f}",
            *(
                f"{psnr[variant, scale, start]:.3f}" if start != scale and (variant, scale, start) in psnr else "-"
                for start in starts
            ),
        ]
        for name, (variant, scale) in NAMES_OF_SCALES.items()
    ]
    return markdown_table(
        ["held-out PSNR, dB", "its own weights", *(f"fitted from x{start}" for start in starts)], cells
    )
