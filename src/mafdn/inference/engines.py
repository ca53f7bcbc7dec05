"""Engines: what runs an ONNX file that maps (1, 3, H, W) to (1, 3, sH, sW).

Public names: :class:`Engine`, :data:`ENGINES`, :func:`open_engine`, :func:`require_scale`.
"""

import functools
import importlib.metadata
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mafdn.errors import MissingPackageError, UsageError, WeightsError

Batch = NDArray[np.float32]
COMPILED_KEPT = 4
"""Tile shapes whose compiled graph is kept; a picture needs one."""
PROBE = 16
"""Side of the input by which a file's scale is found."""


class Engine(Protocol):
    """Runs one network; ``scale`` is what its file turns out to do."""

    name: str
    version: str
    scale: int

    def run(self, x: Batch) -> Batch:
        """(1, 3, H, W) float32 RGB in [0, 1] to (1, 3, scale*H, scale*W), not clipped."""
        ...


class OpenVINOEngine:
    """OpenVINO on the CPU, in full 32-bit precision, one compiled graph per input shape."""

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
        self.scale = _scale(path, shape)
        self._compiled = functools.lru_cache(maxsize=COMPILED_KEPT)(self._compile)

    def run(self, x: Batch) -> Batch:
        return cast(Batch, self._compiled(x.shape[2], x.shape[3])(x)[0])

    def _compile(self, height: int, width: int) -> Any:
        model = self._model.clone()
        model.reshape([1, 3, height, width])
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
            shape = self.run(np.zeros((1, 3, PROBE, PROBE), np.float32)).shape
        except Exception as error:  # onnxruntime's errors share no narrower base
            if isinstance(error, MemoryError):
                raise
            raise WeightsError(f"{path} is not a network from (1, 3, H, W) that onnxruntime can read") from None
        self.scale = _scale(path, shape)

    def run(self, x: Batch) -> Batch:
        return cast(Batch, self._session.run(None, {self._input: x})[0])


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
    if name != "auto":
        if name not in ENGINES:
            raise UsageError(f"unknown engine {name!r}; there are: auto, {', '.join(ENGINES)}")
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


def require_scale(engine: Engine, path: Path, scale: int) -> None:
    """Raise :class:`UsageError` unless the network that ``engine`` opened from ``path`` upscales by ``scale``."""
    if engine.scale != scale:
        raise UsageError(f"{path} upscales by {engine.scale}, not {scale}; give --scale {engine.scale}")


def _scale(path: Path, shape: tuple[int, ...]) -> int:
    scale = shape[2] // PROBE if len(shape) == 4 else 0
    if scale < 1 or tuple(shape) != (1, 3, scale * PROBE, scale * PROBE):
        raise WeightsError(f"{path} maps 1x3x{PROBE}x{PROBE} to {'x'.join(map(str, shape))}: no upscaling network")
    return scale
