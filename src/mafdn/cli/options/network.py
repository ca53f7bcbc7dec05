"""The options for networks, benchmark datasets and outputs that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

NETWORK = (
    "classic (also: mafdn, auto), photo, x2, x3, x4, photo-x2, photo-x4, bicubic, lanczos, imdn, ddistill, afan, "
    "smfanet, a file (.onnx, .safetensors, .pth) or the folder of a training run."
)
BENCH = "Benchmark dataset: a folder of HR pictures, or one with HR/ (and LRbicx4/ or LR_bicubic/X4/); repeatable."

NetworkName = Annotated[str, typer.Option("--network", metavar="NAME", help=NETWORK)]
NetworkNames = Annotated[list[str] | None, typer.Option("--network", metavar="NAME", help=f"{NETWORK} Repeatable.")]
Benches = Annotated[list[Path], typer.Option("--bench", metavar="FOLDER", help=BENCH)]
OptionalBenches = Annotated[list[Path] | None, typer.Option("--bench", metavar="FOLDER", help=BENCH)]
Scales = Annotated[list[int] | None, typer.Option("--scale", "-s", min=2, max=4, help="2, 3 or 4; repeatable.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing output files.")]
MarkdownReport = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.md", help="Write a Markdown report, with its data beside it.")
]
Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="NAME",
        help="Network that the others are compared with, as for --network; differences are network - baseline.",
    ),
]
LrFolder = Annotated[
    str | None,
    typer.Option(
        "--lr",
        metavar="FOLDER|made",
        help="Folder of LR pictures (NAMEx4, NAME_x4 or NAME), or 'made' to make them by bicubic reduction "
        "(default: those of the dataset if it has any, else made).",
    ),
]
Degrade = Annotated[
    list[str] | None,
    typer.Option(
        "--degrade",
        metavar="SPEC",
        help="Degrade the LR pictures: jpeg:75, webp:75, noise:5, blur:0.6, several joined by + (blur:0.5+jpeg:80), "
        "camera, night, web, messenger, forwarded or old; none for no degradation. Repeatable.",
    ),
]
TableFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write one table over all datasets, a row per network: .md, .tex (LaTeX, booktabs), .csv or .json.",
    ),
]


def with_baseline(networks: list[str], baseline: str | None) -> list[str]:
    """`networks` with the baseline first, unless one of them is the baseline or has its name in tables."""
    names = {name for network in networks for name in (network, Path(network).stem, Path(network).name)}
    return networks if baseline is None or baseline in names else [baseline, *networks]


def lr_choice(text: str | None) -> Path | str | None:
    """The value of `--lr` as `mafdn.evaluation.layouts.LrChoice`; a folder named "made" is written ./made."""
    return text if text in (None, "made") else Path(text)
