"""configs/shipped: the configuration of every run that led to the shipped weights, written from their cards."""

import copy
import textwrap
import tomllib
from pathlib import Path
from typing import Any

from mafdn.training.config import build_settings, to_toml
from mafdn.weights.history import SHA256, Stage, training_history
from tools.shipped.weights import shipped_weights

FOLDER = Path("configs", "shipped")
"""The folder of the configurations, relative to the root."""
DATA = Path("configs", "data.toml")
"""What they extend, relative to the root."""


def shipped_stages(project: Path) -> dict[str, tuple[Stage, Stage | None]]:
    """Return every run that led to the weights of `project`, by name, each with the run before it."""
    stages: dict[str, tuple[Stage, Stage | None]] = {}
    for weights in shipped_weights(project).values():
        found = training_history(weights).stages
        runs = {stage.name: (stage, before) for stage, before in zip(found, (None, *found), strict=False)}
        stages = runs | stages  # a run's own weights state its scores, those that were pruned from it do not
    return stages


def shipped_configs(project: Path) -> dict[Path, str]:
    """Return the text of every configuration by file."""
    usual: str = tomllib.loads((project / DATA).read_text("utf-8"))["data"]["description"]
    return {
        project / FOLDER / f"{name}.toml": _config(stage, before, usual)
        for name, (stage, before) in shipped_stages(project).items()
    }


def _config(stage: Stage, before: Stage | None, usual: str) -> str:
    table = copy.deepcopy(stage.settings)
    if stage.data != usual:
        table["data"]["description"] = stage.data
    table["run"] |= {"folder": _run(stage), "init": _init(before), "precision": stage.precision.partition(" ")[0]}
    if stage.teacher:
        table["data"]["teacher_description"] = stage.teacher
    settings = build_settings(table, path=FOLDER / f"{stage.name}.toml")
    scores = [f"{name} {score['psnr']:.2f}" for name, score in stage.scores.items()]
    if stage.validation_psnr is not None:
        scores.append(f"held-out pictures {stage.validation_psnr:.2f}")
    lines = [
        f"{stage.name}: {stage.patches:,} patches in {stage.hours:.2f} hours, {stage.precision}.",
        f"PSNR in dB: {', '.join(scores)}." if scores else "Not measured on benchmark datasets.",
        f"Started from {_start(stage, before)}.",
        *(_computed(start) for start in stage.starts),
        "Written from the card of the shipped weights by 'python -m tools.figures'.",
    ]
    comment = [part for line in lines for part in textwrap.wrap(line, 116)]
    return "".join(f"# {part}\n" for part in comment) + f'extends = "../data.toml"\n\n{to_toml(settings, full=False)}'


def _computed(start: dict[str, Any]) -> str:
    """What a run was computed with from a start on."""
    processes = f"{start['processes']} process" + ("es" if start["processes"] != 1 else "")
    pictures = ", ".join(f"{name} SHA-256 {digest}" for name, digest in start["banks"].items())
    return f"From step {start['step']}: {processes} on {start['machine']}, torch {start['torch']}, {pictures}."


def _start(stage: Stage, before: Stage | None) -> str:
    if not stage.started_from:
        return "random weights"
    if before is None:
        return stage.started_from
    pruned = f", pruned by 'mafdn prune' to {before.pruned_width} channels" if before.pruned_width else ""
    return f"the weights of {before.name}{pruned}, {SHA256}{before.sha256}"


def _init(before: Stage | None) -> str:
    """The weights that a run starts from, relative to the configuration; a pruned file lies beside its run."""
    if before is None:
        return ""
    return f"{_run(before)}-{before.pruned_width}.safetensors" if before.pruned_width else _run(before)


def _run(stage: Stage) -> str:
    """The folder of a run that repeats a stage, relative to the configuration."""
    return f"../../runs/shipped/{stage.name}"
