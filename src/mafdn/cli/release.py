"""``mafdn release``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mafdn.cli.output import Json, show_json, show_table
from mafdn.cli.training_extra import training_extra


def release_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    bench: Annotated[list[Path], typer.Option("--bench", help="A bench set to score the card with; may be repeated.")],
    weights: Annotated[Path, typer.Option("--weights", help="The folder of the weights that ship.")] = Path("weights"),
    as_json: Json = False,
) -> None:
    """Ship a run's averaged weights if they measure better than those that ship now.

    The average is folded and measured; when the mean PSNR over all bench sets is higher (or nothing
    ships yet), WEIGHTS/mafdn-x4.safetensors with its card and its ONNX file are replaced.

    \b
    Example:
      mafdn release runs/x4 --bench Set5 --bench Set14 --bench B100
    """
    with training_extra("releasing"):
        from mafdn.training.release import release
    from mafdn.errors import UsageError
    from mafdn.evaluation.bench import bench_files, bench_name, measure
    from mafdn.evaluation.networks import open_method

    def score(path: Path, scale: int) -> dict[str, dict[str, float]]:
        method = dict([open_method(path, scale=scale)])
        results = [measure(method, folder, scale=scale)[0] for folder in bench]
        return {result.bench: {"psnr": result.psnr, "ssim": result.ssim} for result in results}

    for folder in bench:
        bench_files(folder)  # a missing set is told before any work
    if len({bench_name(folder) for folder in bench}) < len(bench):
        raise UsageError("two of the bench sets have one name; a card can hold only one of them")
    outcome = release(run, weights, score=score)
    if as_json:
        show_json(asdict(outcome))
        return
    rows = [
        [
            name,
            f"{score['psnr']:.3f}",
            f"{outcome.before[name]['psnr']:.3f}" if name in outcome.before else "-",
        ]
        for name, score in outcome.scores.items()
    ]
    show_table(f"{outcome.target.name}, PSNR in dB", ["bench set", "this run", "ships now"], rows)
    typer.echo("released" if outcome.released else "kept what ships: it measures at least as well")
