"""Engines: what runs an ONNX file that maps (1, 3, H, W) to (1, 3, sH, sW).

Public names: :class:`Engine`, :class:`Stencil`, :data:`ENGINES`, :func:`open_engine`,
:func:`require_engine`, :func:`require_scale`.

A file may hold two graphs in one: with an input ``gates`` beside ``lr``, left to its default of NaN, it is an ordinary
network that also puts out the gates it uses; with gates given, it takes them instead of its own. Its header says so
(``stencil``), and what tiles then need around them.
"""

import functools
import importlib.metadata
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import MissingPackageError, UsageError, WeightsError

Batch = NDArray[np.float32]
Gates = NDArray[np.float32]
"""The gates of every channel attention, (blocks, n)."""
COMPILED_KEPT = 4
"""Compiled graphs that are kept; a picture needs two, one for its gates and one for its tiles."""
GATES = "gates"
"""The name of the input; the output of the same content is the second."""
HEADER = "mafdn"
"""The entry of a file's metadata that holds what it says of itself, as JSON."""
LARGEST_RADIUS = 256
PROBE = 16
"""Side of the input by which a file's scale is found."""


@dataclass(frozen=True, kw_only=True)
class Stencil:
    """A network that is a fixed stencil once its gates are given, and what to do with it.

    ``radius`` is how far a pixel of the result sees, in input pixels; beyond ``halo`` nothing was measured to matter.
    ``gates`` maps windows of a picture, (N, 3, h, w) float32 RGB in [0, 1], to the gates that hold for it; ``run`` is
    as :meth:`Engine.run` with these gates.
    """

    radius: int
    halo: int
    gates: Callable[[Batch], Gates]
    run: Callable[[Batch, Gates], Batch]


class Engine(Protocol):
    """Runs one network; ``scale`` is what its file turns out to do.

    ``stencil`` is for the files that say they have one; any other network can only be run on what it is given.
    """

    name: str
    version: str
    scale: int
    stencil: Stencil | None

    def run(self, x: Batch) -> Batch:
        """(1, 3, H, W) float32 RGB in [0, 1] to (1, 3, scale*H, scale*W), not clipped.

        Raises :class:`UsageError` when the network cannot take so small a picture.
        """
        ...


class OpenVINOEngine:
    """OpenVINO on the CPU, in full 32-bit precision, one compiled graph per input shape and use."""

    name = "openvino"

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        import openvino

        self.version = importlib.metadata.version("openvino")
        self._core = openvino.Core()
        # OpenVINO would choose bfloat16 by itself where the processor has it.
        self._options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            self._options["INFERENCE_NUM_THREADS"] = threads
        try:
            self._model = self._core.read_model(path)
            probe = self._model.clone()
            probe.reshape([1, 3, PROBE, PROBE])
            shape = tuple(probe.output(0).shape)
        except RuntimeError:
            raise WeightsError(f"{path} is not a network from (1, 3, H, W) that OpenVINO can read") from None
        self._path, self.scale = path, _scale(path, shape)
        info = ["framework", HEADER]
        header = str(self._model.get_rt_info(info).value) if self._model.has_rt_info(info) else ""
        self.stencil = _stencil(path, header, self._gates, self._run_given)
        self._compiled = functools.lru_cache(maxsize=COMPILED_KEPT)(self._compile)

    def run(self, x: Batch) -> Batch:
        return cast(Batch, self._compiled(x.shape)(x)[0])

    def _gates(self, windows: Batch) -> Gates:
        return cast(Gates, self._compiled(windows.shape, output=1)(windows)[0])

    def _run_given(self, x: Batch, gates: Gates) -> Batch:
        return cast(Batch, self._compiled(x.shape, given=True)((x, gates))[0])

    def _compile(self, shape: tuple[int, ...], *, output: int = 0, given: bool = False) -> Any:
        model = self._model.clone()
        try:
            model.reshape(list(shape))
        except RuntimeError:
            raise _too_small(self._path, shape) from None
        for number, result in enumerate(model.get_results()):
            if number != output:
                model.remove_result(result)
        if given:
            _take_gates(model)
        return self._core.compile_model(model, "CPU", self._options)


