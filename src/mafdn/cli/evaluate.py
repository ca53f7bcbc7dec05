"""``mafdn evaluate``."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn.cli.engine_options import DeviceName, EngineName, Precision, Threads
from mafdn.cli.output import Json, Scale, progress, show_json, show_table
from mafdn.cli.training_extra import training_extra

if TYPE_CHECKING:
    from mafdn.evaluation.benchset import Protocol, SetScore
    from mafdn.evaluation.paired import Difference, Interval


def evaluate_command(
    bench: Annotated[
        list[Path],
        typer.Option("--bench", help="A folder of HR pictures, or one with HR/ (and LRbicx4/); may be repeated."),
    ],
    scale: Scale = 4,
    network: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            help="mafdn (the shipped weights), lanczos, or a .safetensors, .pth or .onnx file; may be repeated.",
        ),
    ] = None,
    lr: Annotated[
        Path | None, typer.Option("--lr", metavar="FOLDER", help="LR pictures of the set: NAMEx4 or NAME, any format.")
    ] = None,
    rgb: Annotated[bool, typer.Option("--rgb", help="Measure over the three channels instead of on luma.")] = False,
    self_ensemble: Annotated[
        bool, typer.Option("--self-ensemble", help='Mean over eight flips and turns, the "+" of the literature.')
    ] = False,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Also write every score here.")] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FOLDER", help="Save all results as NETWORK/SET/x4/PICTURE.png."),
    ] = None,
    strip: Annotated[
        Path | None,
        typer.Option("--strip", metavar="FILE", help="Draw crops of the best and worst pictures, side by side (PNG)."),
    ] = None,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    threads: Threads = None,
    precision: Precision = "fp32",
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Measure anew what was measured before.")] = False,
    as_json: Json = False,
) -> None:
    """Measure PSNR and SSIM of networks on bench sets, beside bicubic.

    Protocol: 8-bit results, BT.601 luma, `scale` pixels of border left out. The LR pictures are the set's own
    where it has them, else made as MATLAB's imresize makes them. Networks are compared picture by picture, the others
    with the first, one alone with bicubic; the interval is the bootstrap's over pictures. Scores are kept in the
    user's cache folder (or MAFDN_CACHE) by weights, set and protocol. With --engine auto ONNX files are measured in the
    first engine that is installed, on the CPU, whatever is fastest; weights files always in torch.

    \b
    Examples:
      mafdn evaluate --bench Set5 --scale 4
      mafdn evaluate --bench Set5 --bench Set14 --network mine.safetensors --json
      mafdn evaluate --bench Set5 --network IMDN_x4.pth --network mafdn --strip strip.png --csv scores.csv
      mafdn evaluate --bench Set5/HR --lr Set5/camera --network mine.onnx --self-ensemble --rgb
    """
    from mafdn.errors import UsageError
    from mafdn.evaluation.benchset import Protocol
    from mafdn.evaluation.methods import Means
    from mafdn.evaluation.outputs import ResultFolder, check_target, report, write_csv
    from mafdn.evaluation.paired import differences
    from mafdn.evaluation.scoring import evaluate, named
    from mafdn.inference import require_engine, require_precision

    protocol = Protocol(scale=scale, channels="rgb" if rgb else "luma", self_ensemble=self_ensemble)
    require_engine(engine)
    require_precision(precision)
    means = Means(
        engine="" if engine == "auto" else engine,
        device="cpu" if device == "auto" else device,
        threads=threads,
        precision=precision,
    )
    if strip and replace(means, threads=None) != Means():
        raise UsageError("--strip draws what fp32 gives in the first engine; leave --engine, --device, --precision out")
    given = list(dict.fromkeys(network or ["mafdn"]))
    names = {asked: name for name, asked in named(["bicubic", *given], protocol).items()}
    reference, *others = [names[asked] for asked in (given if len(given) > 1 else ["bicubic", *given])]
    others = [name for name in others if name != reference]
    for target, suffix in ((csv, ".csv"), (strip, ".png")):
        if target:
            check_target(target, suffix)
    if strip and not others:
        raise UsageError("--strip compares networks: give one besides bicubic")
    draw = _strip_drawer() if strip else None
    notes: list[str] = []
    with progress("measuring", quiet=as_json) as tick:
        scores = evaluate(
            list(names),
            bench,
            protocol,
            means=means,
            lr=lr,
            fresh=no_cache,
            on_progress=tick,
            on_note=notes.append,
            on_result=ResultFolder(save, protocol).save if save else None,
        )
    compared = differences(scores, reference=reference, networks=others)
    if csv:
        write_csv(csv, protocol, scores)
    if strip and draw:
        draw(scores, list(names), bench, protocol, strip, reference=reference, network=others[-1], lr=lr)
    if as_json:
        show_json(report(protocol, scores, compared, notes) | {"means": asdict(means)})
        return
    for start in range(0, len(scores), len(names)):
        _show_set(scores[start : start + len(names)], protocol)
    if compared:
        _show_differences(compared)
    for path in filter(None, (csv, strip, save)):
        typer.echo(str(path))
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def _strip_drawer() -> "Callable[..., None]":
    """What draws strips; a missing matplotlib is told before any work."""
    with training_extra("--strip"):
        from mafdn.evaluation.extremes import draw_extremes
    return draw_extremes


def _show_set(scores: "Sequence[SetScore]", protocol: "Protocol") -> None:
    """One table for one set: a row per picture, two columns per network."""
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


def _show_differences(compared: "Sequence[Difference]") -> None:
    """One table for all networks and sets."""
    rows = [
        [
            difference.network,
            difference.bench or "all sets",
            *_texts(difference.psnr, ".3f"),
            *_texts(difference.ssim, ".4f"),
            f"{difference.improved} of {difference.pictures}",
        ]
        for difference in compared
    ]
    columns = ["network", "set", "dB", "95 %", "SSIM", "95 %", "improved"]
    show_table(f"paired difference from {compared[0].reference}", columns, rows)
    left_out = [name for difference in compared if difference.bench for name in difference.left_out]
    if left_out:
        typer.echo(f"restored without error by one of two, and left out: {', '.join(dict.fromkeys(left_out))}")


def _texts(interval: "Interval | None", form: str) -> tuple[str, str]:
    if interval is None:
        return "-", "-"
    return f"{interval.mean:+{form}}", f"{interval.low:+{form}} to {interval.high:+{form}}"
