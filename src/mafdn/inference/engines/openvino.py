"""OpenVINO: the default engine, on CPUs and what else it finds.

Public names: :class:`OpenVINOEngine`, :func:`import_openvino`, :func:`read_onnx`, :func:`is_full_range`.

One graph is compiled for each shape of input and use. What was compiled is kept in the user's cache folder, so that
the next process reads it instead; with it, not even the ONNX file is parsed.
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
from types import ModuleType
from typing import Any, cast

import numpy as np

from mafdn._support.cache import cache_folder, keep, load_kept
from mafdn._support.machine import machine
from mafdn.errors import UsageError, WeightsError
from mafdn.inference.engines.base import (
    BF16,
    FP16,
    FP32,
    GATES,
    HALF_RANGE,
    HEADER,
    INT8,
    PROBE,
    Batch,
    FullRangeError,
    Gates,
    agreed_precision,
    read_said,
    read_scale,
    refuse_precision,
    too_small,
)
from mafdn.inference.engines.model_files import network_digest

COMPILED_KEPT = 4
"""Compiled graphs that are kept in memory; a picture needs two, one for its gates and one for its tiles."""
FORMAT = 2
"""Raised whenever other things are kept of the same file and options: it makes all that was kept before void."""
BLOBS = 200 * 2**20
"""Bytes of all compiled graphs that are kept on disk; one of MAFDN has 3 MB."""
ABOUTS = 2**20
"""Bytes of what is kept of files' headers."""
HINTS = {FP32: "f32", BF16: "bf16", FP16: "f16", INT8: "f32"}
CAPABILITIES = {"FP32": FP32, "BF16": BF16, "FP16": FP16, "INT8": INT8}
CONVERTER = "openvino.tools.ovc"


class OpenVINOEngine:
    """A network in OpenVINO, in full 32-bit precision where nothing else is asked for."""

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
        """``device`` is one of :meth:`devices`; with ``profiled`` graphs tell the time of every layer.

        Raises :class:`UsageError` for a device or precision that is not to be had and for int8 weights that this
        processor would compute wrongly, :class:`WeightsError` for a file that is no upscaling network.
        """
        openvino = import_openvino()
        self.version = importlib.metadata.version("openvino")
        self._core = openvino.Core()
        self._path, self._device, self.device = path, device.upper(), device
        known = _precisions(self._core, self._device)
        if not known:
            raise UsageError(f"openvino finds no device {device!r} here; it has: {', '.join(self.devices())}")
        refuse_precision(self.name, device, precision, known)
        # OpenVINO would choose bfloat16 by itself where the processor has it.
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads and self._device == "CPU":
            self._options["INFERENCE_NUM_THREADS"] = threads
        if profiled:
            self._options["PERF_COUNT"] = True
        # Whatever a compiled graph depends on, but its own shape and use.
        self._digest = network_digest(path)
        about = [FORMAT, openvino.get_version(), asdict(machine()), self._full_name(), self._options]
        self._key = [*about, self._digest]
        self.scale, header, full_range = self._about()
        said = read_said(path, header)
        self.precision = agreed_precision(path, precision, said)
        if full_range and self._device == "CPU" and machine().may_saturate_int8:
            raise FullRangeError(
                f"{path} has full-range int8 weights, which OpenVINO computes wrongly on an x86 processor without "
                "VNNI, and none was found here; quantize it again with 'mafdn quantize', or use --engine onnxruntime"
            )
        self.stencil = said.stencil(self._gates, self._run_given)
        self.compiled = functools.lru_cache(maxsize=COMPILED_KEPT)(self._compile)

    @staticmethod
    def devices() -> dict[str, frozenset[str]]:
        """The devices of this machine that OpenVINO finds, and what each computes in."""
        core = import_openvino().Core()
        return {name.lower(): _precisions(core, name) for name in core.available_devices}

    def run(self, x: Batch) -> Batch:
        return cast(Batch, self.compiled(x.shape)(x)[0])

    def _gates(self, windows: Batch) -> Gates:
        return cast(Gates, self.compiled(windows.shape, output=1)(windows)[0])

    def _run_given(self, x: Batch, gates: Gates) -> Batch:
        return cast(Batch, self.compiled(x.shape, given=True)((x, gates))[0])

    def _full_name(self) -> str:
        return str(self._core.get_property(self._device, "FULL_DEVICE_NAME"))

    @functools.cached_property
    def _model(self) -> Any:
        model = read_onnx(self._path)
        if network_digest(self._path) != self._digest:  # what is compiled is kept under the digest
            raise WeightsError(f"{self._path} was changed while it was in use; run it again")
        return model

    def _about(self) -> tuple[int, str, bool]:
        """The scale and the header of the file, and whether it computes in int8 with weights of full range."""
        place = self._place("about")
        kept = load_kept(place)
        if kept is not None:
            scale, header, full_range = json.loads(kept)
            return scale, header, full_range
        try:
            probe = self._model.clone()
            probe.reshape([1, 3, PROBE, PROBE])
            shape = tuple(probe.output(0).shape)
        except RuntimeError:
            raise _unreadable(self._path) from None
        info = ["framework", HEADER]
        header = str(self._model.get_rt_info(info).value) if self._model.has_rt_info(info) else ""
        scale = read_scale(self._path, shape)
        read_said(self._path, header)
        full_range = is_full_range(self._model)
        keep(place, json.dumps([scale, header, full_range]).encode(), limit=ABOUTS)
        return scale, header, full_range

    def _compile(self, shape: tuple[int, ...], *, output: int = 0, given: bool = False) -> Any:
        """The graph for inputs of ``shape`` that gives one output, as it was compiled before or anew."""
        place = self._place("blob", shape, output, given)
        kept = load_kept(place)
        if kept is not None:
            try:
                return self._core.import_model(io.BytesIO(kept), self._device, self._options)
            except RuntimeError:  # whole, and yet not what this OpenVINO takes
                with suppress(OSError):
                    place.unlink()
        compiled = self._core.compile_model(self._graph(shape, output=output, given=given), self._device, self._options)
        with suppress(RuntimeError):  # a device that compiles and does not export is as good
            keep(place, compiled.export_model().getvalue(), limit=BLOBS)
        return compiled

    def _graph(self, shape: tuple[int, ...], *, output: int, given: bool) -> Any:
        model = self._model.clone()
        try:
            model.reshape(list(shape))
        except RuntimeError:
            raise too_small(self._path, shape) from None
        for number, result in enumerate(model.get_results()):
            if number != output:
                model.remove_result(result)
        if given:
            take_gates(model)
        return model

    def _place(self, kind: str, *use: object) -> Path:
        """Where what was made of the file for this ``use`` is kept; ``kind`` is the ending."""
        name = hashlib.sha256(json.dumps([self._key, use], sort_keys=True).encode()).hexdigest()
        return cache_folder("compiled") / f"{name}.{kind}"


