"""The options for networks, benchmark datasets and outputs that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

NETWORK = (
    "auto, mafdn, x2, x3, x4, bicubic, lanczos, imdn, ddistill, afan, smfanet, a file (.onnx, .safetensors, .pth) or "
    "the folder of a training run."
)
BENCH = "Benchmark dataset: a folder of HR pictures, or one with HR/ (and LRbicx4/); repeatable."

NetworkName = Annotated[str, typer.Option("--network", metavar="NAME", help=NETWORK)]
NetworkNames = Annotated[list[str] | None, typer.Option("--network", metavar="NAME", help=f"{NETWORK} Repeatable.")]
Benches = Annotated[list[Path], typer.Option("--bench", metavar="FOLDER", help=BENCH)]
OptionalBenches = Annotated[list[Path] | None, typer.Option("--bench", metavar="FOLDER", help=BENCH)]
Scales = Annotated[list[int] | None, typer.Option("--scale", "-s", min=2, max=4, help="2, 3 or 4; repeatable.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output file.")]
MarkdownReport = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.md", help="Write a Markdown report, with its data beside it.")
]
