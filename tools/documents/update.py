"""Documents with figures from stored measurements; `tools.figures`, `tools.release` and `tools.quantize` update them.

A document has pairs of markers, `<!-- scores: mafdn release -->` and `<!-- /scores -->`, between which the text is
replaced by a section of `tools.documents.sections`. Measurements are stored in `docs/results`; its README says how each
is made.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mafdn._support.atomic import replacing, sha256
from mafdn.compare.publish import DATA
from mafdn.compare.report import render
from mafdn.evaluation.benchset import SetScore
from mafdn.evaluation.methods import engine_label
from mafdn.evaluation.outputs import score_entry
from mafdn.release.int8_gate import MEAN_LIMIT, PICTURE_LIMIT, judge
from mafdn.release.quantize import read_onnx_header
from mafdn.training.config import example_config
from tools.documents.sections import BENCHMARKS, SECTIONS
from tools.documents.weights import RESULTS
from tools.shipped.configs import FOLDER, shipped_configs
from tools.shipped.weights import earlier_note

PROJECT = Path(__file__).parents[2]
SCRATCH = """
## Trained from scratch for the same time

This is the fairest test of the abstract's claim that was affordable: networks with random weights are trained on the
same patches in the same order, with the same optimizer and schedule, each for as many steps as fit into the same time
on one thread. The learning rates were chosen for MAFDN. With them, the AFAN-style reconstruction (not the published
network) diverged, even after three restarts from its last checkpoint, and was therefore trained with 0.4 times these
rates. The runs are much shorter than a full training: they show which network learns faster, not which one performs
better in the end.

<!-- from-scratch: python -m tools.figures -->
<!-- /from-scratch -->
"""
"""Section of docs/benchmarks.md after the report of `mafdn compare`."""


def result_name(weights: Path) -> str:
    """What the names of stored measurements of shipped weights end with: `x4`, or `photo-x4`."""
    return weights.stem.removesuffix("-int8").removeprefix("mafdn-")


def store_scores(project: Path, scores: Sequence[SetScore], weights: Path) -> None:
    """Write `docs/results/evaluate-{NAME}.json`: the scores of every picture by bicubic and the shipped `weights`."""
    with replacing(project / RESULTS / f"evaluate-{result_name(weights)}.json") as temporary:
        temporary.write_text(json.dumps([score_entry(score) for score in scores], indent=2) + "\n", "utf-8")


def store_loss(project: Path, int8: Path, scores: Sequence[SetScore]) -> None:
    """Write `docs/results/int8-{NAME}.json`: the scores of fp32 and int8, the file, and the limits."""
    loss = judge(scores)
    header = read_onnx_header(int8)
    entry: dict[str, Any] = {
        "file": int8.name,
        "sha256": sha256(int8),
        "source_sha256": header["source_sha256"],
        "quantized": header["quantized"],
        "engine": engine_label(int8),
        "ships": not loss.reason,
        "limits": {"mean": MEAN_LIMIT, "picture": PICTURE_LIMIT},
        "loss": {"sets": loss.sets, "mean": loss.mean, "worst": loss.worst, "worst_loss": loss.worst_loss},
        "scores": [score_entry(score) for score in scores],
    }
    with replacing(project / RESULTS / f"int8-{result_name(int8)}.json") as temporary:
        temporary.write_text(json.dumps(entry, indent=2) + "\n", "utf-8")


def refresh(project: Path) -> list[Path]:
    """Update README.md, every file in docs, and the generated configurations; returns the files that changed."""
    texts = {path: renewed(path, project) for path in (project / "README.md", *sorted((project / "docs").glob("*.md")))}
    if (project / "configs").is_dir():
        texts |= shipped_configs(project) | {project / "configs" / "example.toml": example_config()}
    changed: list[Path] = []
    for path, new in texts.items():
        if not path.is_file() or new != path.read_text("utf-8"):
            path.parent.mkdir(exist_ok=True)
            with replacing(path) as temporary:
                temporary.write_text(new, "utf-8")
            changed.append(path)
    for path in sorted((project / FOLDER).glob("*.toml")):
        if path not in texts:  # of a run that no longer belongs to shipped weights
            path.unlink()
            changed.append(path)
    return changed


def renewed(path: Path, project: Path) -> str:
    """The up-to-date text of a document of `project`."""
    return filled(_rendered(project) if path == project / BENCHMARKS else path.read_text("utf-8"), project)


def _rendered(project: Path) -> str:
    """docs/benchmarks.md from the stored comparison, before its sections are filled."""
    folder = (project / BENCHMARKS).with_suffix("")
    comparison = json.loads((folder / DATA).read_text("utf-8"))
    title, rest = render(comparison, folder=folder.name).split("\n", 1)
    note = earlier_note(project, comparison["rows"])
    return (f"{title}\n\n**{note}**\n{rest}" if note else f"{title}\n{rest}") + SCRATCH


def filled(text: str, project: Path) -> str:
    """`text` with the section between each pair of markers replaced, if its measurement is stored."""
    for name, make in SECTIONS.items():
        pattern = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if pattern.search(text):
            try:
                body = make(project)
            except FileNotFoundError:
                continue  # not measured yet
            text = pattern.sub(lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text)
    return text
