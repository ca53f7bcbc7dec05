"""Engines: what runs a network that maps (1, 3, H, W) to (1, 3, sH, sW).

Public names: :func:`open_engine`, :func:`chosen_engine`, :func:`preferred_engine`, :func:`auto_precision`,
:func:`settled`, :func:`describe`, :func:`require_engine`, :func:`require_precision`, :func:`require_scale`,
:data:`ENGINES`, and what every engine is (:mod:`mafdn.inference.engines.base`).

A file may hold two graphs in one: with an input ``gates`` beside ``lr``, left to its default of NaN, it is an ordinary
network that also puts out the gates it uses; with gates given, it takes them instead of its own. Its header says so
(``stencil``), and what tiles then need around them.
"""

import importlib.util
from pathlib import Path

from mafdn._support.machine import machine
from mafdn.errors import MissingPackageError, UsageError, WeightsError
from mafdn.inference.engines.base import (
    FP32,
    GATES,
    HEADER,
    INT8,
    PRECISIONS,
    Batch,
    Engine,
    FullRangeError,
    Gates,
    Stencil,
)
from mafdn.inference.engines.choice import Choice, measure_engines, remember, remembered
from mafdn.inference.engines.model_files import has_int8, int8_file
from mafdn.inference.engines.onnxruntime import PACKAGES, OnnxRuntimeEngine
from mafdn.inference.engines.openvino import OpenVINOEngine
from mafdn.inference.engines.torch import TorchEngine, weights_file
from mafdn.weights.shipped import shipped_scales, weights_folder

__all__ = [
    "ENGINES",
    "GATES",
    "HEADER",
    "NAMES",
    "PRECISIONS",
    "Batch",
    "Engine",
    "Gates",
    "Stencil",
    "auto_precision",
    "chosen_engine",
    "describe",
    "open_engine",
    "preferred_engine",
    "require_engine",
    "require_precision",
    "require_scale",
    "settled",
]

ENGINES: dict[str, type[OpenVINOEngine] | type[OnnxRuntimeEngine]] = {
    "openvino": OpenVINOEngine,
    "onnxruntime": OnnxRuntimeEngine,
}
"""Every engine that runs ONNX files, by name, the preferred one first."""
NAMES = (*ENGINES, TorchEngine.name)
"""Every engine; torch runs the weights beside an ONNX file, takes seconds to import and is never chosen unasked."""


def open_engine(
    path: Path, *, name: str = "auto", device: str = "auto", threads: int | None = None, precision: str = FP32
) -> Engine:
    """Open a network's file with the engine ``name`` on a device it has.

    Where either is ``auto``, :func:`chosen_engine` decides. ``precision`` is one of :data:`PRECISIONS` or ``auto``
    (:func:`auto_precision`); for ``int8`` the file ``NAME-int8.onnx`` beside ``path`` is taken. Raises
    :class:`WeightsError` for an unusable file, :class:`UsageError` for an unknown engine or device, a precision that
    is not to be had and an int8 file that OpenVINO computes wrongly on this processor, and
    :class:`MissingPackageError` when the engine is not installed.
    """
    if not path.is_file():
        raise WeightsError(f"cannot read {path}: no such file")
    device = device.lower()
    path, precision = settled(path, name=name, device=device, precision=precision)
    if name == TorchEngine.name:
        return _open(path, name, _torch_device() if device == "auto" else device, threads, precision)
    if name != "auto" and device != "auto":
        return _open(path, name, device, threads, precision)
    choice = remembered(threads=threads, precision=precision)
    best = choice.best(engine=name, device=device) if choice else None
    if best:
        try:
            return _open(path, *best, threads, precision)
        except FullRangeError:
            raise  # of the file, not of the device
        except (MissingPackageError, UsageError):
            pass  # a device that is gone since: look again
    engine, found = _measured(path, name, device, threads, precision)
    return _open(path, engine, found, threads, precision)


def settled(path: Path, *, name: str = "auto", device: str = "auto", precision: str = FP32) -> tuple[Path, str]:
    """The file that is run where ``path`` is asked for, and the precision that ``auto`` comes to.

    Raises :class:`UsageError` and :class:`WeightsError` as :func:`open_engine` does.
    """
    require_engine(name)
    require_precision(precision)
    if precision == "auto":
        precision = auto_precision(path, engine=name, device=device)
    if name == TorchEngine.name:
        return weights_file(path), precision
    return (_int8(path) if precision == INT8 else path), precision


def describe(engine: Engine) -> str:
    """``openvino 2026.4.1 on cpu in fp32``: what reports say of it."""
    return f"{engine.name} {engine.version} on {engine.device} in {engine.precision}"


