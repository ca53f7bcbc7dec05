"""The section of docs/photo.md about the choice of the weights, from the measurement of `tools.choice`."""

import json
from pathlib import Path
from typing import Any

from mafdn.evaluation.tables import markdown_table
from tools.documents.weights import RESULTS

NAME = "weights-choice"
"""Stem of the stored measurement."""
SCALES = (2, 4)
"""The scales of both variants."""


def choice_text(project: Path) -> str:
    """The section of docs/photo.md: the gains by quality, and the cases that were made."""
    stored = json.loads((project / RESULTS / f"{NAME}.json").read_text("utf-8"))
    gains: list[dict[str, Any]] = stored["gains"]
    codings = list(dict.fromkeys((row["encoder"], row["quality"]) for row in gains))
    columns = [encoder if quality is None else f"{_title(encoder)} {quality}" for encoder, quality in codings]
    by_scale = [[f"x{scale}", *(f"{row['mean']:+.2f}" for row in gains if row["scale"] == scale)] for scale in SCALES]
    rows = [[row["kind"], row["variant"], str(row["cases"]), str(row["right"])] for row in stored["rows"]]
    share = 100 * stored["right"] / stored["cases"]
    wrong = [f"- {one['kind']} ({one['how']}) of {one['picture']}: {one['chosen']}" for one in stored["wrong"]]
    parts = [
        f"Of {stored['cases']} files that were made from clean pictures, {stored['right']} ({share:.1f} %) got the "
        f"right weights. The choice took {stored['milliseconds']['median']:.0f} ms in the median and at most "
        f"{stored['milliseconds']['largest']:.0f} ms beyond decoding, on a machine shared with other work.",
        markdown_table(["file", "right choice", "files", "chosen right"], rows),
        "Chosen wrong:\n\n" + "\n".join(wrong) if wrong else "None was chosen wrong.",
    ]
    if gains:
        title = (
            f"Gain of the photo weights over the classic ones in dB (PSNR on luma, {gains[0]['pictures']} pictures of "
            "B100, coded by Pillow; earlier weights):"
        )
        parts = [title, markdown_table(["dB", *columns], by_scale), *parts]
    return "\n\n".join(parts)


def _title(encoder: str) -> str:
    return {"WEBP": "WebP"}.get(encoder, encoder)
