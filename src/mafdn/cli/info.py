"""`mafdn info`: versions, engines and shipped weights; the training history of one network."""

import importlib.util
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from mafdn._support.cache import cache_folder
from mafdn._support.machine import installed_version, machine
from mafdn._version import __version__
from mafdn.cli.output import Json, show_json, show_table
from mafdn.errors import WeightsError

PACKAGES = ("numpy", "openvino", "onnxruntime", "pyvips", "pillow", "imagecodecs", "torch")
DIGEST_TITLE = "SHA-256 of the weights, without their card"


def info_command(
    network: Annotated[
        str | None,
        typer.Argument(
            metavar="[NETWORK]",
            help="x2, x3, x4, photo-x2, photo-x4 or a .safetensors file: show how it was trained. An .onnx file: show "
            "its header.",
        ),
    ] = None,
    probe: Annotated[bool, typer.Option("--probe", help="Measure again which engine is fastest.")] = False,
    as_json: Json = False,
) -> None:
    """Show versions, engines and the shipped weights, or how a network was trained.

    Engines are listed with their speed and the one that --engine auto uses, weights with their scores. With NETWORK,
    all runs since the random weights are listed; --json adds the settings and the training data of each. An ONNX file
    states the SHA-256 of the weights that it was made from, which is listed for those, too.

    \b
    Examples:
      mafdn info
      mafdn info x4
      mafdn info --probe
      mafdn info --json
    """
    if network is not None:
        _show_network(network, as_json=as_json)
        return
    import pyvips

    from mafdn.inference import ENGINES
    from mafdn.inference.engines import auto_precision, chosen_engine
    from mafdn.inference.engines.choice import TILE_SIDE
    from mafdn.weights.header import read_header
    from mafdn.weights.resolve import NAMES_OF_SCALES
    from mafdn.weights.shipped import shipped, shipped_scales, weights_folder

    weights: dict[str, Any] = {}
    for name, (variant, scale) in NAMES_OF_SCALES.items():
        if scale in shipped_scales(variant):
            header, card = read_header(shipped(scale, ".safetensors", variant))
            weights[name] = {"settings": header["settings"], "card": card}
    versions = {name: installed_version(name) for name in PACKAGES}
    usable = [name for name in ENGINES if importlib.util.find_spec(name)]
    largest = weights_folder() / f"mafdn-x{max(shipped_scales(), default=4)}.onnx"
    choice = chosen_engine(largest, fresh=probe) if weights else None
    best = choice.best() if choice else None
    about: dict[str, Any] = {
        "mafdn": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "libvips": ".".join(str(pyvips.version(i)) for i in range(3)),
        "engines": usable,
        "engine": best[0] if best else None,
        "device": best[1] if best else None,
        "choice": asdict(choice) if choice else None,
        "auto_precision": {
            name: auto_precision(shipped(scale, ".onnx", variant))
            for name, (variant, scale) in NAMES_OF_SCALES.items()
            if name in weights
        },
        "machine": asdict(machine()),
        "cache": str(cache_folder("")),
        "weights_folder": str(weights_folder()),
        "weights": weights,
    }
    if as_json:
        show_json(about)
        return
    rows = [["mafdn", __version__], ["python", about["python"]], ["libvips", about["libvips"]]]
    rows += [[name, version or "not installed"] for name, version in versions.items()]
    rows += [
        ["weights", about["weights_folder"]],
        ["cache", about["cache"]],
    ]
    show_table("Versions", ["", "value"], rows)
    if choice:
        trials = [
            [
                trial.engine,
                trial.device,
                f"{trial.seconds:.3f}" if trial.seconds else trial.problem,
                "chosen" if (trial.engine, trial.device) == best else "",
            ]
            for trial in choice.trials
        ]
        title = f"Engines: seconds for a tile of {TILE_SIDE}x{TILE_SIDE} with {choice.network}, measured {choice.when}"
        show_table(title, ["engine", "device", "seconds", "auto"], trials)
        precisions = ", ".join(f"{name} {precision}" for name, precision in about["auto_precision"].items())
        typer.echo(f"--precision auto on this machine, for 8-bit pictures: {precisions}\n")
    scores = [row for name, entry in weights.items() for row in _score_rows(name, entry["card"])]
    show_table(
        "Shipped weights, scores on luma (MAFDN as reconstructed from its abstract)",
        ["network", "dataset", "PSNR dB", "SSIM", "training steps"],
        scores,
    )