def chosen_engine(path: Path, *, threads: int | None = None, precision: str = FP32, fresh: bool = False) -> Choice:
    """What was measured of all engines and devices on this machine, now when it was not before, or when ``fresh``.

    The first network that ships is timed, ``path`` where none does. Raises what :func:`open_engine` raises.
    """
    choice = None if fresh else remembered(threads=threads, precision=precision)
    if choice is None:
        scales = shipped_scales()
        timed = weights_folder() / f"mafdn-x{scales[-1]}.onnx" if scales else path
        if precision == INT8:
            timed = int8_file(timed) if has_int8(timed) else _int8(path)
        choice = measure_engines(ENGINES, timed, threads=threads, precision=precision)
        remember(choice)
    return choice


def preferred_engine() -> str:
    """The first engine that is installed, without importing it: figures of research are of one engine everywhere.

    Raises :class:`MissingPackageError` when there is none.
    """
    for name in ENGINES:
        if importlib.util.find_spec(name):
            return name
    raise MissingPackageError(f"no engine is installed; pip install {' or '.join(ENGINES)}")


def auto_precision(path: Path, *, engine: str = "auto", device: str = "auto") -> str:
    """``int8`` where a file of that precision lies beside ``path`` and is much faster here, else ``fp32``.

    A file of the shipped weights passed the gate on what it loses; it is about twice as fast in OpenVINO on processors
    that sum 8-bit products in 32 bits. Without such instructions it is 1.5 times as fast, which is left to be asked
    for: the result is not that of fp32.
    """
    fast = engine in ("auto", "openvino") and device in ("auto", "cpu")
    fast = fast and importlib.util.find_spec("openvino") is not None
    return INT8 if fast and machine().has_int8_dot_product and has_int8(path) else FP32


def require_engine(name: str) -> None:
    """Raise :class:`UsageError` unless ``name`` is an engine's, or ``auto``."""
    if name not in ("auto", *NAMES):
        raise UsageError(f"unknown engine {name!r}; there are: auto, {', '.join(NAMES)}")


def require_precision(name: str) -> None:
    """Raise :class:`UsageError` unless ``name`` is a precision, or ``auto``."""
    if name not in ("auto", *PRECISIONS):
        raise UsageError(f"unknown precision {name!r}; there are: auto, {', '.join(PRECISIONS)}")


def require_scale(engine: Engine, path: Path, scale: int) -> None:
    """Raise :class:`UsageError` unless the network that ``engine`` opened from ``path`` upscales by ``scale``."""
    if engine.scale != scale:
        raise UsageError(f"{path} upscales by {engine.scale}, not {scale}; give --scale {engine.scale}")


def _open(path: Path, name: str, device: str, threads: int | None, precision: str) -> Engine:
    kind = TorchEngine if name == TorchEngine.name else ENGINES[name]
    try:
        return kind(path, device=device, threads=threads, precision=precision)
    except ImportError as error:
        raise _unusable(name, error) from None


def _measured(path: Path, name: str, device: str, threads: int | None, precision: str) -> tuple[str, str]:
    """The engine and device by a measurement, or, where only one will do, by that alone."""
    if name != "auto":
        try:
            devices = ENGINES[name].devices()
        except ImportError as error:
            raise _unusable(name, error) from None
        fitting = [found for found, known in devices.items() if precision in known]
        if len(fitting) < 2:  # the one that there is, or the one whose refusal says why
            return name, (fitting or list(devices))[0]
    choice = chosen_engine(path, threads=threads, precision=precision, fresh=True)
    best = choice.best(engine=name, device=device)
    if best:
        return best
    if not choice.trials:
        raise MissingPackageError(f"no engine is installed; pip install {' or '.join(ENGINES)}")
    have = ", ".join(f"{t.engine} on {t.device}{f' ({t.problem})' if t.problem else ''}" for t in choice.trials)
    more = f"; pip install {PACKAGES[device]} instead of onnxruntime" if device in PACKAGES else ""
    wanted = f" on {device}" if device != "auto" else ""
    raise UsageError(f"no engine runs this{wanted} in {precision}; there are: {have}{more}")


def _int8(path: Path) -> Path:
    beside = int8_file(path)
    if not beside.is_file():
        raise WeightsError(f"{path.name} has no int8 form: there is no {beside}; take --precision fp32")
    if not has_int8(path):
        raise WeightsError(f"{beside} was made from another {path.name} than lies beside it; quantize it again")
    return beside


def _torch_device() -> str:
    """The one that is most likely the fastest."""
    try:
        return list(TorchEngine.devices())[-1]
    except ImportError as error:
        raise _unusable(TorchEngine.name, error) from None


def _unusable(name: str, error: ImportError) -> MissingPackageError:
    package = "'mafdn[train]'" if name == TorchEngine.name else name
    return MissingPackageError(f"engine {name} is not usable here ({error}); pip install {package}")
