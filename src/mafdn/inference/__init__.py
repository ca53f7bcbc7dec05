"""Arrays in, arrays out: engines that run an exported network, and tiling. No torch, no picture files."""

from mafdn.inference.engines import ENGINES, Engine, open_engine, require_scale
from mafdn.inference.tiles import Tiling
from mafdn.inference.upscale import upscale

__all__ = ["ENGINES", "Engine", "Tiling", "open_engine", "require_scale", "upscale"]
