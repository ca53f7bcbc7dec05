"""Arrays in, arrays out: engines that run an exported network, gates and tiles. No torch, no picture files."""

from mafdn.inference.engines import ENGINES, Engine, Stencil, open_engine, require_engine, require_scale
from mafdn.inference.tiles import Tiling
from mafdn.inference.upscale import upscale, upscale_rows

__all__ = [
    "ENGINES",
    "Engine",
    "Stencil",
    "Tiling",
    "open_engine",
    "require_engine",
    "require_scale",
    "upscale",
    "upscale_rows",
]
