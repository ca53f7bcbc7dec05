"""OpenVINO: the default engine, for CPUs and the other devices it supports.

A graph is compiled for each use, such as tiles with given gates. On a CPU, the graph of a stencil takes inputs of any
size, except in int8: it is as fast as one for a fixed size, which takes longer to compile than to upscale a small
picture. Other graphs have a fixed size. Compiled graphs are stored in the user's cache folder, so that the next process
reads them and does not even parse the ONNX file.
"""

import functools
import hashlib
import importlib.metadata
import io
import json
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mafdn._support.cache import cache_folder, keep, load_kept
from mafdn._support.machine import machine, thread_count
from mafdn.errors import UsageError, WeightsError
from mafdn.inference.engines.base import (
    GATES,
    HALF_RANGE,
    HEADER,
    PROBE,
    Batch,
    FullRangeError,
    Gates,
    effective_precision,
    parse_header,
    require_precision_on,
    scale_of_output,
    too_small,
)
from mafdn.inference.engines.model_files import network_digest
from mafdn.inference.options import BF16, FP16, FP32, INT8

GRAPHS_IN_MEMORY = 4
"""Compiled graphs to keep in memory; a picture needs two, one for its gates and one for its tiles."""
ANY_SHAPE = (-1, 3, -1, -1)
"""The shape of inputs of any size."""
SHAPE_CACHE = 64
"""Kernels for earlier shapes that such a graph keeps; OpenVINO's default of 5,000 lets memory grow with every size."""
CACHE_FORMAT = 3
"""Incremented when the content of cache entries changes, which invalidates the old ones."""
GRAPH_CACHE_BYTES = 200 * 2**20
"""Maximum total size of the compiled graphs on disk; a graph of MAFDN takes 3 MB."""
HEADER_CACHE_BYTES = 2**20
"""Maximum total size of the cached headers."""
HINTS = {FP32: "f32", BF16: "bf16", FP16: "f16", INT8: "f32"}
"""OpenVINO's name of the inference precision for each precision."""
CAPABILITIES = {"FP32": FP32, "BF16": BF16, "FP16": FP16, "INT8": INT8}
"""Precisions by OpenVINO's names for the capabilities of a device."""
CREATING_CORE = Lock()
"""Held while the core of the process is created, so that there is only one."""
CONVERTER = "openvino.tools.ovc"
"""The module of OpenVINO that sends telemetry when imported."""


