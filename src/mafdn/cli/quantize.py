"""`mafdn quantize`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn.cli.extras import needs_extra
from mafdn.cli.options.network import Benches, Overwrite
from mafdn.cli.output import Json, Quiet, keep_existing, output_file, progress, show_json, show_table

if TYPE_CHECKING:
    from mafdn.evaluation.benchset import SetScore
    from mafdn.release.int8_gate import Loss


def quantize_command(
    network: Annotated[
        Path, typer.Argument(metavar="ONNX", help="A MAFDN network written by 'mafdn export', or photo-x4.")
    ],
    *,
    calibration: Annotated[
        Path, typer.Option("--calibration", metavar="BANK", help="Training bank to use for calibration.")
    ],
    bench: Benches,
    target: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE_OR_FOLDER", help="Output file (default: NAME-int8.onnx)."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Quantize an exported network to int8, subject to a quality gate.

    The file is only written if int8 loses at most 0.05 dB on average over all datasets and at most 0.2 dB on any
    picture.

    \b
    Example:
      mafdn quantize weights/mafdn-x4.onnx --calibration runs/bank --bench Set5 --bench Set14 --bench B100
    """
    from mafdn.errors import UsageError, WeightsError
    from mafdn.weights.resolve import resolve

    origin = resolve(network)
    shipped = None if origin.path else origin.file()
    default = Path(f"{shipped.stem}-int8.onnx") if shipped else network.with_name(f"{network.stem}-int8.onnx")
    network, target = shipped or network, output_file(target, default)
    if target.suffix != ".onnx" or target.resolve() == network.resolve():
        raise UsageError(f"{target} cannot be the int8 file: use an .onnx file other than {network}")
    keep_existing(target, overwrite=overwrite)
    with needs_extra("quantizing", extra="quantize"):
        from mafdn.release.int8_gate import quantize
    with progress("measuring", quiet=quiet or as_json) as tick:
        quantized = quantize(network, target, calibration=calibration, benches=bench, on_progress=tick)
    loss = quantized.loss
    if as_json:
        show_json({"target": None if loss.reason else target} | asdict(loss))
    else:
        _show(target, quantized.scores, loss)
    if loss.reason:
        raise WeightsError(f"int8 loses {loss.reason}: {target} was not written")


def _show(target: Path, scores: "tuple[SetScore, ...]", loss: "Loss") -> None:
    rows = [
        [float32.bench, f"{float32.psnr:.3f}", f"{int8.psnr:.3f}", f"{loss.sets[float32.bench]:.3f}"]
        for float32, int8 in zip(scores[::2], scores[1::2], strict=True)
    ]
    show_table(f"{target.name}, PSNR in dB", ["dataset", "fp32", "int8", "loss"], rows)
    typer.echo(f"loss: {loss.mean:.3f} on average, at most {loss.worst_loss:.3f} on {loss.worst}")
