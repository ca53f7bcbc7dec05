"""``mafdn quantize``."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn.cli.output import Json, Quiet, progress, show_json, show_table
from mafdn.cli.training_extra import training_extra

if TYPE_CHECKING:
    from mafdn.evaluation.bench import SetScore
    from mafdn.evaluation.int8 import Loss


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

    Written only if int8 loses at most 0.05 dB in the mean over all sets and at most 0.2 dB on any picture. Where
    OUTPUT lies beside docs/results, the measurement is stored there and the figures of docs are renewed.

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
    scores, loss = quantize_and_judge(network, target, calibration=calibration, bench=bench, quiet=quiet or as_json)
    if as_json:
        show_json({"target": None if loss.reason else target} | asdict(loss))
    else:
        _show(target, scores, loss)
    if loss.reason:
        raise WeightsError(f"int8 loses {loss.reason}: {target} was not written")


def quantize_and_judge(
    network: Path, target: Path, *, calibration: Path, bench: list[Path], quiet: bool
) -> "tuple[list[SetScore], Loss]":
    """Quantize and measure; ``target`` becomes the result if its loss gives no reason against it.

    What was measured is stored where ``target`` lies beside docs/results. Raises :class:`MafdnError`.
    """
    with training_extra("quantizing", extra="quantize"):
        from mafdn.quantize import calibration_crops, quantize_onnx, read_source_header
    from mafdn.data.bank import open_bank
    from mafdn.evaluation.bench import bench_files
    from mafdn.evaluation.documents import RESULTS, refresh
    from mafdn.evaluation.int8 import judge, measure_loss, store_loss

    for folder in bench:
        bench_files(folder)  # a missing set is told before any work
    scale = int(read_source_header(network)["settings"]["scale"])
    crops = calibration_crops(open_bank(calibration), scale=scale)
    project = target.resolve().parent.parent
    with tempfile.TemporaryDirectory(prefix=".quantize-", dir=target.resolve().parent) as folder:
        candidate = Path(folder) / target.name
        quantize_onnx(network, candidate, crops)
        with progress("measuring", quiet=quiet) as on_progress:
            scores = measure_loss(network, candidate, bench, scale=scale, on_progress=on_progress)
        loss = judge(scores)
        if target.parent.name == "weights" and (project / RESULTS).is_dir():
            store_loss(project, candidate, scores)
            refresh(project)
        if not loss.reason:
            candidate.replace(target)
    return scores, loss


def _show(target: Path, scores: "list[SetScore]", loss: "Loss") -> None:
    rows = [
        [float32.bench, f"{float32.psnr:.3f}", f"{int8.psnr:.3f}", f"{loss.sets[float32.bench]:.3f}"]
        for float32, int8 in zip(scores[::2], scores[1::2], strict=True)
    ]
    show_table(f"{target.name}, PSNR in dB", ["bench set", "fp32", "int8", "lost"], rows)
    typer.echo(f"lost in the mean {loss.mean:.3f}, at most {loss.worst_loss:.3f} on {loss.worst}")
