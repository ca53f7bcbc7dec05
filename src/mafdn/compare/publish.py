"""A comparison written to disk: the document, its plots, its crops and its data.

Public names: :func:`write_report`.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from mafdn._support.atomic import replacing
from mafdn._support.progress import ignore
from mafdn.compare.compare import Comparison, as_table
from mafdn.compare.report import draw_plots, render
from mafdn.errors import MafdnError
from mafdn.evaluation.benchset import Protocol
from mafdn.evaluation.extremes import draw_extremes
from mafdn.evaluation.paired import gains
from mafdn.evaluation.resolve import Candidate
from mafdn.evaluation.scoring import evaluate, named

DATA = "compare.json"


def write_report(
    report: Path,
    comparison: Comparison,
    candidates: Sequence[Candidate],
    benches: Sequence[Path],
    *,
    command: str,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Write ``report`` (FILE.md) and, in the folder FILE beside it, plots, crops and the data of ``comparison``.

    ``candidates`` and ``benches`` are those that were compared, ``command`` the one that did it. Raises
    :class:`MafdnError` when something cannot be written.
    """
    folder = report.with_suffix("")
    tell = on_progress or ignore
    try:
        folder.mkdir(exist_ok=True)
        crops: dict[str, str] = {}
        table = as_table(comparison) | {"command": command, "crops": crops}
        draw_plots(table, folder)
        scales = sorted({row.scale for row in comparison.rows})
        for number, scale in enumerate(scales, 1):
            mine = [c for c in candidates if c.scale == scale]
            about = _draw_crops(mine, benches, scale, folder / f"crops-x{scale}.png", tell)
            if about:
                crops[str(scale)] = about
            tell("drawing", number, len(scales))
        with replacing(folder / DATA) as temporary:
            temporary.write_text(json.dumps(table, indent=1, allow_nan=False) + "\n", "utf-8")
        text = render(table, folder=folder.name)
        with replacing(report) as temporary:
            temporary.write_text(text, "utf-8")
    except OSError as error:
        raise MafdnError(f"cannot write {error.filename or report}: {error.strerror or error}") from None


def _draw_crops(
    candidates: Sequence[Candidate],
    benches: Sequence[Path],
    scale: int,
    output: Path,
    tell: Callable[[str, int, int], None],
) -> str:
    """Draw where our network is most behind the strongest other one, and most ahead of it; returns what it shows.

    Without our network, or anything to compare it with, nothing is drawn and nothing returned.
    """
    measured = [c for c in candidates if c.measurable]
    ours = next((c for c in measured if c.ours), None)
    if ours is None or len(measured) < 2 or not benches:
        return ""
    ordered = [c for c in measured if c is not ours] + [ours]  # ours last, where the eye ends
    given, labels, protocol = [c.given for c in ordered], [c.name for c in ordered], Protocol(scale=scale)
    scores = evaluate(given, benches, protocol, on_progress=lambda done, total: tell(f"crops x{scale}", done, total))
    names = list(named(given, protocol))
    means = [sum(score.psnr for score in scores if score.network == name) for name in names[:-1]]
    rival = means.index(max(means))
    reference, network = names[rival], names[-1]
    if not gains(scores, reference=reference, network=network):
        return ""
    draw_extremes(scores, given, benches, protocol, output, reference=reference, network=network, labels=labels)
    return (
        f"Where {ours.name} does worst and best against {labels[rival]}, the strongest of the others. Crops are where "
        "it is most behind in the first group and most ahead in the second."
    )
