"""torch in eager mode, for weights files: the reference for the other engines, and support for any GPU.

torch is only imported when a network is opened.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from mafdn._support.machine import thread_count
from mafdn._support.memory import is_out_of_memory
from mafdn.errors import UsageError, WeightsError
from mafdn.inference.engines.base import Batch, Gates, Stencil, cannot_process, require_precision_on
from mafdn.inference.exact import exact_float32
from mafdn.inference.options import BF16, FP16, FP32
from mafdn.weights.resolve import TORCH_FILES


class TorchEngine:
    """A folded network run by torch; for an ONNX file, the `.safetensors` file of the same name beside it is run."""

    name = "torch"

    def __init__(self, path: Path, *, device: str = "cpu", threads: int | None = None, precision: str = FP32) -> None:
        """Open a weights file.

        Args:
            path: A weights file, or an ONNX file with its weights file beside it.
            device: One of `devices()`.
            threads: Number of cores, for all use of torch in this process (default: all that it may use).
            precision: `fp32`, `bf16` or `fp16`.

        Raises:
            ImportError: If torch is not installed.
            UsageError: If the device or precision is not available.
            WeightsError: If the file is missing or does not contain a known network.
        """
        import torch

        from mafdn.networks.checkpoints import open_network
        from mafdn.networks.gated import Gated, is_gated, receptive_radius

        self._torch, self._path = torch, path
        self.version, self.device, self.precision = str(torch.__version__), device, precision
        devices = self.devices()
        if device not in devices:
            raise UsageError(f"torch finds no device {device!r}; choose one of {', '.join(devices)}")
        require_precision_on(self.name, device, precision, devices[device])
        if threads := thread_count(threads):
            torch.set_num_threads(threads)
        network = open_network(weights_file(path)).fold()
        self.scale = network.settings.scale
        self._dtype = {FP32: torch.float32, BF16: torch.bfloat16, FP16: torch.float16}[precision]
        radius = receptive_radius(network) if is_gated(network) else 0
        self._network: Any = network.to(device, self._dtype)
        self._running = Lock()
        """Held while the network runs: gates are held by hooks that all calls share."""
        self.stencil: Stencil | None = None
        if radius:  # only the ONNX file has the measured halo; the radius is always safe
            self._gated = Gated(network)
            self.stencil = Stencil(radius=radius, halo=radius, gates=self._gates, run=self._run_with_gates)

    @staticmethod
    def devices() -> dict[str, frozenset[str]]:
        """Return the devices that torch finds and the precisions of each."""
        import torch

        found = {"cpu": frozenset({FP32, BF16})}
        if torch.cuda.is_available():
            found["cuda"] = frozenset({FP32, BF16, FP16})
        if torch.backends.mps.is_available():
            found["mps"] = frozenset({FP32, FP16})
        return found

    def run(self, x: Batch) -> Batch:
        return self._infer(self._network, x)

    def _gates(self, windows: Batch) -> Gates:
        return self._infer(lambda *both: self._gated(*both)[1], windows, np.full(self._gated.shape, np.nan, np.float32))

    def _run_with_gates(self, x: Batch, gates: Gates) -> Batch:
        return self._infer(lambda *both: self._gated(*both)[0], x, gates)

    def _infer(self, network: Callable[..., Any], x: Batch, *more: Gates) -> Batch:
        """Run a network; any failure but a lack of memory raises `UsageError`."""
        try:
            with self._running, exact_float32(), self._torch.inference_mode():
                return self._to_array(network(*(self._to_tensor(one) for one in (x, *more))))
        except Exception as error:  # networks from outside may raise anything
            if is_out_of_memory(error):
                raise
            raise cannot_process(self._path, x.shape, error) from None

    def _to_tensor(self, array: Batch) -> Any:
        return self._torch.tensor(array, device=self.device, dtype=self._dtype)

    def _to_array(self, tensor: Any) -> Batch:
        return tensor.float().cpu().numpy()


def weights_file(path: Path) -> Path:
    """Return the weights file that torch runs for `path`; raises `WeightsError` if there is none."""
    if path.suffix in TORCH_FILES:
        return path
    beside = path.with_suffix(".safetensors")
    if not beside.is_file():
        raise WeightsError(f"torch needs the weights file of {path.name}, but there is no {beside}; use another engine")
    return beside
