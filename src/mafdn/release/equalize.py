"""Scale the channels of an exported network so that those that are quantized together have similar ranges.

Cross-layer equalization (Nagel et al., ICCV 2019, arXiv 1906.04721): a factor of each channel after a LeakyReLU, which
commutes with positive factors, is divided out of the convolution before it and multiplied into those that follow. The
factors are powers of two, so that the network in float computes the same result to the bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from mafdn.inference.engines.onnxruntime import import_onnxruntime

LEAST = 1e-3
"""Smallest range of a channel, and smallest weight, relative to the largest; keeps factors of unused channels small."""


def equalize(model: onnx.ModelProto, samples: Sequence[Mapping[str, NDArray[np.float32]]]) -> int:
    """Scale the channels after each LeakyReLU whose result only convolutions use, as it is or times a sigmoid.

    A channel's factor is the square root of its range divided by the largest relative weight that it meets, which
    shares the loss of precision between activations and weights.

    Args:
        model: The network, which is changed.
        samples: Inputs by name, from which the ranges are measured.

    Returns:
        The number of LeakyReLUs whose channels were scaled.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    places = _places(graph, weights)
    for place, ranges in zip(places, _ranges(model, [place.name for place in places], samples), strict=True):
        relative: list[NDArray[np.float32]] = []
        for name in place.following:
            largest = np.abs(numpy_helper.to_array(weights[name])).max((2, 3))
            relative.append((largest / np.maximum(largest.max(1, keepdims=True), np.finfo(np.float32).tiny)).max(0))
        met = np.maximum(np.max(relative, axis=0), LEAST)
        exponents = np.log2(np.maximum(ranges, max(float(ranges.max()), 1e-30) * LEAST) / met) / 2
        factors = np.exp2(np.round(exponents - exponents.mean())).astype(np.float32)
        for name in place.before:
            _multiply(weights[name], 1 / factors, axis=0)
        for name in place.following:
            _multiply(weights[name], factors, axis=1)
    return len(places)


@dataclass(frozen=True)
class _Place:
    """A LeakyReLU whose channels can be scaled."""

    name: str
    """Its output."""
    before: tuple[str, ...]
    """Weight and bias of the convolution before it."""
    following: tuple[str, ...]
    """Weights of the convolutions that use it."""


def _places(graph: onnx.GraphProto, weights: Mapping[str, onnx.TensorProto]) -> list[_Place]:
    made_by = {output: node for node in graph.node for output in node.output}
    used_by: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            used_by.setdefault(name, []).append(node)

    def following(name: str) -> list[str] | None:
        """Weights of the convolutions that use a value; `None` if other operations do."""
        found: list[str] = []
        for node in used_by.get(name, []):
            if node.op_type == "Conv" and node.input[0] == name:
                found.append(node.input[1])
            elif node.op_type == "Mul" and any(i in made_by and made_by[i].op_type == "Sigmoid" for i in node.input):
                more = following(node.output[0])
                if more is None:
                    return None
                found += more
            else:
                return None
        return found

    places: list[_Place] = []
    for node in graph.node:
        before = made_by.get(node.input[0]) if node.op_type == "LeakyRelu" else None
        if before is None or before.op_type != "Conv" or len(used_by[before.output[0]]) != 1:
            continue
        after = following(node.output[0])
        names = [*before.input[1:], *(after or [])]
        if after and all(name in weights and len(used_by[name]) == 1 for name in names):
            places.append(_Place(node.output[0], tuple(before.input[1:]), tuple(after)))
    return places


def _ranges(
    model: onnx.ModelProto, names: Sequence[str], samples: Sequence[Mapping[str, NDArray[np.float32]]]
) -> list[NDArray[np.float64]]:
    """The largest magnitude of every channel of the values `names`, averaged over the samples."""
    onnxruntime = import_onnxruntime()  # nncf needs it for networks in ONNX
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    sums: list[Any] = [0.0] * len(names)
    for sample in samples:
        for number, value in enumerate(session.run(list(names), dict(sample))):
            sums[number] = sums[number] + np.abs(value).max((0, 2, 3))
    return [np.asarray(total, np.float64) / len(samples) for total in sums]


def _multiply(tensor: onnx.TensorProto, factors: NDArray[np.float32], *, axis: int) -> None:
    value = numpy_helper.to_array(tensor)
    shape = [-1 if number == axis else 1 for number in range(value.ndim)]
    tensor.CopyFrom(numpy_helper.from_array(value * factors.reshape(shape), tensor.name))
