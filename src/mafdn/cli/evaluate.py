"""`mafdn evaluate`."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn.cli.extras import needs_extra
from mafdn.cli.options.engine import DeviceName, EngineName, Precision, Threads
from mafdn.cli.options.network import (
    Baseline,
    Benches,
    Degrade,
    LrFolder,
    NetworkNames,
    Overwrite,
    TableFile,
    lr_choice,
    with_baseline,
)
from mafdn.cli.output import Json, Scale, progress, show_json, show_table

if TYPE_CHECKING:
    from mafdn.evaluation.benchset import Protocol, SetScore
    from mafdn.evaluation.paired import Difference


def evaluate_command(
    bench: Benches,
    scale: Scale = 4,
    network: NetworkNames = None,
    baseline: Baseline = None,
    lr: LrFolder = None,
    degrade: Degrade = None,
    rgb: Annotated[bool, typer.Option("--rgb", help="Measure on RGB instead of luma.")] = False,
    ensemble: Annotated[
        int,
        typer.Option(
            "--ensemble",
            metavar="1|8",
            help='8 averages over eight orientations, marked "+" in papers.',
            show_default=False,
        ),
    ] = 1,
    self_ensemble: Annotated[
        bool, typer.Option("--self-ensemble", hidden=True, help="The same as --ensemble 8; kept for scripts.")
    ] = False,
    output: TableFile = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the scores of every picture to a CSV file.")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FOLDER", help="Save all upscaled pictures as NETWORK/SET/x4/PICTURE.png."),
    ] = None,
    strip: Annotated[
        Path | None,
        typer.Option("--strip", metavar="FILE", help="Draw crops where the last network does best and worst (PNG)."),
    ] = None,
    crop: Annotated[
        list[str] | None,
        typer.Option(
            "--crop",
            metavar="[PICTURE:]X,Y,W,H",
            help="What --strip shows, in HR pixels: of all its pictures, or of this one (repeatable).",
        ),
    ] = None,
    overwrite: Overwrite = False,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    threads: Threads = None,
    precision: Precision = "fp32",
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Ignore cached scores.")] = False,
    as_json: Json = False,
) -> None:
    """Measure PSNR and SSIM of networks on benchmark datasets.

    The default network is mafdn; bicubic is always measured too. Protocol: 8-bit results, BT.601 luma, a crop border of
    as many pixels as the scale. Luma is not rounded (with MATLAB's rounded luma, PSNR is up to 0.03 dB lower for
    bicubic). Pictures are upscaled whole; only those of more than 4,000,000 LR pixels in tiles, by networks whose
    channel gates can be held, with gates sampled from the picture, as a note says. The LR pictures are those of the
    dataset if it has them in a common layout (SET/LRbicx4, SET/LR_bicubic/X4, SET/LR, SET_LR/x4, SET_LR_bicubic/X4
    beside SET_HR, image_SRF_4). Otherwise they are made by downscaling as MATLAB's imresize does. The tables say which
    were used. With --degrade they are degraded first, from left to right: jpeg:QUALITY (jpeg:75:444 for another chroma
    subsampling than 4:2:0), webp:QUALITY, noise:SIGMA (as of a sensor; noise:5:white is the same everywhere),
    blur:SIGMA; the same picture always gets the same noise. Every dataset is measured with each --degrade. Networks are
    compared picture by picture with the baseline: the first network, or bicubic if there is only one. Differences are
    network - baseline: positive is better. The 95 % intervals are t intervals over pictures, not over training seeds.
    Scores are cached by weights, dataset and protocol in the user's cache folder (or MAFDN_CACHE). With --engine auto,
    ONNX files are measured in the first installed engine on the CPU, not in the fastest; weights files and runs are
    always measured in torch.

    \b
    Examples:
      mafdn evaluate --bench Set5 --scale 4
      mafdn evaluate --bench Set5 --bench Set14 --network mine.safetensors --json
      mafdn evaluate --bench Set5 --bench Set14 --network IMDN_x4.pth --network runs/x4 -o table.tex
      mafdn evaluate --bench Set5 --network IMDN_x4.pth --network mafdn --strip strip.png --crop baby:100,80,64,64
      mafdn evaluate --bench B100 --degrade none --degrade jpeg:75 --degrade noise:3+jpeg:85 --network lanczos
      mafdn evaluate --bench Set5/HR --lr Set5/camera --network runs/x4 --ensemble 8 --rgb --csv scores.csv
    """
    from mafdn.degradation.chain import parse_degradations
    from mafdn.errors import UsageError
    from mafdn.evaluation.benchset import Protocol
    from mafdn.evaluation.outputs import ResultFolder, check_folder, check_target, report, write_csv
    from mafdn.evaluation.paired import differences
    from mafdn.evaluation.scoring import evaluate, label_networks
    from mafdn.evaluation.summary.formats import FORMATS, plain_cells, write_summary
    from mafdn.evaluation.summary.rows import Summary, hr_pictures, lr_pictures, network_rows
    from mafdn.evaluation.summary.rows import as_json as summary_as_json
    from mafdn.inference import EngineOptions
    from mafdn.inference.ensemble import as_ensemble
    from mafdn.inference.options import EXACT

    averaged = self_ensemble or as_ensemble(ensemble) > 1
    protocol = Protocol(scale=scale, channels="rgb" if rgb else "luma", self_ensemble=averaged)
    options = EngineOptions(engine=engine, device=device, threads=threads, precision=precision)
    if strip and replace(options, threads=None) != EXACT:
        raise UsageError("--strip draws fp32 results of the default engine; remove --engine, --device and --precision")
    steps = parse_degradations(degrade or [])
    if crop and not strip:
        raise UsageError("--crop chooses what --strip shows; add --strip FILE.png")
    named = list(dict.fromkeys(network or ["mafdn"]))
    networks = list(dict.fromkeys(with_baseline(["bicubic", *named], baseline)))
    networks.sort(key=lambda name: name != "bicubic")  # always in the first column
    by_label = label_networks(networks, protocol)
    labels = {name: label for label, name in by_label.items()}
    against = baseline or (named[0] if len(named) > 1 else "bicubic")
    reference = labels.get(against, against)
    if reference not in by_label:
        raise UsageError(f"--baseline {against} is not one of the networks: {', '.join(by_label)}")
    others = [labels[name] for name in named if labels[name] != reference]
    for target, endings in ((output, tuple(FORMATS)), (csv, (".csv",)), (strip, (".png",))):
        if target:
            check_target(target, *endings, overwrite=overwrite)
    if save:
        check_folder(save, overwrite=overwrite)
    if strip and not others:
        raise UsageError("--strip compares networks: name one other than the baseline")
    draw = _strip_drawer(crop or []) if strip else None
    notes: list[str] = []
    with progress("measuring", quiet=as_json) as tick:
        scores = evaluate(
            networks,
            bench,
            protocol,
            options=options,
            lr=lr_choice(lr),
            degrade=steps,
            fresh=no_cache,
            on_progress=tick,
            on_note=notes.append,
            on_result=ResultFolder(save, protocol).save if save else None,
        )
    compared = differences(scores, reference=reference, networks=others)
    summary = Summary(
        rows=network_rows(by_label, scores, protocol, options),
        channels=protocol.channels,
        baseline={scale: reference},
        differences={scale: compared},
        lr={scale: lr_pictures(scores)},
        hr_sha256={scale: hr_pictures(scores)},
        notes=notes,
    )
    if output:
        write_summary(output, summary)
    if csv:
        write_csv(csv, protocol, scores)
    if strip and draw:
        choices = {"reference": reference, "network": others[-1], "lr": lr_choice(lr), "degrade": steps}
        draw(scores, networks, bench, protocol, strip, **choices)
    if as_json:
        found = summary_as_json(summary)
        measured = report(protocol, scores, compared, notes) | {"engine_options": asdict(options)}
        show_json(measured | {"baseline": reference, "networks": found["rows"], "versions": found["versions"]})
        return
    for start in range(0, len(scores), len(labels)):
        _show_set(scores[start : start + len(labels)], protocol)
    if len(bench) * len(steps) > 1:
        show_table("all datasets, PSNR in dB / SSIM, Multi-Adds for a 1280x720 output", *plain_cells(summary))
    if compared:
        _show_differences(compared)
    for path in filter(None, (output, csv, strip, save)):
        typer.echo(str(path))
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def _strip_drawer(crops: list[str]) -> "Callable[..., None]":
    """The function that draws strips, imported before any work, so that a missing matplotlib is reported early."""
    with needs_extra("--strip", extra="train"):
        from mafdn.evaluation.strips.crops import parse_crops
        from mafdn.evaluation.strips.extremes import draw_extremes
    return partial(draw_extremes, crops=parse_crops(crops))


def _show_set(scores: "Sequence[SetScore]", protocol: "Protocol") -> None:
    """Print the table of one dataset: a row per picture, two columns per network."""
    columns = ["picture"]
    for score in scores:
        columns += [f"{score.network} dB", "SSIM"]
    rows = [
        [group[0].name, *(text for p in group for text in (f"{p.psnr:.2f}", f"{p.ssim:.4f}"))]
        for group in zip(*(score.pictures for score in scores), strict=True)
    ]
    rows.append(["mean", *(text for s in scores for text in (f"{s.psnr:.2f}", f"{s.ssim:.4f}"))])
    channels = "luma" if protocol.channels == "luma" else "RGB"
    show_table(f"{scores[0].bench} x{scores[0].scale}, {channels}", columns, rows, total=True)
    if scores[0].lr:
        typer.echo(f"{scores[0].bench} x{scores[0].scale}: {scores[0].lr}")


def _show_differences(compared: "Sequence[Difference]") -> None:
    """Print one table for all networks and datasets."""
    rows = [
        [
            difference.network,
            difference.title,
            difference.psnr.text(".3f") if difference.psnr else "-",
            difference.ssim.text(".4f") if difference.ssim else "-",
            f"{difference.improved} of {difference.pictures}",
        ]
        for difference in compared
    ]
    columns = ["network", "dataset", "dB [95 %]", "SSIM [95 %]", "improved"]
    title = (
        f"paired difference from {compared[0].reference}: network - baseline, positive is better; intervals are over "
        "pictures, not over training seeds"
    )
    show_table(title, columns, rows)
    left_out = [name for difference in compared if difference.bench for name in difference.left_out]
    if left_out:
        typer.echo(
            f"excluded, as one of the two networks restored them perfectly: {', '.join(dict.fromkeys(left_out))}"
        )
