"""``mafdn evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn.cli.output import Json, Scale, progress, show_json, show_table

if TYPE_CHECKING:
    from mafdn.evaluation.bench import SetScore


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
    as_json: Json = False,
) -> None:
    """Measure PSNR and SSIM of networks on bench sets, beside bicubic.

    Protocol: 8-bit results, BT.601 luma, `scale` pixels of border left out. The LR pictures are the set's own
    where it has them, else made as MATLAB's imresize makes them.

    \b
    Examples:
      mafdn evaluate --bench Set5 --scale 4
      mafdn evaluate --bench Set5 --bench Set14 --network mine.safetensors --json
      mafdn evaluate --bench Set5 --network mafdn --network lanczos --network IMDN_x4.pth
    """
    from mafdn.evaluation.bench import bench_files, measure
    from mafdn.evaluation.documents import score_entry
    from mafdn.evaluation.networks import ZERO_LINES, open_method

    for folder in bench:
        bench_files(folder)  # a missing set is told before any work
    methods = {"bicubic": ZERO_LINES["bicubic"](scale)}
    for given in network or ["mafdn"]:
        if given not in methods:
            name, method = open_method(given, scale=scale)
            methods[given if name in methods else name] = method
    scores: list[SetScore] = []
    for folder in bench:
        with progress(folder.name, quiet=as_json) as tick:
            scores += measure(methods, folder, scale=scale, on_progress=tick)
    if as_json:
        show_json([score_entry(score) for score in scores])
        return
    for start in range(0, len(scores), len(methods)):
        _show(scores[start : start + len(methods)])


def _show(scores: "list[SetScore]") -> None:
    """One table for one set: a row per picture, two columns per network."""
    columns = ["picture"]
    for score in scores:
        columns += [f"{score.network} dB", "SSIM"]
    rows = [
        [group[0].name, *(text for p in group for text in (f"{p.psnr:.2f}", f"{p.ssim:.4f}"))]
        for group in zip(*(score.pictures for score in scores), strict=True)
    ]
    rows.append(["mean", *(text for s in scores for text in (f"{s.psnr:.2f}", f"{s.ssim:.4f}"))])
    show_table(f"{scores[0].bench} x{scores[0].scale}, luma", columns, rows, total=True)
