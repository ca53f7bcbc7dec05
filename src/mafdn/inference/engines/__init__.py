"""Engines, which run a network that maps (1, 3, H, W) to (1, 3, sH, sW).

Some files hold two graphs in one. With an input `gates` beside `lr`, left to its default of NaN, such a file is an
ordinary network that also outputs the gates it used; given gates, it uses those instead of its own. Its header says
so (`stencil`), and how far tiles must overlap.
"""

from mafdn.inference.engines.base import GATES, HEADER, Batch, Engine, FullRangeError, Gates, Stencil
from mafdn.inference.engines.registry import (
    ENGINES,
    auto_precision,
    chosen_engine,
    describe,
    open_engine,
    preferred_engine,
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
    "Batch",
    "Engine",
    "FullRangeError",
    "Gates",
    "Stencil",
    "auto_precision",
    "chosen_engine",
    "describe",
    "open_engine",
    "preferred_engine",
    "require_scale",
    "resolve_model",
]
