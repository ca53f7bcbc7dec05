"""Run networks on arrays: engines, channel gates and tiles.

No picture files are read or written here. torch is one of the engines and is only imported when it is used.
"""

from mafdn.inference.engines import (
    ENGINES,
    Engine,
    Stencil,
    open_engine,
    preferred_engine,
    require_scale,
)
from mafdn.inference.ensemble import ensembled
from mafdn.inference.options import EngineOptions
from mafdn.inference.upscale import upscale, upscale_rows

__all__ = [
    "ENGINES",
    "Engine",
    "EngineOptions",
    "Stencil",
    "ensembled",
    "open_engine",
    "preferred_engine",
    "require_scale",
    "upscale",
    "upscale_rows",
]
