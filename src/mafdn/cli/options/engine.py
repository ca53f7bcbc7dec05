"""The command line options that choose a network and how it is run."""

from typing import Annotated

import typer

from mafdn._support.validate import MOST_THREADS
from mafdn.cli.options.values import option_text

ENGINE, NETWORK = "Engine", "Network"
"""Groups of these options on help pages."""
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help="openvino, onnxruntime, torch, or auto (the fastest on this machine, measured once).",
        rich_help_panel=ENGINE,
    ),
]
DeviceName = Annotated[
    str,
    typer.Option(
        "--device",
        help="A device of the engine: cpu, gpu, npu, cuda, directml, coreml, mps, or auto.",
        rich_help_panel=ENGINE,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", help="Number of cores to use (default: all).", min=1, max=MOST_THREADS, rich_help_panel=ENGINE
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="auto (for 8-bit pictures the fastest that was measured to differ hardly from fp32, else fp32); fp32, "
        "which is exact; int8 (1.5 to 2 times as fast, loses up to 0.05 dB); bf16 or fp16 if the machine supports it.",
        rich_help_panel=ENGINE,
    ),
]
NetworkFile = Annotated[
    str,
    typer.Option(
        "--network",
        parser=option_text,
        metavar="NETWORK",
        help="auto (the shipped weights that suit each picture: photo for JPEG artifacts, classic for clean "
        "pictures), photo, classic, x2, x3, x4, photo-x2, photo-x4, an .onnx, .safetensors or .pth file, or the "
        "folder of a training run.",
        rich_help_panel=NETWORK,
    ),
]
DefaultNetwork = Annotated[
    str,
    typer.Option(
        "--network",
        metavar="NETWORK",
        help="Network unless a request names a shipped one; as for mafdn upscale.",
        rich_help_panel=NETWORK,
    ),
]
Strength = Annotated[
    float,
    typer.Option(
        "--strength", help="Share of the network; the rest is Lanczos.", min=0, max=1, rich_help_panel=NETWORK
    ),
]
Tile = Annotated[
    int | None,
    typer.Option(
        "--tile",
        help="Tile side in input pixels; smaller tiles use less memory (default: 512).",
        min=96,
        rich_help_panel=NETWORK,
    ),
]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Overlap tiles by the full receptive field instead of the measured halo (slower).",
        rich_help_panel=NETWORK,
    ),
]
Ensemble = Annotated[
    int,
    typer.Option(
        "--ensemble",
        metavar="1|8",
        help="8 averages the network's results on eight orientations: a little better, about 8 times slower.",
        show_default=False,
        rich_help_panel=NETWORK,
    ),
]
