"""torch itself, eager, from a weights file: what the other engines are measured against, and a way to run on any GPU.

Public names: :class:`TorchEngine`, :data:`WEIGHTS`.

torch is imported when a network is opened and not before.
"""

from pathlib import Path
from typing import Any

import numpy as np

from mafdn.errors import UsageError, WeightsError
from mafdn.inference.engines.base import BF16, FP16, FP32, Batch, Gates, Stencil, refuse_precision

WEIGHTS = (".safetensors", ".pth")
"""Endings of the files that torch runs as they are."""


class TorchEngine:
    """A folded network in torch. Of an ONNX file, the ``.safetensors`` of the same name beside it is taken."""

    name = "torch"

    def __init__(self, path: Path, *, device: str = "cpu", threads: int | None = None, precision: str = FP32) -> None:
        """``device`` is one of :meth:`devices`; ``threads`` holds for all that torch does in this process.

        Raises ``ImportError`` without torch, :class:`UsageError` for a device or precision that is not to be had, and
        :class:`WeightsError` for a file that holds no network, and where there is none beside ``path``.
        """
        import torch

        from mafdn.networks.convert import open_network
        from mafdn.networks.gated import Gated, is_gated, receptive_radius

        self._torch, self._path = torch, path
        self.version, self.device, self.precision = str(torch.__version__), device, precision
        known = self.devices()
        if device not in known:
            raise UsageError(f"torch finds no device {device!r} here; it has: {', '.join(known)}")
        refuse_precision(self.name, device, precision, known[device])
        if threads:
            torch.set_num_threads(threads)
        if device == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32
        network = open_network(weights_file(path)).fold()
        self.scale = network.settings.scale
        self._type = {FP32: torch.float32, BF16: torch.bfloat16, FP16: torch.float16}[precision]
        radius = receptive_radius(network) if is_gated(network) else 0
        self._network: Any = network.to(device, self._type)
        self.stencil: Stencil | None = None
        if radius:  # the halo that was measured is in the ONNX file; the radius holds for sure
            self._gated = Gated(network)
            self.stencil = Stencil(radius=radius, halo=radius, gates=self._gates, run=self._run_given)

    @staticmethod
    def devices() -> dict[str, frozenset[str]]:
        """The devices that torch finds, and what each computes in."""
        import torch

        found = {"cpu": frozenset({FP32, BF16})}
        if torch.cuda.is_available():
            found["cuda"] = frozenset({FP32, BF16, FP16})
        if torch.backends.mps.is_available():
            found["mps"] = frozenset({FP32, FP16})
        return found

    def run(self, x: Batch) -> Batch:
        try:
            with self._torch.inference_mode():
                return self._given_back(self._network(self._taken(x)))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"{self._path} cannot take a picture of {x.shape[3]}x{x.shape[2]}: {reason}") from None

    def _gates(self, windows: Batch) -> Gates:
        own = np.full(self._gated.shape, np.nan, np.float32)
        with self._torch.inference_mode():
            return self._given_back(self._gated(self._taken(windows), self._taken(own))[1])

    def _run_given(self, x: Batch, gates: Gates) -> Batch:
        with self._torch.inference_mode():
            return self._given_back(self._gated(self._taken(x), self._taken(gates))[0])

    def _taken(self, array: Batch) -> Any:
        return self._torch.tensor(array, device=self.device, dtype=self._type)

    def _given_back(self, tensor: Any) -> Batch:
        return tensor.float().cpu().numpy()


def weights_file(path: Path) -> Path:
    """The weights file that torch runs for ``path``."""
    if path.suffix in WEIGHTS:
        return path
    beside = path.with_suffix(".safetensors")
    if not beside.is_file():
        raise WeightsError(f"torch runs weights, and there is no {beside} beside {path.name}; take another engine")
    return beside
