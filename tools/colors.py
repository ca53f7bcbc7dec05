"""Measure how well the shipped networks keep saturated colors, on pictures of two colors.

    python -m tools.colors

The figures are written to docs/results/colors.json, and from there into docs/photo.md. It takes a minute.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mafdn._support.atomic import replacing
from mafdn.evaluation.colors import color_score
from mafdn.evaluation.methods import open_method
from mafdn.weights.shipped import VARIANTS, shipped_scales
from tools.documents.update import PROJECT, refresh
from tools.documents.weights import RESULTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=PROJECT / RESULTS / "colors.json")
    arguments = parser.parse_args()
    with replacing(arguments.output) as temporary:
        temporary.write_text(json.dumps(measure(), indent=1) + "\n")
    for path in refresh(PROJECT):
        print(path)


def measure() -> list[dict[str, Any]]:
    """The scores of bicubic interpolation and of all shipped networks."""
    cases = [("bicubic", scale) for scale in shipped_scales("classic")]
    cases += [(variant, scale) for variant in VARIANTS for scale in shipped_scales(variant)]
    return [
        {"network": name, "scale": scale, **asdict(color_score(open_method(name, scale=scale)[1]))}
        for name, scale in cases
    ]


if __name__ == "__main__":
    main()
