"""PyTorch modules and functions as methods to be measured."""

import sys
from typing import Any, cast

import numpy as np

from mafdn.errors import UsageError
from mafdn.evaluation.benchset import Method, Pixels, Protocol
from mafdn.evaluation.methods import WHOLE_TILE
from mafdn.evaluation.quality import as_pictures
from mafdn.inference import Stencil, ensembled, upscale
from mafdn.inference.engines import Batch
from mafdn.inference.exact import exact_float32


def function_method(function: Any, protocol: Protocol, *, name: str) -> Method:
    """A method that calls a module or a function.

    Args:
        function: A `torch.nn.Module` that maps (1, 3, H, W) in [0, 1] to (1, 3, sH, sW), or a function that maps an
            (H, W, 3) uint8 array to a picture in a form that `mafdn.psnr` takes.
        protocol: What is measured; only modules have a self-ensemble.
        name: Its name in messages.

    Raises:
        UsageError: It is neither, or a function with self-ensemble.
    """
    if is_module(function):
        engine = ModuleEngine(function, scale=protocol.scale, name=name)
        chosen = ensembled(engine) if protocol.self_ensemble else engine
        return lambda lr: upscale(chosen, lr, tile=WHOLE_TILE)
    if not callable(function):
        raise UsageError(f"a network must be a name, a path, a module or a function, not a {type(function).__name__}")
    if protocol.self_ensemble:
        raise UsageError(f"ensemble needs a network; {name} is a function, which can average its results itself")

    def method(lr: Pixels) -> Pixels:
        return _single(name, function(lr))

    return method


def is_module(value: Any) -> bool:
    """Whether `value` is a PyTorch module, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def name_of(function: Any) -> str:
    """The name of a function, or of the class of a module or callable object."""
    return str(getattr(function, "__name__", type(function).__name__))


class ModuleEngine:
    """A module with the interface of an engine: on its own device, in evaluation mode, without TF32 while it runs."""

    version = device = precision = ""
    stencil: Stencil | None = None

    def __init__(self, module: Any, *, scale: int, name: str) -> None:
        self.scale, self.name = scale, name
        self._module = module

    def run(self, x: Batch) -> Batch:
        import torch

        like = next((p for p in self._module.parameters() if p.is_floating_point()), torch.zeros(1))
        training = self._module.training
        self._module.eval()
        try:
            with torch.inference_mode(), exact_float32():
                result = self._module(
                    torch.from_numpy(np.require(x, requirements=("C", "W"))).to(like.device, like.dtype)
                )
        finally:
            self._module.train(training)
        if not isinstance(result, torch.Tensor) or result.ndim != 4 or result.shape[:2] != (1, 3):
            what = "x".join(map(str, result.shape)) if isinstance(result, torch.Tensor) else type(result).__name__
            raise UsageError(f"{self.name} returned {what}, but a network returns a tensor of 1x3xHxW")
        return cast(Batch, result.float().cpu().numpy())


def _single(name: str, result: Any) -> Pixels:
    pictures = as_pictures(f"the result of {name}", result)
    if len(pictures) != 1:
        raise UsageError(f"{name} returned {len(pictures)} pictures for one")
    return pictures[0]
