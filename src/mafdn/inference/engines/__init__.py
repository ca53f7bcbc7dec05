"""Engines that run a network, which maps (1, 3, H, W) to (1, 3, sH, sW).

Some files have a second input, `gates`, beside `lr`. If it is left at its default of NaN, the network computes its
channel gates from its input and outputs them too; otherwise it uses the gates passed in. The header of such a file has
an entry `stencil`, which also states how far tiles must overlap.
"""

from mafdn.inference.engines.base import GATES, HEADER, WEIGHTS_DIGEST, Batch, Engine, Gates, Stencil
from mafdn.inference.engines.precision import auto_precision
from mafdn.inference.engines.registry import (
    ENGINES,
    chosen_engine,
    describe,
    open_engine,
    preferred_engine,
    read_file_header,
    require_scale,
    resolve_model,
)
from mafdn.inference.options import ENGINE_NAMES, PRECISIONS

__all__ = [
    "ENGINES",
    "ENGINE_NAMES",
    "GATES",
    "HEADER",
    "PRECISIONS",
    "WEIGHTS_DIGEST",
    "Batch",
    "Engine",
    "Gates",
    "Stencil",
    "auto_precision",
    "chosen_engine",
    "describe",
    "open_engine",
    "preferred_engine",
    "read_file_header",
    "require_scale",
    "resolve_model",
]
