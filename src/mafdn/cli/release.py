"""``mafdn release``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn.cli.output import Json, show_json, show_table
from mafdn.cli.training_extra import training_extra

if TYPE_CHECKING:
    from mafdn.evaluation.bench import SetScore
    from mafdn.training.release import Measured, Outcome


def release_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    bench: Annotated[
        list[Path] | None,
        typer.Option("--bench", help="A bench set to measure with; by default those of data.exclude."),
    ] = None,
    scale: Annotated[
        int | None, typer.Option("--scale", "-s", min=2, max=4, help="The scale the run must be of.")
    ] = None,
    weights: Annotated[Path, typer.Option("--weights", help="The folder of the weights that ship.")] = Path("weights"),
    as_json: Json = False,
) -> None:
    """Ship a run's averaged weights if they measure better than those that ship now.

    The average is folded, exported and measured; when the mean PSNR over all bench sets is higher (or nothing
    ships yet) and every picture beats bicubic, WEIGHTS/mafdn-x4.safetensors with its card and its ONNX file
    are replaced. Where WEIGHTS lies beside docs/results, the stored scores and log and the figures of
    README and docs are renewed too. The int8 file is made anew as 'mafdn quantize' makes it, or removed.

    \b
    Example:
      mafdn release runs/x4 --scale 4
      mafdn release runs/x4 --bench Set5 --bench Set14 --bench B100
    """
    with training_extra("releasing"):
        from mafdn.training.release import bench_sets, release
    from mafdn.errors import UsageError
    from mafdn.evaluation.bench import bench_files, bench_name

    bench = bench or bench_sets(run)
    for folder in bench:
        bench_files(folder)  # a missing set is told before any work
    if len({bench_name(folder) for folder in bench}) < len(bench):
        raise UsageError("two of the bench sets have one name; a card can hold only one of them")
    last: list[SetScore] = []

    def score(path: Path, scale: int) -> "Measured":
        last[:] = _measure(path, bench, scale=scale)
        return _measured(last)

    outcome = release(run, weights, scale=scale, score=score)
    if outcome.released or outcome.scores == outcome.before:  # a release that was cut short is told of now
        _renew_documents(run, outcome.target, last)
        _renew_int8(run, outcome.target, bench)
    if as_json:
        show_json(asdict(outcome))
    else:
        _show(outcome)


def _measure(path: Path, bench: list[Path], *, scale: int) -> "list[SetScore]":
    """Bicubic's and the network's scores on every set, in turns."""
    from mafdn.evaluation.bench import Protocol, bicubic, measure
    from mafdn.evaluation.networks import open_method

    methods = {"bicubic": bicubic(scale)} | dict([open_method(str(path), scale=scale)])
    return [score for folder in bench for score in measure(methods, folder, Protocol(scale=scale))]


def _measured(scores: "list[SetScore]") -> "Measured":
    from mafdn.training.release import Measured

    pairs = list(zip(scores[::2], scores[1::2], strict=True))
    return Measured(
        scores={ours.bench: {"psnr": ours.psnr, "ssim": ours.ssim} for _, ours in pairs},
        behind_bicubic=tuple(
            f"{ours.bench}/{picture.name}"
            for bicubic, ours in pairs
            for zero, picture in zip(bicubic.pictures, ours.pictures, strict=True)
            if not picture.psnr > zero.psnr
        ),
    )


def _renew_documents(run: Path, target: Path, scores: "list[SetScore]") -> None:
    from mafdn.evaluation.documents import RESULTS, refresh, store_scores
    from mafdn.training.journal import LOG
    from mafdn.training.plot import plot_runs

    project = target.resolve().parents[1]
    if not (project / RESULTS).is_dir():
        return
    store_scores(project, scores, scale=scores[0].scale)
    log = project / RESULTS / f"train-x{scores[0].scale}.jsonl"
    log.write_bytes((run / LOG).read_bytes())
    plot_runs([log], project / "docs" / f"training-x{scores[0].scale}.png")
    refresh(project)


def _renew_int8(run: Path, target: Path, bench: list[Path]) -> None:
    """Quantize what ships now on the run's own bank; an int8 file of other weights does not stay."""
    from mafdn.cli.quantize import quantize_and_judge
    from mafdn.errors import MafdnError
    from mafdn.inference.engines.files import has_int8, int8_file
    from mafdn.training.release import calibration_bank

    network = target.with_suffix(".onnx")
    int8 = int8_file(network)
    if has_int8(network):
        return
    int8.unlink(missing_ok=True)
    try:
        _, loss = quantize_and_judge(network, int8, calibration=calibration_bank(run), bench=bench, quiet=False)
        note = f"int8 loses {loss.reason}" if loss.reason else ""
    except MafdnError as error:
        note = str(error)
        _forget_int8(target)
    if note:
        typer.echo(f"{int8.name} does not ship: {note}", err=True)


def _forget_int8(target: Path) -> None:
    """Take away what was measured of an int8 file that is no more."""
    from mafdn.evaluation.documents import RESULTS, refresh

    project = target.resolve().parent.parent
    stored = project / RESULTS / f"int8-{target.stem.rpartition('-')[2]}.json"
    if stored.is_file():
        stored.unlink()
        refresh(project)


def _show(outcome: "Outcome") -> None:
    rows = [
        [name, f"{score['psnr']:.3f}", f"{outcome.before[name]['psnr']:.3f}" if name in outcome.before else "-"]
        for name, score in outcome.scores.items()
    ]
    held_out = (outcome.validation, outcome.validation_before)
    rows.append(["held-out pictures", *("-" if psnr is None else f"{psnr:.3f}" for psnr in held_out)])
    show_table(f"{outcome.target.name}, PSNR in dB", ["bench set", "this run", "ships now"], rows, total=True)
    typer.echo(f"{'released' if outcome.released else 'kept what ships'}: {outcome.reason}")
