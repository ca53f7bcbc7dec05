"""The nodes; ComfyUI's IMAGE is a tensor (B, H, W, C) float32 in [0, 1]."""

from typing import Any, ClassVar

import torch

import mafdn
import mafdn.spandrel

NETWORKS = ("auto", "photo", "classic")
SCALES = (2, 3, 4)

mafdn.spandrel.install()


class MAFDNUpscale:
    """Upscale pictures with the shipped networks."""

    CATEGORY = "image/upscaling"
    FUNCTION = "upscale"
    RETURN_TYPES: ClassVar = ("IMAGE",)
    DESCRIPTION = "Upscale by 2, 3 or 4 with MAFDN, on the processor, in tiles without seams."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """The inputs as ComfyUI describes them."""
        return {
            "required": {
                "image": ("IMAGE",),
                "scale": (SCALES, {"default": 4}),
                "network": (NETWORKS, {"default": "auto", "tooltip": "photo: with JPEG artifacts; classic: clean"}),
            }
        }

    def upscale(self, image: torch.Tensor, scale: int, network: str) -> tuple[torch.Tensor]:
        """Upscale (B, H, W, C) to (B, scale*H, scale*W, C), both float32 in [0, 1]."""
        pictures = image.detach().cpu().float().clamp(0, 1).numpy()
        larger = [torch.from_numpy(mafdn.upscale(picture, scale=scale, network=network)) for picture in pictures]
        return (torch.stack(larger),)


NODE_CLASS_MAPPINGS = {"MAFDNUpscale": MAFDNUpscale}
NODE_DISPLAY_NAME_MAPPINGS = {"MAFDNUpscale": "Upscale Image (MAFDN)"}