class OpenVINOEngine:
    """A network run by OpenVINO, in float32 unless another precision is requested."""

    name = "openvino"

    def __init__(
        self,
        path: Path,
        *,
        device: str = "cpu",
        threads: int | None = None,
        precision: str = FP32,
        profiled: bool = False,
    ) -> None:
        """Open an ONNX file.

        Args:
            path: The file.
            device: One of `devices()`.
            threads: Number of cores to use (default: all that this process may use).
            precision: One of `PRECISIONS`.
            profiled: Whether graphs record the time of every layer.

        Raises:
            UsageError: If the device or precision is not available.
            FullRangeError: If the file has int8 weights that this processor would compute wrongly.
            WeightsError: If the file is not an upscaling network.
        """
        openvino = import_openvino()
        self.version = importlib.metadata.version("openvino")
        self._core = openvino_core()
        self._path, self._device, self.device = path, device.upper(), device
        supported = _precisions(self._core, self._device)
        if not supported:
            raise UsageError(f"openvino finds no device {device!r}; choose one of {', '.join(self.devices())}")
        require_precision_on(self.name, device, precision, supported)
        # OpenVINO would otherwise choose bfloat16 if the processor supports it.
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        if self._device == "CPU":
            self._options["CPU_RUNTIME_CACHE_CAPACITY"] = SHAPE_CACHE
            # Otherwise threads are tied to cores from the first on, so that processes that share a machine, such as
            # the workers of a fleet, would all use the same ones.
            self._options["ENABLE_CPU_PINNING"] = False
            if threads := thread_count(threads):
                self._options["INFERENCE_NUM_THREADS"] = threads
        if profiled:
            self._options["PERF_COUNT"] = True
        # Everything a compiled graph depends on except its own shape and use.
        self._digest = network_digest(path)
        environment = [CACHE_FORMAT, openvino.get_version(), asdict(machine()), self._full_name(), self._options]
        self._key = [*environment, self._digest]
        self.scale, text, full_range = self._inspect()
        header = parse_header(path, text)
        self.precision = effective_precision(path, precision, header)
        if full_range and self._device == "CPU" and machine().may_saturate_int8:
            raise FullRangeError(
                f"{path} has full-range int8 weights, which OpenVINO computes wrongly on x86 processors without "
                "VNNI, and none was found here; quantize it again with 'mafdn quantize', or use the engine onnxruntime",
                setting="engine",
            )
        self.stencil = header.stencil(self._gates, self._run_with_gates)
        self.compiled = functools.lru_cache(maxsize=GRAPHS_IN_MEMORY)(self._compile)
        self._running = Lock()
        """Held while a graph runs: all calls of a compiled graph share its inputs and outputs."""

    @staticmethod
    def devices() -> dict[str, frozenset[str]]:
        """Return the devices that OpenVINO finds on this machine and the precisions of each."""
        core = openvino_core()
        return {name.lower(): _precisions(core, name) for name in core.available_devices}

    def run(self, x: Batch) -> Batch:
        return cast(Batch, self._infer(x))

    def _gates(self, windows: Batch) -> Gates:
        return cast(Gates, self._infer(windows, output=1))

    def _run_with_gates(self, x: Batch, gates: Gates) -> Batch:
        return cast(Batch, self._infer(x, gates))

    def _infer(self, x: Batch, *more: NDArray[np.float32], output: int = 0) -> Any:
        """Run the graph for `x` and return one output; an input that is too small raises `UsageError`."""
        inputs = (x, *more)
        use: dict[str, Any] = {"output": output, "with_gates": bool(more)}
        with self._running:
            if self._takes_any_size:
                try:
                    return self.compiled(ANY_SHAPE, **use)(inputs)[0]
                except RuntimeError:
                    self._graph(x.shape, **use)  # raises `UsageError` if the input is too small
                    raise
            return self.compiled(x.shape, **use)(inputs)[0]

    @property
    def _takes_any_size(self) -> bool:
        """Whether one graph serves inputs of all sizes; one of int8 would be slower and round differently."""
        return self.stencil is not None and self._device == "CPU" and not self.precision.startswith(INT8)

    def _full_name(self) -> str:
        return str(self._core.get_property(self._device, "FULL_DEVICE_NAME"))

    @functools.cached_property
    def _model(self) -> Any:
        model = read_onnx(self._path)
        if network_digest(self._path) != self._digest:  # the digest is part of the cache key
            raise WeightsError(f"{self._path} was changed while it was in use; try again")
        return model

    def _inspect(self) -> tuple[int, str, bool]:
        """Return the scale and header of the file, and whether it has full-range int8 weights."""
        entry = self._cache_path("about")
        kept = load_kept(entry)
        if kept is not None:
            scale, header, full_range = json.loads(kept)
            return scale, header, full_range
        try:
            probe = self._model.clone()
            probe.reshape([1, 3, PROBE, PROBE])
            shape = tuple(probe.output(0).shape)
        except RuntimeError:
            raise _unreadable(self._path) from None
        header = header_text(self._model)
        scale = scale_of_output(self._path, shape)
        parse_header(self._path, header)  # an invalid header is not cached
        full_range = is_full_range(self._model)
        keep(entry, json.dumps([scale, header, full_range]).encode(), limit=HEADER_CACHE_BYTES)
        return scale, header, full_range

    def _compile(self, shape: tuple[int, ...], *, output: int = 0, with_gates: bool = False) -> Any:
        """Compile the graph for inputs of `shape`, or `ANY_SHAPE`, and one output, or read it from the cache."""
        entry = self._cache_path("blob", shape, output, with_gates)
        kept = load_kept(entry)
        if kept is not None:
            try:
                return self._core.import_model(io.BytesIO(kept), self._device, self._options)
            except RuntimeError:  # intact, but not accepted by this OpenVINO
                with suppress(OSError):
                    entry.unlink()
        graph = self._graph(shape, output=output, with_gates=with_gates)
        compiled = self._core.compile_model(graph, self._device, self._options)
        with suppress(RuntimeError):  # some devices compile but cannot export
            keep(entry, compiled.export_model().getvalue(), limit=GRAPH_CACHE_BYTES)
        return compiled

    def _graph(self, shape: tuple[int, ...], *, output: int, with_gates: bool) -> Any:
        model = self._model.clone()
        try:
            model.reshape(list(shape))
        except RuntimeError:
            raise too_small(self._path, shape) from None
        for number, result in enumerate(model.get_results()):
            if number != output:
                model.remove_result(result)
        if with_gates:
            make_gates_input(model)
        return model

    def _cache_path(self, suffix: str, *use: object) -> Path:
        """Return the cache entry of this file for one `use`."""
        name = hashlib.sha256(json.dumps([self._key, use], sort_keys=True).encode()).hexdigest()
        return cache_folder("compiled") / f"{name}.{suffix}"


