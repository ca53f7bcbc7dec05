"""MAFDN in ComfyUI: copy or link this folder into `custom_nodes`, and install the package where ComfyUI runs.

    pip install "mafdn[spandrel]"

The node "Upscale Image (MAFDN)" upscales with the shipped weights in exact tiles. Beside it, ComfyUI's own "Load
Upscale Model" reads weights files of MAFDN from `models/upscale_models`.
"""

from .nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