def import_openvino() -> ModuleType:
    """OpenVINO without its converter, whose import alone reports to a server (and takes as long as the rest)."""
    if "openvino" not in sys.modules and CONVERTER not in sys.modules:
        sys.modules[CONVERTER] = cast(ModuleType, None)  # to Python, a module that is not there
        try:
            import openvino
        finally:
            del sys.modules[CONVERTER]
        return openvino
    import openvino

    return openvino


def read_onnx(path: Path) -> Any:
    """The graph in an ONNX file; raises :class:`WeightsError`.

    By the frontend for ONNX alone: left to itself, OpenVINO tries all it has, and one of them prints.
    """
    frontend = import_openvino().frontend
    try:
        loader = frontend.FrontEndManager().load_by_framework("onnx")
        return loader.convert(loader.load(path))
    except (RuntimeError, frontend.GeneralFailure, frontend.OpConversionFailure, frontend.OpValidationFailure):
        raise _unreadable(path) from None


def is_full_range(model: Any) -> bool:
    """Whether a graph computes in int8 with signed weights beyond :data:`HALF_RANGE`, or quantizes its weights itself.

    Found from the graph and not from its header, so that it holds for the files of other programs too. Where no
    activation is quantized, and where weights are unsigned, OpenVINO computes in float.
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


def take_gates(model: Any) -> None:
    """Make ``gates``, to OpenVINO a constant of NaN, an input, and cut off what would compute the model's own."""
    from openvino import opset13

    operations: list[Any] = model.get_ordered_ops()
    default = next(op for op in operations if op.get_output_size() and GATES in op.output(0).get_names())
    parameter = opset13.parameter(default.output(0).get_shape(), np.float32)
    default.output(0).replace(parameter.output(0))
    model.add_parameters([parameter])
    for operation in operations:
        if operation.get_type_name() == "Select":  # is NaN, own, given
            operation.output(0).replace(operation.input_value(2))


def _unreadable(path: Path) -> WeightsError:
    return WeightsError(f"{path} is not a network from (1, 3, H, W) that OpenVINO can read")


def _precisions(core: Any, device: str) -> frozenset[str]:
    """What a device computes in; nothing when there is no such device."""
    try:
        told = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
    except RuntimeError:
        return frozenset()
    return frozenset(CAPABILITIES[name] for name in told if name in CAPABILITIES)
