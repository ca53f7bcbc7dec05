"""Tables about the shipped weights, for README.md, docs/model-card.md and docs/training.md."""

import json
from pathlib import Path
from typing import Any

from mafdn._support.machine import machine_text
from mafdn.evaluation.tables import markdown_table
from mafdn.weights.header import SCALES, read_header
from mafdn.weights.history import Stage
from tools.shipped.configs import shipped_stages
from tools.shipped.weights import shipped_weights

RESULTS = Path("docs", "results")
"""The folder of stored measurements, relative to the root."""


def weights_table(project: Path) -> str:
    """Quality and speed of the classic weights beside bicubic: a pair of rows for each scale.

    Args:
        project: The repository, with `weights` and the stored measurements in `docs/results`.

    Raises:
        FileNotFoundError: Something was not measured yet.
    """
    rows: list[list[str]] = []
    sets: list[str] = []
    timed = _load(project, "bench")
    for scale, card in _cards(project).items():
        results: list[dict[str, Any]] = _load(project, f"evaluate-x{scale}")
        sets = list(card["scores"])
        bicubic = {r["bench"]: r["mean"] for r in results if r["network"] == "bicubic"}
        loss = _load(project, f"int8-x{scale}")
        seconds, int8 = (_seconds(timed, scale, precision) for precision in ("fp32", "int8"))
        lost = f"-{loss['loss']['mean']:.2f}"
        int8, lost = (int8, lost) if loss["ships"] else ("-", "-")
        rows.append([f"x{scale}", *(_score(card["scores"][name]) for name in sets), seconds, int8, lost])
        rows.append([f"x{scale}, bicubic", *(_score(bicubic[name]) for name in sets), "", "", ""])
    columns = ["PSNR dB / SSIM", *sets, "seconds, fp32", "seconds, int8", "int8 against fp32, dB"]
    return (
        f"{markdown_table(columns, rows)}\n\n"
        f"Seconds are for a 1280x720 result on {machine_text(timed['machine'])}, medians of {timed['rounds']} runs."
    )


def run_table(project: Path) -> str:
    """The training runs behind the shipped weights, from their cards: a row for each run."""
    columns = [
        "run",
        "started from",
        "steps",
        "patches",
        "learning rates",
        "targets",
        "hours",
        "held-out PSNR dB (pictures)",
    ]
    rows: list[list[str]] = []
    for name, (stage, before) in sorted(shipped_stages(project).items()):
        optimizer = stage.settings["optimizer"]
        rows.append(
            [
                f"[{name}](../configs/shipped/{name}.toml)",
                before.name if before else stage.started_from.partition(",")[0] or "random weights",
                f"{stage.steps:,}",
                f"{stage.patches:,}",
                f"{optimizer['lr']:g}, {optimizer['small_lr']:g}",
                "teacher" if stage.teacher else "HR",
                f"{stage.hours:.2f}",
                _held_out(stage),
            ]
        )
    return markdown_table(columns, rows)


def _held_out(stage: Stage) -> str:
    """The score on the held-out pictures and their number, `?` where that was not recorded."""
    count = "?" if stage.validation_pictures is None else stage.validation_pictures
    return "-" if stage.validation_psnr is None else f"{stage.validation_psnr:.3f} ({count})"


def data_text(project: Path) -> str:
    """The training data, licenses and teachers stated in the cards; weights with the same data share a paragraph."""
    texts: dict[str, list[str]] = {}
    for name, path in shipped_weights(project).items():
        card = read_header(path)[1]
        texts.setdefault(card["data"], []).append(name)
        if card.get("teacher"):
            text = f"the targets of the last run were the outputs of a teacher: {card['teacher']}."
            texts.setdefault(text, []).append(name)
    return "\n\n".join(f"**{', '.join(names)}**: {text}" for text, names in texts.items())


def benchmark_table(project: Path) -> str:
    """The number of pictures of the benchmark datasets and their bicubic scores, to compare copies of them.

    Raises:
        FileNotFoundError: The scores of a scale were not measured yet.
    """
    entries = {scale: _load(project, f"evaluate-x{scale}") for scale in SCALES}
    bicubic = {
        (r["bench"], scale): r for scale, results in entries.items() for r in results if r["network"] == "bicubic"
    }
    names = list(dict.fromkeys(name for name, _ in bicubic))
    rows = [
        [
            name,
            str(len(bicubic[name, SCALES[0]]["pictures"])),
            *(_score(bicubic[name, scale]["mean"]) for scale in SCALES),
            f"`{bicubic[name, SCALES[0]]['hr_sha256'][:16]}...`",
        ]
        for name in names
    ]
    columns = ["bicubic, PSNR dB / SSIM", "pictures", *(f"x{scale}" for scale in SCALES), "`hr_sha256`"]
    return markdown_table(columns, rows)


def _cards(project: Path) -> dict[int, dict[str, Any]]:
    """The cards of the classic weights by scale."""
    paths = {scale: project / "weights" / f"mafdn-x{scale}.safetensors" for scale in SCALES}
    return {scale: read_header(path)[1] for scale, path in paths.items() if path.is_file()}


def _load(project: Path, name: str) -> Any:
    return json.loads((project / RESULTS / f"{name}.json").read_text("utf-8"))


def _score(score: dict[str, float]) -> str:
    return f"{score['psnr']:.2f} / {score['ssim']:.4f}"


def _seconds(timed: dict[str, Any], scale: int, precision: str) -> str:
    """The median of the shipped network in OpenVINO; empty when it was not measured."""
    for row in timed["rows"]:
        engine = row["latency"]["engine"] or ""
        if (row["name"], row["scale"], row["precision"]) == ("mafdn", scale, precision) and "openvino" in engine:
            return f"{row['latency']['median']:.2f}"
    return ""
