"""`mafdn release`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn.cli.extras import needs_extra
from mafdn.cli.options.network import OptionalBenches
from mafdn.cli.output import Json, show_json, show_table

if TYPE_CHECKING:
    from mafdn.release.gate import Outcome


def release_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run.")],
    bench: OptionalBenches = None,
    scale: Annotated[int | None, typer.Option("--scale", "-s", min=2, max=4, help="Required scale of the run.")] = None,
    weights: Annotated[
        Path,
        typer.Option("--weights", metavar="FOLDER", help="Folder of the shipped weights, which a release updates."),
    ] = Path("weights"),
    as_json: Json = False,
) -> None:
    """Ship a run's averaged weights if they beat the shipped ones.

    The averaged weights are folded, exported and measured on the benchmark datasets (default: those of data.exclude).
    If the mean PSNR over all datasets is higher (or nothing ships yet), every picture beats bicubic, and saturated
    colors are kept as well as before, they replace the weights file and the ONNX file in FOLDER. Weights that change
    more than 0.5 % of the pixels of saturated colors may be replaced at a loss of up to 0.05 dB by weights that do not.
    The int8 file is then quantized again as by 'mafdn quantize', or removed if that fails.

    \b
    Examples:
      mafdn release runs/x4 --scale 4
      mafdn release runs/x4 --bench Set5 --bench Set14 --bench B100
    """
    with needs_extra("releasing", extra="train"):
        from mafdn.release.ship import ship

    shipped = ship(run, weights, benches=bench or [], scale=scale)
    if as_json:
        outcome = {key: value for key, value in asdict(shipped.outcome).items() if key != "measured"}
        show_json(outcome | {"int8": shipped.int8, "int8_problem": shipped.int8_problem})
        return
    _show(shipped.outcome)
    if shipped.int8_problem:
        typer.echo(f"{shipped.int8.name} does not ship: {shipped.int8_problem}", err=True)


def _show(outcome: "Outcome") -> None:
    rows = [
        [name, f"{score['psnr']:.3f}", f"{outcome.before[name]['psnr']:.3f}" if name in outcome.before else "-"]
        for name, score in outcome.scores.items()
    ]
    held_out = (outcome.validation, outcome.validation_before)
    rows.append(["validation", *("-" if psnr is None else f"{psnr:.3f}" for psnr in held_out)])
    shares = [score and score.share for score in (outcome.colors, outcome.colors_before)]
    rows.append(["pixels of other colors, %", *("-" if share is None else f"{100 * share:.2f}" for share in shares)])
    show_table(f"{outcome.target.name}, PSNR in dB", ["dataset", "this run", "shipped"], rows, total=True)
    typer.echo(f"{'released' if outcome.released else 'kept the shipped weights'}: {outcome.reason}")