class OnnxRuntimeEngine:
    """onnxruntime on the CPU: the portable engine."""

    name = "onnxruntime"

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        import onnxruntime

        self.version = importlib.metadata.version("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            self._input = self._session.get_inputs()[0].name
            self._outputs = [output.name for output in self._session.get_outputs()]
            header = self._session.get_modelmeta().custom_metadata_map.get(HEADER, "")
            shape = self.run(np.zeros((1, 3, PROBE, PROBE), np.float32)).shape
        except Exception as error:  # onnxruntime's errors share no narrower base
            if isinstance(error, MemoryError):
                raise
            raise WeightsError(f"{path} is not a network from (1, 3, H, W) that onnxruntime can read") from None
        self._path, self.scale = path, _scale(path, shape)
        self.stencil = _stencil(path, header, self._gates, self._run_given)

    def run(self, x: Batch) -> Batch:
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

        try:
            return cast(Batch, self._session.run(self._outputs[:1], {self._input: x})[0])
        except (Fail, InvalidArgument, RuntimeException):
            raise _too_small(self._path, x.shape) from None

    def _gates(self, windows: Batch) -> Gates:
        return cast(Gates, self._session.run(self._outputs[1:2], {self._input: windows})[0])

    def _run_given(self, x: Batch, gates: Gates) -> Batch:
        return cast(Batch, self._session.run(self._outputs[:1], {self._input: x, GATES: gates})[0])


ENGINES: dict[str, type[OpenVINOEngine] | type[OnnxRuntimeEngine]] = {
    "openvino": OpenVINOEngine,
    "onnxruntime": OnnxRuntimeEngine,
}
"""Every engine by name, the preferred one first."""


def open_engine(path: Path, *, name: str = "auto", threads: int | None = None) -> Engine:
    """Open an ONNX file with the engine ``name``; ``auto`` takes the first that is installed and starts.

    Raises :class:`WeightsError` for an unusable file, :class:`UsageError` for an unknown engine and
    :class:`MissingPackageError` when the engine is not installed.
    """
    if not path.is_file():
        raise WeightsError(f"cannot read {path}: no such file")
    require_engine(name)
    if name != "auto":
        try:
            return ENGINES[name](path, threads=threads)
        except ImportError as error:
            raise MissingPackageError(f"engine {name} is not usable here ({error}); pip install {name}") from None
    for kind in ENGINES.values():
        try:
            return kind(path, threads=threads)
        except ImportError:
            continue  # not installed, or not for this platform: the next one serves
    raise MissingPackageError(f"no engine is installed; pip install {' or '.join(ENGINES)}")


def require_engine(name: str) -> None:
    """Raise :class:`UsageError` unless ``name`` is an engine's, or ``auto``."""
    if name not in ("auto", *ENGINES):
        raise UsageError(f"unknown engine {name!r}; there are: auto, {', '.join(ENGINES)}")


def require_scale(engine: Engine, path: Path, scale: int) -> None:
    """Raise :class:`UsageError` unless the network that ``engine`` opened from ``path`` upscales by ``scale``."""
    if engine.scale != scale:
        raise UsageError(f"{path} upscales by {engine.scale}, not {scale}; give --scale {engine.scale}")


def _too_small(path: Path, shape: tuple[int, ...]) -> UsageError:
    return UsageError(f"{path} cannot take a picture of {shape[3]}x{shape[2]}: try a larger one")


def _scale(path: Path, shape: tuple[int, ...]) -> int:
    scale = shape[2] // PROBE if len(shape) == 4 else 0
    if scale < 1 or tuple(shape) != (1, 3, scale * PROBE, scale * PROBE):
        raise WeightsError(f"{path} maps 1x3x{PROBE}x{PROBE} to {'x'.join(map(str, shape))}: no upscaling network")
    return scale


def _stencil(
    path: Path, header: str, gates: Callable[[Batch], Gates], run: Callable[[Batch, Gates], Batch]
) -> Stencil | None:
    """What the header of the file ``path`` says of tiles; ``None`` where it says nothing."""
    try:
        said = json.loads(header).get("stencil") if header else None
        if said is None:
            return None
        radius, halo = said["radius"], said["halo"]
        if type(radius) is not int or type(halo) is not int or not 0 < halo <= radius <= LARGEST_RADIUS:
            raise ValueError
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise WeightsError(f"{path} has a damaged mafdn header; export it again") from None
    return Stencil(radius=radius, halo=halo, gates=gates, run=run)


def _take_gates(model: Any) -> None:
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
