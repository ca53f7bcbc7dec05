"""Arrays in, arrays out: engines that run an exported network, gates and tiles. No torch, no picture files.

torch is an engine too, for those who ask for it by name; nothing here imports it before.
"""

from mafdn.inference.engines import (
    ENGINES,
    Engine,
    Stencil,
    open_engine,
    preferred_engine,
    require_engine,
    require_precision,
    require_scale,
)
from mafdn.inference.tiles import Tiling
from mafdn.inference.upscale import upscale, upscale_rows

__all__ = [
    "ENGINES",
    "Engine",
    "Stencil",
    "Tiling",
    "open_engine",
    "preferred_engine",
    "require_engine",
    "require_precision",
    "require_scale",
    "upscale",
    "upscale_rows",
]
