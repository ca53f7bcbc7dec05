"""The command line options that choose how a network is run."""

from typing import Annotated

import typer

from mafdn._support.validate import MOST_THREADS

ENGINE = "Engine"
"""Group of these options on help pages."""
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
        help="fp32; int8 (about twice as fast, loses up to 0.05 dB); bf16 or fp16 if the machine and the network "
        "support it; auto (int8 where it is much faster, else fp32).",
        rich_help_panel=ENGINE,
    ),
]