def _score_rows(name: str, card: dict[str, Any]) -> list[list[str]]:
    """The scores of a network as rows of a table; one row without scores if it was not measured."""
    steps = f"{card.get('steps', 0):,}"
    scores = card.get("scores", {}).items()
    rows = [[name, bench, f"{score['psnr']:.2f}", f"{score['ssim']:.4f}", steps] for bench, score in scores]
    return rows or [[name, "-", "-", "-", steps]]


def _show_network(network: str, *, as_json: bool) -> None:
    from mafdn.weights.resolve import resolve

    path = resolve(network).file(".safetensors")
    if path.suffix == ".onnx":
        _show_header(path, as_json=as_json)
    else:
        _show_history(network, path, as_json=as_json)


def _show_header(path: Path, *, as_json: bool) -> None:
    from mafdn.inference.engines import WEIGHTS_DIGEST, read_file_header

    header = read_file_header(path)
    if not header:
        raise WeightsError(f"{path} has no mafdn header; only ONNX files that this program exported have one")
    if as_json:
        show_json({"network": str(path), "header": header})
        return
    digest = header.pop(WEIGHTS_DIGEST, "not recorded; export it again")
    rows = [[name, _plain(value)] for name, value in header.items()]
    show_table(f"The header of {path}", ["entry", "value"], rows)
    typer.echo(f"{DIGEST_TITLE}: {digest}")


def _plain(value: Any) -> str:
    return ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else str(value)


def _show_history(network: str, path: Path, *, as_json: bool) -> None:
    from mafdn.inference.engines import WEIGHTS_DIGEST
    from mafdn.weights.header import read_tensors_digest
    from mafdn.weights.history import training_history

    history, digest = training_history(network), read_tensors_digest(path)
    if as_json:
        about = {"network": network, "complete": history.complete, "patches": history.patches, WEIGHTS_DIGEST: digest}
        show_json(about | {"stages": [asdict(stage) for stage in history.stages]})
        return
    sets = list(dict.fromkeys(name for stage in history.stages for name in stage.scores))
    rows = [
        [
            stage.name,
            _short(stage.started_from),
            stage.sha256[:12],
            f"{stage.steps:,}",
            f"{stage.patches:,}",
            "teacher" if stage.teacher else "HR",
            f"{stage.hours:.2f}",
            *(f"{stage.scores[name]['psnr']:.2f}" if name in stage.scores else "-" for name in sets),
        ]
        for stage in history.stages
    ]
    columns = ["run", "started from", "SHA-256 of the result", "steps", "patches", "targets", "hours"]
    show_table(f"How {network} was trained: {history.patches:,} patches", [*columns, *(f"{s} dB" for s in sets)], rows)
    typer.echo(f"{DIGEST_TITLE}: {digest}")
    if not history.complete:
        typer.echo(f"The runs before {history.stages[0].name} are not recorded.")
    for data in dict.fromkeys(stage.data for stage in history.stages if stage.data):
        typer.echo(f"Data: {data}")
    for teacher in dict.fromkeys(stage.teacher for stage in history.stages if stage.teacher):
        typer.echo(f"Teacher: {teacher}")


def _short(started_from: str) -> str:
    """A file name and the first digits of its SHA-256."""
    from mafdn.weights.history import SHA256

    name, _, digest = started_from.partition(f", {SHA256}")
    return f"{name} {digest[:12]}".strip() or "random weights"
