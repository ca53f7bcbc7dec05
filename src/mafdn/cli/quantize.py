"""``mafdn quantize``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn.cli.output import Json, Quiet, progress, show_json, show_table
from mafdn.cli.training_extra import training_extra

if TYPE_CHECKING:
    from mafdn.evaluation.benchset import SetScore
    from mafdn.release.int8_gate import Loss


def quantize_command(
    network: Annotated[
        Path, typer.Argument(metavar="NETWORK", help="An ONNX file that 'mafdn export' made from a MAFDN.")
    ],
    target: Annotated[
        Path | None, typer.Argument(metavar="OUTPUT", help="The int8 file; NETWORK-int8.onnx when not given.")
    ] = None,
    *,
    calibration: Annotated[
        Path, typer.Option("--calibration", help="A training bank, by whose pictures ranges are found.")
    ],
    bench: Annotated[
        list[Path], typer.Option("--bench", help="A bench set on which int8 is measured; several for several sets.")
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT when it exists.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Quantize an exported network to int8, and keep the result if it measures well enough.

    OUTPUT is written only if int8 loses at most 0.05 dB on average over all sets and at most 0.2 dB on any picture.

    \b
    Example:
      mafdn quantize weights/mafdn-x4.onnx --calibration runs/bank --bench Set5 --bench Set14 --bench B100
    """
    from mafdn.errors import UsageError, WeightsError

    target = target or network.with_name(f"{network.stem}-int8.onnx")
    if target.suffix != ".onnx" or target.resolve() == network.resolve():
        raise UsageError(f"{target} cannot be OUTPUT: give another .onnx file than NETWORK")
    if target.exists() and not overwrite:
        raise WeightsError(f"{target} exists; give another name or --overwrite")
    with training_extra("quantizing", extra="quantize"):
        from mafdn.release.int8_gate import quantize
    with progress("measuring", quiet=quiet or as_json) as tick:
        made = quantize(network, target, calibration=calibration, benches=bench, on_progress=tick)
    loss = made.loss
    if as_json:
        show_json({"target": None if loss.reason else target} | asdict(loss))
    else:
        _show(target, made.scores, loss)
    if loss.reason:
        raise WeightsError(f"int8 loses {loss.reason}: {target} was not written")


def _show(target: Path, scores: "tuple[SetScore, ...]", loss: "Loss") -> None:
    rows = [
        [float32.bench, f"{float32.psnr:.3f}", f"{int8.psnr:.3f}", f"{loss.sets[float32.bench]:.3f}"]
        for float32, int8 in zip(scores[::2], scores[1::2], strict=True)
    ]
    show_table(f"{target.name}, PSNR in dB", ["bench set", "fp32", "int8", "lost"], rows)
    typer.echo(f"lost in the mean {loss.mean:.3f}, at most {loss.worst_loss:.3f} on {loss.worst}")
