"""Write a comparison to disk: the document, its plots, its crops and its data."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mafdn._support.atomic import replacing
from mafdn._support.progress import ignore
from mafdn.compare.compare import Comparison, OnStage, as_json
from mafdn.compare.report import draw_plots, render
from mafdn.degradation.chain import Degradation
from mafdn.errors import MafdnError
from mafdn.evaluation.benchset import Protocol
from mafdn.evaluation.candidates import Candidate
from mafdn.evaluation.layouts import LrChoice
from mafdn.evaluation.paired import gains
from mafdn.evaluation.scoring import evaluate, label_networks
from mafdn.evaluation.strips.extremes import draw_extremes

DATA = "compare.json"
"""Name of the data file in the report's folder."""


def write_report(
    report: Path,
    comparison: Comparison,
    candidates: Sequence[Candidate],
    benches: Sequence[Path],
    *,
    command: str,
    lr: LrChoice = None,
    degrade: Sequence[Degradation | None] = (None,),
    on_progress: OnStage | None = None,
) -> None:
    """Write a document and, in a folder of the same name beside it, its plots, crops and data.

    Args:
        report: The document, `NAME.md`; the folder is `NAME`.
        comparison: What `mafdn.compare.compare.compare` measured.
        candidates: The networks that were compared.
        benches: The benchmark datasets on which they were compared.
        command: The command line of the comparison.
        lr: The LR pictures, as for `compare`.
        degrade: How they are degraded, as for `compare`.
        on_progress: See `mafdn.compare.compare.OnStage`.

    Raises:
        MafdnError: A file cannot be written.
    """
    folder, on_stage = report.with_suffix(""), on_progress or ignore
    try:
        folder.mkdir(exist_ok=True)
        crops: dict[str, str] = {}
        table = as_json(comparison) | {"command": command, "crops": crops}
        draw_plots(table, folder)
        scales = sorted({row.scale for row in comparison.rows})
        for number, scale in enumerate(scales, 1):
            mine = [c for c in candidates if c.scale == scale]
            reference = comparison.baseline.get(scale)
            highlighted = [row.name for row in comparison.rows if row.scale == scale and row.highlighted]
            target = folder / f"crops-x{scale}.png"
            caption = _draw_crops(mine, benches, scale, target, reference, highlighted, lr, degrade, on_stage)
            if caption:
                crops[str(scale)] = caption
            on_stage("drawing", number, len(scales))
        with replacing(folder / DATA) as temporary:
            temporary.write_text(json.dumps(table, indent=1, allow_nan=False) + "\n", "utf-8")
        text = render(table, folder=folder.name)
        with replacing(report) as temporary:
            temporary.write_text(text, "utf-8")
    except OSError as error:
        raise MafdnError.from_os_error(f"cannot write {error.filename or report}", error) from None


def _draw_crops(
    candidates: Sequence[Candidate],
    benches: Sequence[Path],
    scale: int,
    output: Path,
    baseline: str | None,
    highlighted: Sequence[str],
    lr: LrChoice,
    degrade: Sequence[Degradation | None],
    on_stage: OnStage,
) -> str:
    """Draw where a network is furthest behind and ahead of the baseline; returns a caption.

    The network is the first that is highlighted, else the last. If there is none besides the baseline, nothing is drawn
    and the caption is empty.
    """
    measured = [c for c in candidates if c.measurable]
    others = [c for c in measured if c.name != baseline]
    if baseline is None or not others or not benches:
        return ""
    chosen = next((c for c in others if c.name in highlighted), others[-1])
    ordered = [c for c in measured if c is not chosen] + [chosen]  # it comes last in the strip
    networks, names, protocol = [c.source for c in ordered], [c.name for c in ordered], Protocol(scale=scale)
    on_progress = partial(on_stage, f"crops x{scale}")
    scores = evaluate(networks, benches, protocol, lr=lr, degrade=degrade, on_progress=on_progress)
    labels = list(label_networks(networks, protocol))
    reference, network = labels[names.index(baseline)], labels[-1]
    if not gains(scores, reference=reference, network=network):
        return ""
    draw_extremes(
        scores,
        networks,
        benches,
        protocol,
        output,
        reference=reference,
        network=network,
        labels=names,
        lr=lr,
        degrade=degrade,
    )
    return (
        f"Pictures with the largest loss (first group) and gain (second group) of {chosen.name} compared with "
        f"{baseline}, cropped where the difference is largest."
    )