def openvino_core() -> Any:
    """Return the `openvino.Core` of this process, which is kept until it ends.

    On Linux, the CPU plugin of a core sets the stack on which the current thread handles signals, and frees it together
    with the core. If another thread frees the core, or cores are freed in the order in which they were created, that
    stack is still set, and the next Ctrl-C ends the process with SIGSEGV.
    """
    with CREATING_CORE:
        return _core()


@functools.cache
def _core() -> Any:
    return import_openvino().Core()


def import_openvino() -> ModuleType:
    """Import OpenVINO without its converter, which sends telemetry when imported and doubles the import time."""
    if "openvino" not in sys.modules and CONVERTER not in sys.modules:
        sys.modules[CONVERTER] = cast(ModuleType, None)  # makes its import fail
        try:
            import openvino
        finally:
            del sys.modules[CONVERTER]
        return openvino
    import openvino

    return openvino


def read_onnx(path: Path) -> Any:
    """Read the graph of an ONNX file; raises `WeightsError`.

    Only the ONNX frontend is used: OpenVINO would otherwise try all its frontends, one of which prints to the terminal.
    """
    frontend = import_openvino().frontend
    try:
        loader = frontend.FrontEndManager().load_by_framework("onnx")
        return loader.convert(loader.load(path))
    except (RuntimeError, frontend.GeneralFailure, frontend.OpConversionFailure, frontend.OpValidationFailure):
        raise _unreadable(path) from None


def header_text(model: Any) -> str:
    """The header of the file that a graph was read from; empty without one."""
    entry = ["framework", HEADER]
    return str(model.get_rt_info(entry).value) if model.has_rt_info(entry) else ""


def is_full_range(model: Any) -> bool:
    """Whether a graph computes in int8 with signed weights beyond `HALF_RANGE`, or quantizes its weights itself.

    This is determined from the graph, not from its header, so that it also works for files of other programs. OpenVINO
    computes in float if no activation is quantized or the weights are unsigned.
    """
    operations: list[Any] = model.get_ordered_ops()
    quantized = [op.input_value(0).get_node() for op in operations if op.get_type_name() == "FakeQuantize"]
    constant = [_is_constant(node) for node in quantized]
    if all(constant):
        return False
    return any(constant) or any(
        op.get_element_type().to_string() == "i8" and len(op.shape) > 1 and _largest(op.data) > HALF_RANGE
        for op in operations
        if op.get_type_name() == "Constant"
    )


def _is_constant(node: Any) -> bool:
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return node.get_type_name() == "Constant"


def _largest(weights: Any) -> int:
    return int(np.abs(weights.astype(np.int16)).max(initial=0))


def make_gates_input(model: Any) -> None:
    """Turn `gates`, a constant of NaN in OpenVINO's graph, into an input, and cut off the part that computes gates."""
    from openvino import opset13

    operations: list[Any] = model.get_ordered_ops()
    default = next(op for op in operations if op.get_output_size() and GATES in op.output(0).get_names())
    parameter = opset13.parameter(default.output(0).get_shape(), np.float32)
    default.output(0).replace(parameter.output(0))
    model.add_parameters([parameter])
    for operation in operations:
        if operation.get_type_name() == "Select":  # inputs: is NaN, computed gates, gates passed in
            operation.output(0).replace(operation.input_value(2))


def _unreadable(path: Path) -> WeightsError:
    return WeightsError(f"{path} is not a network with input (1, 3, H, W) that OpenVINO can read")


def _precisions(core: Any, device: str) -> frozenset[str]:
    """Return the precisions of a device; empty if there is no such device."""
    try:
        names = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
    except RuntimeError:
        return frozenset()
    return frozenset(CAPABILITIES[name] for name in names if name in CAPABILITIES)
