"""The options that choose what a network is run with, for every command that has them.

Public names: :data:`EngineName`, :data:`DeviceName`, :data:`Threads`, :data:`Precision`.
"""

from typing import Annotated

import typer

from mafdn._support.validate import MOST_THREADS

EngineName = Annotated[
    str, typer.Option("--engine", help="auto (the fastest here, measured once), openvino, onnxruntime or torch.")
]
DeviceName = Annotated[
    str, typer.Option("--device", help="auto, or what the engine has: cpu, gpu, npu, cuda, directml, coreml, mps.")
]
Threads = Annotated[
    int | None, typer.Option("--threads", help="Cores to use; all when not given.", min=1, max=MOST_THREADS)
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="fp32; int8 (about twice as fast, within 0.05 dB of it), bf16 or fp16 where machine and network have it; "
        "auto (int8 where it is much faster, else fp32).",
    ),
]
