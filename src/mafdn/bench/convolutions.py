"""The cost of a network layer by layer in OpenVINO, and the highest rate of convolutions alone."""

import functools
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mafdn._support.machine import thread_count
from mafdn.evaluation.costs.graphs import CONVOLUTIONS, convolution_macs
from mafdn.inference.engines.openvino import HINTS, OpenVINOEngine, import_openvino, openvino_core, read_onnx
from mafdn.inference.options import FP32, INT8

DEPTH = 26
"""Convolutions in the stack whose rate is a ceiling; about as much work as a network, so that load affects both alike.
"""


@dataclass(frozen=True, kw_only=True)
class Convolutions:
    """All convolutions of a network, for one size of input."""

    macs: int
    """Multiply-adds: one per weight and output pixel, without biases."""
    width: int
    """The most frequent number of output channels of the 3x3 convolutions."""
    kinds: dict[str, tuple[str, int]]
    """Kind and multiply-adds of each layer, by its name."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One kind of layer: number, time and multiply-adds of all layers of this kind in one run."""

    kind: str
    count: int
    milliseconds: float
    share: float
    """Share of the time of all layers."""
    macs: int


def convolutions(path: Path, size: tuple[int, int]) -> Convolutions:
    """The convolutions of an ONNX file for an input of `size` (height, width).

    Raises:
        WeightsError: OpenVINO cannot read the file.
    """
    model = read_onnx(path)
    model.reshape([1, 3, *size])
    kinds: dict[str, tuple[str, int]] = {}
    widths: Counter[int] = Counter()
    for operation in model.get_ordered_ops():
        if operation.get_type_name() not in CONVOLUTIONS:
            continue
        out = list(operation.output(0).get_shape())  # (1, n, H, W)
        weights = list(operation.input_value(1).get_shape())  # (n, m, k, l), preceded by the number of groups, if any
        across, high, wide = weights[-3:]
        macs = convolution_macs(operation)
        single = "" if out[2:] != [1, 1] else ", of one pixel"
        kinds[operation.get_friendly_name()] = (f"{high}x{wide} convolution, {across} to {out[1]}{single}", macs)
        widths[out[1]] += (high, wide) == (3, 3)
    macs = sum(cost for _, cost in kinds.values())
    return Convolutions(macs=macs, width=max(widths, key=lambda n: widths[n], default=0), kinds=kinds)


def profile_layers(
    path: Path, size: tuple[int, int], *, precision: str = FP32, threads: int | None = None, rounds: int = 9
) -> list[Layer]:
    """The time of every kind of layer on the CPU, the slowest first.

    Operations that OpenVINO fuses into another layer, such as activations and sums, have no row of their own.

    Args:
        path: An ONNX file.
        size: Height and width of the input.
        precision: As in `mafdn.inference.options.EngineOptions`.
        threads: Cores to use; all if `None`.
        rounds: Runs, of which medians are taken.

    Raises:
        UsageError, WeightsError: As `mafdn.inference.engines.openvino.OpenVINOEngine`.
    """
    kinds = convolutions(path, size).kinds
    engine = OpenVINOEngine(path, threads=threads, precision=precision, profiled=True)
    request = engine.compiled((1, 3, *size)).create_infer_request()
    x = np.random.default_rng(0).random((1, 3, *size), np.float32)
    times: dict[str, list[float]] = {}
    types: dict[str, str] = {}
    for number in range(rounds + 1):
        request.infer({0: x})
        for node in request.profiling_info if number else ():
            times.setdefault(node.node_name, []).append(1000 * node.real_time.total_seconds())
            types[node.node_name] = node.node_type
    rows: dict[str, tuple[int, float, int]] = {}
    for name, mine in times.items():
        median = statistics.median(mine)
        kind, macs = kinds.get(name, (types[name], 0))
        if median or macs:  # layers fused into others are listed with a time of 0; a tiny convolution may round to it
            count, milliseconds, all_macs = rows.get(kind, (0, 0.0, 0))
            rows[kind] = (count + 1, milliseconds + median, all_macs + macs)
    total = sum(milliseconds for _, milliseconds, _ in rows.values())
    return sorted(
        (Layer(kind=k, count=c, milliseconds=ms, share=ms / total, macs=macs) for k, (c, ms, macs) in rows.items()),
        key=lambda layer: -layer.milliseconds,
    )


def open_convolutions(
    *, width: int, size: tuple[int, int], precision: str = FP32, threads: int | None = None
) -> Callable[[], object]:
    """A function that runs just `DEPTH` 3x3 convolutions of `width` channels, in OpenVINO on the CPU.

    Args:
        width: Channels.
        size: Height and width of the input.
        precision: As in `mafdn.inference.options.EngineOptions`; `int8` has 8-bit activations and weights, as in a
            quantized network.
        threads: Cores to use; all that this process may use if `None`.
    """
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }
    if threads := thread_count(threads):
        options["INFERENCE_NUM_THREADS"] = threads
    model = _stack(width, size, quantized=precision == INT8)
    run: Any = openvino_core().compile_model(model, "CPU", options)
    x = np.random.default_rng(0).random((1, width, *size), np.float32)
    return functools.partial(run, x)


def ceiling_macs(width: int, size: tuple[int, int]) -> int:
    """The multiply-adds of one run of `open_convolutions`."""
    return DEPTH * 9 * width**2 * size[0] * size[1]


def _stack(width: int, size: tuple[int, int], *, quantized: bool) -> Any:
    openvino = import_openvino()
    opset: Any = openvino.opset13

    rng = np.random.default_rng(0)
    x = opset.parameter([1, width, *size], np.float32)
    y: Any = x
    for _ in range(DEPTH):
        weights: Any = opset.constant(rng.standard_normal((width, width, 3, 3)).astype(np.float32) / (3 * width**0.5))
        if quantized:
            y = _rounded(opset, y, 0.0, 4.0, 256)
            weights = _rounded(opset, weights, -1.0, 1.0, 255)
        y = opset.relu(opset.convolution(y, weights, [1, 1], [1, 1], [1, 1], [1, 1]))
    return openvino.Model([opset.result(y)], [x], "ceiling")


def _rounded(opset: Any, value: Any, low: float, high: float, levels: int) -> Any:
    ends = [opset.constant(np.float32(end)) for end in (low, high)]
    return opset.fake_quantize(value, *ends, *ends, levels)
