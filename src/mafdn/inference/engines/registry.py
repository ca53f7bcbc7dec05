"""Choose the engine that runs a network: the requested one, or the fastest on this machine."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from mafdn._support.extras import pip_install
from mafdn._support.machine import machine
from mafdn.errors import MissingPackageError, UsageError, WeightsError
from mafdn.inference.engines.base import Engine, FullRangeError, parse_header
from mafdn.inference.engines.choice import Choice, has_other_device, measure_engines, remember, remembered
from mafdn.inference.engines.model_files import has_int8, int8_file
from mafdn.inference.engines.onnxruntime import PACKAGES, OnnxRuntimeEngine
from mafdn.inference.engines.openvino import OpenVINOEngine, header_text, read_onnx
from mafdn.inference.engines.precision import auto_precision
from mafdn.inference.engines.torch import TorchEngine, weights_file
from mafdn.inference.options import AUTO, EXACT, FP32, INT8, EngineOptions
from mafdn.weights.resolve import TORCH_FILES
from mafdn.weights.shipped import shipped_scales, weights_folder

ENGINES: dict[str, type[OpenVINOEngine] | type[OnnxRuntimeEngine]] = {
    "openvino": OpenVINOEngine,
    "onnxruntime": OnnxRuntimeEngine,
}
"""All engines that run ONNX files, the preferred one first."""


def open_engine(path: Path, options: EngineOptions | None = None) -> Engine:
    """Open a network file with an engine.

    Args:
        path: An ONNX file, or a weights file (`.safetensors`, `.pth`), which only torch can run.
        options: Engine, device, precision and threads (default: `EXACT`, fp32). An engine or device of `auto` is the
            fastest one, by a cached measurement unless it is known; a precision of `auto` that for 8-bit pictures. For
            int8, the file `NAME-int8.onnx` beside `path` is opened.

    Raises:
        WeightsError: If the file is missing or not a usable network.
        UsageError: If the device or precision is not available, or this processor would compute an int8 file wrongly.
        MissingPackageError: If the engine is not installed.
    """
    if not path.is_file():
        raise WeightsError(f"cannot read {path}: no such file")
    options = _with_precision(path, _with_engine_for(path, options or EXACT))
    path, _ = resolve_model(path, options)
    if options.engine == TorchEngine.name and options.device == AUTO:
        options = replace(options, device=_torch_device())
    if options.engine != AUTO and options.device != AUTO:
        return _open(path, options)
    choice = remembered(options)
    if choice is None and _is_known(options):
        return _open(path, replace(options, engine=OpenVINOEngine.name, device="cpu"))
    best = choice.best(options) if choice else None
    if best:
        try:
            return _open(path, replace(options, engine=best[0], device=best[1]))
        except FullRangeError:
            raise  # caused by the file, not by the device
        except (MissingPackageError, UsageError):
            pass  # the device has been removed since it was measured: measure again
    return _open(path, _measured(path, options))


def resolve_model(path: Path, options: EngineOptions) -> tuple[Path, str]:
    """Return the file that is run for `path`, and its precision, with `auto` resolved.

    Args:
        path: An ONNX or weights file.
        options: Engine, device and precision.

    Returns:
        The file and one of `PRECISIONS`. For int8 the file is `NAME-int8.onnx`, for torch the weights file.

    Raises:
        UsageError: If the engine cannot run this type of file.
        WeightsError: If the int8 or weights file is missing, or the int8 file was made from other weights.
    """
    options = _with_precision(path, _with_engine_for(path, options))
    if options.engine == TorchEngine.name:
        return weights_file(path), options.precision
    return (_checked_int8_file(path) if options.precision == INT8 else path), options.precision


def describe(engine: Engine) -> str:
    """Name an engine for reports: `openvino 2026.4.1 on cpu in fp32`."""
    return f"{engine.name} {engine.version} on {engine.device} in {engine.precision}"


def chosen_engine(path: Path, options: EngineOptions | None = None, *, fresh: bool = False) -> Choice:
    """Return the timings of all engines and devices on this machine, measured once and then cached.

    Args:
        path: The network to time if there are no shipped weights; otherwise the largest shipped scale is timed.
        options: Precision and threads to measure with (default: `EXACT`).
        fresh: Measure again, even if there are cached timings.

    Raises:
        WeightsError: If there is no usable file in this precision.
    """
    options = options or EXACT
    choice = None if fresh else remembered(options)
    if choice is None:
        scales = shipped_scales()
        timed = weights_folder() / f"mafdn-x{scales[-1]}.onnx" if scales else path
        if options.precision == INT8:
            timed = int8_file(timed) if has_int8(timed) else _checked_int8_file(path)
        choice = measure_engines(ENGINES, timed, options)
        remember(choice)
    return choice


def preferred_engine() -> str:
    """Return the first installed engine, without importing it; measured scores use it on every machine.

    Raises:
        MissingPackageError: If no engine is installed.
    """
    for name in ENGINES:
        if importlib.util.find_spec(name):
            return name
    raise _no_engine()


def read_file_header(path: Path) -> dict[str, Any]:
    """Return the header of an ONNX file; empty for files of other programs.

    Raises:
        WeightsError: If the file is missing or damaged.
        MissingPackageError: If OpenVINO, which reads it, is not installed.
    """
    try:
        text = header_text(read_onnx(path))
    except ImportError as error:
        raise _not_installed(OpenVINOEngine.name, error) from None
    parse_header(path, text)
    return cast(dict[str, Any], json.loads(text)) if text else {}


def require_scale(engine: Engine, path: Path, scale: int) -> None:
    """Raise `UsageError` unless the network that `engine` opened from `path` upscales by `scale`."""
    if engine.scale != scale:
        raise UsageError(f"{path} upscales by {engine.scale}, not {scale}; use scale {engine.scale}", setting="scale")


def _with_engine_for(path: Path, options: EngineOptions) -> EngineOptions:
    """Resolve an engine of `auto` to torch for a weights file, which the other engines cannot run."""
    if path.suffix not in TORCH_FILES or options.engine == TorchEngine.name:
        return options
    if options.engine == AUTO:
        return replace(options, engine=TorchEngine.name)
    raise UsageError(
        f"{options.engine} runs ONNX files, not weights files such as {path}; "
        "use the engine torch, or run 'mafdn export' first",
        setting="engine",
    )


def _with_precision(path: Path, options: EngineOptions) -> EngineOptions:
    """Resolve a precision of `auto`; another one than fp32 was measured in OpenVINO on the CPU, and runs there."""
    if options.precision != AUTO:
        return options
    precision = auto_precision(path, options)
    if precision == FP32:
        return replace(options, precision=FP32)
    return replace(options, precision=precision, engine=OpenVINOEngine.name, device="cpu")


def _open(path: Path, options: EngineOptions) -> Engine:
    """Open `path` with options without `auto`."""
    kind = TorchEngine if options.engine == TorchEngine.name else ENGINES[options.engine]
    try:
        return kind(path, device=options.device, threads=options.threads, precision=options.precision)
    except ImportError as error:
        raise _not_installed(options.engine, error) from None


def _is_known(options: EngineOptions) -> bool:
    """Whether OpenVINO on the CPU is known to be the fastest without a measurement.

    It is on x86-64 processors without another device (docs/speed.md); measuring that on the first start would take
    longer than a small picture.
    """
    if options.engine != AUTO or options.device not in (AUTO, "cpu") or options.precision not in (FP32, INT8):
        return False
    if not machine().is_x86 or importlib.util.find_spec(OpenVINOEngine.name) is None:
        return False
    return options.device == "cpu" or not has_other_device()


def _measured(path: Path, options: EngineOptions) -> EngineOptions:
    """Resolve engine and device by a measurement, which is skipped if only one qualifies."""
    if options.engine != AUTO:
        try:
            devices = ENGINES[options.engine].devices()
        except ImportError as error:
            raise _not_installed(options.engine, error) from None
        fitting = [device for device, precisions in devices.items() if options.precision in precisions]
        if len(fitting) < 2:  # the only one, or one whose error explains why it is unsuitable
            return replace(options, device=(fitting or list(devices))[0])
    choice = chosen_engine(path, options, fresh=True)
    best = choice.best(options)
    if best:
        return replace(options, engine=best[0], device=best[1])
    if not choice.trials:
        raise _no_engine()
    found = ", ".join(f"{t.engine} on {t.device}{f' ({t.problem})' if t.problem else ''}" for t in choice.trials)
    hint = f"; pip install {PACKAGES[options.device]} instead of onnxruntime" if options.device in PACKAGES else ""
    where = f" on {options.device}" if options.device != AUTO else ""
    raise UsageError(f"no engine runs this network{where} in {options.precision}; available: {found}{hint}")


def _checked_int8_file(path: Path) -> Path:
    beside = int8_file(path)
    if not beside.is_file():
        raise WeightsError(f"{path.name} has no int8 version (no file {beside}); use fp32", setting="precision")
    if not has_int8(path):
        raise WeightsError(f"{beside} was quantized from a different {path.name}; run 'mafdn quantize' again")
    return beside


def _torch_device() -> str:
    """Return torch's device that is probably the fastest."""
    try:
        return list(TorchEngine.devices())[-1]
    except ImportError as error:
        raise _not_installed(TorchEngine.name, error) from None


def _no_engine() -> MissingPackageError:
    return MissingPackageError(f"no engine is installed; pip install {' or '.join(ENGINES)}")


def _not_installed(name: str, error: ImportError) -> MissingPackageError:
    command = pip_install("train") if name == TorchEngine.name else f"pip install {name}"
    return MissingPackageError(f"the engine {name} cannot be imported ({error}); {command}")
