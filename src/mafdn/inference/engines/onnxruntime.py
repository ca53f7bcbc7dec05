"""onnxruntime: the portable engine, on CPUs, and on GPUs with packages of its own.

Public names: :class:`OnnxRuntimeEngine`, :data:`PACKAGES`.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np

from mafdn._support.machine import machine
from mafdn.errors import MissingPackageError, UsageError, WeightsError
from mafdn.inference.engines.base import (
    FP32,
    GATES,
    HEADER,
    INT8,
    PROBE,
    Batch,
    Gates,
    agreed_precision,
    read_said,
    read_scale,
    refuse_precision,
    too_small,
)

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
"""What onnxruntime calls a device."""
PACKAGES = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml", "coreml": "onnxruntime (on a Mac)"}
"""What brings a device; one of them is installed in the place of onnxruntime itself."""
PRECISIONS_HERE = frozenset({FP32, INT8})
"""A file is run in its own precision."""
EXACT_INT8 = "session.x64quantprecision"
"""Makes full-range int8 weights unsigned, whose products do not saturate where there is no VNNI. What 'mafdn quantize'
writes does not need it, as its convolutions are computed in float here; the files of other programs may. Not set
elsewhere: onnxruntime 1.32 then cannot open a file whose weights share a zero point."""
SILENT = 4
"""The severity of messages that end the process."""


class OnnxRuntimeEngine:
    """A network in onnxruntime."""

    name = "onnxruntime"

    def __init__(self, path: Path, *, device: str = "cpu", threads: int | None = None, precision: str = FP32) -> None:
        """``device`` is a key of :data:`PROVIDERS`.

        Raises :class:`UsageError` for an unknown device or a precision that is not to be had,
        :class:`MissingPackageError` for a device that needs another package, and :class:`WeightsError` for a file
        that is no upscaling network.
        """
        onnxruntime = _import()
        self.version, self.device = str(onnxruntime.__version__), device
        _require_device(onnxruntime, device)
        refuse_precision(self.name, device, precision, PRECISIONS_HERE)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = SILENT
        if machine().may_saturate_int8:
            options.add_session_config_entry(EXACT_INT8, "1")
        options.enable_mem_pattern = device != "directml"  # which does not take it
        if threads:
            options.intra_op_num_threads = threads
        providers = list(dict.fromkeys([PROVIDERS[device], PROVIDERS["cpu"]]))
        exact = [{"use_tf32": "0"} if provider == PROVIDERS["cuda"] else {} for provider in providers]
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=providers, provider_options=exact
            )
            self._input = self._session.get_inputs()[0].name
            self._outputs = [output.name for output in self._session.get_outputs()]
            header = self._session.get_modelmeta().custom_metadata_map.get(HEADER, "")
            shape = self.run(np.zeros((1, 3, PROBE, PROBE), np.float32)).shape
        except Exception as error:  # onnxruntime's errors share no narrower base
            if isinstance(error, MemoryError):
                raise
            raise WeightsError(f"{path} is not a network from (1, 3, H, W) that onnxruntime can read") from None
        if self._session.get_providers()[0] != providers[0]:  # it falls back without a word
            raise UsageError(f"onnxruntime cannot start its device {device!r} here: a driver or library is missing")
        self._path, self.scale = path, read_scale(path, shape)
        said = read_said(path, header)
        self.precision = agreed_precision(path, precision, said)
        self.stencil = said.stencil(self._gates, self._run_given)

    @staticmethod
    def devices() -> dict[str, frozenset[str]]:
        """The devices that the installed package has, and what each computes in."""
        available = _import().get_available_providers()
        return {device: PRECISIONS_HERE for device, provider in PROVIDERS.items() if provider in available}

    def run(self, x: Batch) -> Batch:
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

        try:
            return cast(Batch, self._session.run(self._outputs[:1], {self._input: x})[0])
        except (Fail, InvalidArgument, RuntimeException):
            raise too_small(self._path, x.shape) from None

    def _gates(self, windows: Batch) -> Gates:
        return cast(Gates, self._session.run(self._outputs[1:2], {self._input: windows})[0])

    def _run_given(self, x: Batch, gates: Gates) -> Batch:
        return cast(Batch, self._session.run(self._outputs[:1], {self._input: x, GATES: gates})[0])


def _import() -> Any:
    """onnxruntime, silent on the terminal and towards its maker: on Windows by the call, elsewhere by a variable.

    (That variable is set in :mod:`mafdn._support.telemetry`.)
    """
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

    onnxruntime.set_default_logger_severity(SILENT)
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def _require_device(onnxruntime: Any, device: str) -> None:
    if device not in PROVIDERS:
        raise UsageError(f"onnxruntime has no device {device!r}; there are: {', '.join(PROVIDERS)}")
    if PROVIDERS[device] not in onnxruntime.get_available_providers():
        package = PACKAGES.get(device, "onnxruntime")
        raise MissingPackageError(f"onnxruntime has no {device} as it is installed; pip install {package} instead")
