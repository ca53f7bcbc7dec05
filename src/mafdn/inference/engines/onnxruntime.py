"""onnxruntime: the portable engine, for CPUs and, with separate packages, for GPUs."""

from pathlib import Path
from typing import Any, cast

import numpy as np

from mafdn._support.machine import machine, thread_count
from mafdn._support.memory import is_out_of_memory
from mafdn.errors import MissingPackageError, UsageError, WeightsError
from mafdn.inference.engines.base import (
    GATES,
    HEADER,
    PROBE,
    Batch,
    Gates,
    cannot_process,
    effective_precision,
    parse_header,
    require_precision_on,
    scale_of_output,
)
from mafdn.inference.options import FP32, INT8

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
"""The execution provider of every device."""
PACKAGES = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml", "coreml": "onnxruntime (on a Mac)"}
"""The package that adds a device; it is installed instead of onnxruntime itself."""
SUPPORTED = frozenset({FP32})
"""Precisions on every device. An int8 file runs too, but is not offered as a precision: between every quantized
convolution and the rounding of its result is an activation, with which onnxruntime has no integer kernel, so that it
computes the convolutions in float, no faster than those of the fp32 file."""
EXACT_INT8 = "session.x64quantprecision"
"""Makes full-range int8 weights unsigned, so that products do not saturate without VNNI. Files written by 'mafdn
quantize' do not need it, as their convolutions are computed in float here; files of other programs may. It is only set
where needed, because onnxruntime 1.32 with it cannot open a file whose weights share a zero point."""
LOG_FATAL = 4
"""The log severity at which only fatal messages are printed."""


class OnnxRuntimeEngine:
    """A network run by onnxruntime."""

    name = "onnxruntime"

    def __init__(self, path: Path, *, device: str = "cpu", threads: int | None = None, precision: str = FP32) -> None:
        """Open an ONNX file.

        Args:
            path: The file.
            device: A key of `PROVIDERS`.
            threads: Number of cores to use (default: all that this process may use).
            precision: `fp32`.

        Raises:
            UsageError: If the device is unknown or does not start, or the precision is not supported.
            MissingPackageError: If the device needs another package.
            WeightsError: If the file is not an upscaling network.
        """
        onnxruntime = import_onnxruntime()
        self.version, self.device, self._path = str(onnxruntime.__version__), device, path
        _require_device(onnxruntime, device)
        if precision == INT8:
            raise UsageError(
                "onnxruntime computes int8 networks in float, no faster than in fp32; use the engine openvino",
                setting="engine",
            )
        require_precision_on(self.name, device, precision, SUPPORTED)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = LOG_FATAL
        if machine().may_saturate_int8:
            options.add_session_config_entry(EXACT_INT8, "1")
        options.enable_mem_pattern = device != "directml"  # not supported by DirectML
        if threads := thread_count(threads):
            options.intra_op_num_threads = threads
        providers = list(dict.fromkeys([PROVIDERS[device], PROVIDERS["cpu"]]))
        no_tf32 = [{"use_tf32": "0"} if provider == PROVIDERS["cuda"] else {} for provider in providers]
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=providers, provider_options=no_tf32
            )
            self._input = self._session.get_inputs()[0].name
            self._outputs = [output.name for output in self._session.get_outputs()]
            header = self._session.get_modelmeta().custom_metadata_map.get(HEADER, "")
            shape = self.run(np.zeros((1, 3, PROBE, PROBE), np.float32)).shape
        except Exception as error:  # onnxruntime's errors have no common base class
            if is_out_of_memory(error):
                raise
            raise WeightsError(f"{path} is not a network with input (1, 3, H, W) that onnxruntime can read") from None
        if self._session.get_providers()[0] != providers[0]:  # it falls back silently
            raise UsageError(f"onnxruntime cannot start its device {device!r} here: a driver or library is missing")
        self.scale = scale_of_output(path, shape)
        parsed = parse_header(path, header)
        self.precision = effective_precision(path, precision, parsed)
        self.stencil = parsed.stencil(self._gates, self._run_with_gates)

    @staticmethod
    def devices() -> dict[str, frozenset[str]]:
        """Return the devices of the installed package and the precisions of each."""
        available = import_onnxruntime().get_available_providers()
        return {device: SUPPORTED for device, provider in PROVIDERS.items() if provider in available}

    def run(self, x: Batch) -> Batch:
        return cast(Batch, self._infer(x))

    def _gates(self, windows: Batch) -> Gates:
        return cast(Gates, self._infer(windows, output=1))

    def _run_with_gates(self, x: Batch, gates: Gates) -> Batch:
        return cast(Batch, self._infer(x, {GATES: gates}))

    def _infer(self, x: Batch, more: dict[str, Gates] | None = None, *, output: int = 0) -> Any:
        """Run the network and return one output; any failure but a lack of memory raises `UsageError`."""
        try:
            return self._session.run([self._outputs[output]], {self._input: x, **(more or {})})[0]
        except Exception as error:  # onnxruntime's errors have no common base class
            if is_out_of_memory(error):
                raise
            raise cannot_process(self._path, x.shape, error) from None


def import_onnxruntime() -> Any:
    """Import onnxruntime without log messages and telemetry.

    The call disables telemetry on Windows; elsewhere an environment variable does (`mafdn._support.telemetry`).
    """
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

    onnxruntime.set_default_logger_severity(LOG_FATAL)
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def _require_device(onnxruntime: Any, device: str) -> None:
    if device not in PROVIDERS:
        raise UsageError(f"onnxruntime has no device {device!r}; choose one of {', '.join(PROVIDERS)}")
    if PROVIDERS[device] not in onnxruntime.get_available_providers():
        package = PACKAGES.get(device, "onnxruntime")
        raise MissingPackageError(f"the installed onnxruntime does not support {device}; pip install {package} instead")
