"""The table about saturated colors in docs/photo.md, from the measurement of `tools.colors`."""

from typing import Any

from mafdn.evaluation.colors import FAR
from mafdn.evaluation.tables import markdown_table


def color_table(scores: list[dict[str, Any]]) -> str:
    """A row per network: the share of pixels of other colors, and the largest distance."""
    rows = [
        [f"{score['network']} x{score['scale']}", f"{100 * score['share']:.2f} %", f"{score['largest']:.0f}"]
        for score in scores
    ]
    heading = f"pixels more than {FAR} levels from all mixtures of the two colors"
    return markdown_table([f"{scores[0]['pictures']} pictures", heading, "largest distance, levels"], rows)
