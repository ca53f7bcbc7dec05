"""Equalization of channels before quantization: the same results, and more similar ranges."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from mafdn.release.equalize import equalize
from tests.support import soft_batch


def run(model: onnx.ModelProto, x: np.ndarray, *names: str) -> list[Any]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {output.name for output in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    session = onnxruntime.InferenceSession(copy.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(list(names), {model.graph.input[0].name: x}))


def spread(value: np.ndarray) -> float:
    """The largest range of a channel divided by the median one."""
    ranges = np.abs(value).max((0, 2, 3))
    return float(ranges.max() / np.median(ranges))


@pytest.fixture
def uneven(exported: Path) -> tuple[onnx.ModelProto, str]:
    """A network whose first LeakyReLU has a channel a hundred times as large as others; and the name of its output."""
    model = onnx.load(exported)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    conv = next(node for node in model.graph.node if "blocks.0.refines.0" in "".join(node.input))
    for name in conv.input[1:]:
        value = numpy_helper.to_array(weights[name]).copy()
        value[3] *= 100
        weights[name].CopyFrom(numpy_helper.from_array(value, name))
    return model, next(node.output[0] for node in model.graph.node if node.input[0] == conv.output[0])


def test_results_stay_the_same_to_the_bit_and_ranges_become_similar(uneven: tuple[onnx.ModelProto, str]) -> None:
    model, activation = uneven
    x = soft_batch(24, 20, 3)
    names = model.graph.output[0].name, activation
    result, before = run(model, x, *names)
    count = equalize(model, [{model.graph.input[0].name: soft_batch(32, 32, seed)} for seed in range(3)])
    assert count == 3 * 2 + 1  # of every block, and before the last convolutions
    equalized, after = run(model, x, *names)
    assert np.array_equal(result, equalized)
    assert not np.array_equal(before, after)
    assert spread(after) < spread(before) / 3
    ratio = (before / after)[before != 0].reshape(-1)
    assert np.array_equal(np.log2(ratio), np.round(np.log2(ratio)))


def test_channels_that_other_operations_use_are_left_alone(uneven: tuple[onnx.ModelProto, str]) -> None:
    model, activation = uneven
    for name in (activation, model.graph.output[0].name):
        node = onnx.helper.make_node("ReduceMean", [activation], [f"mean of {name}"])
        model.graph.node.append(node)
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    conv = next(n for n in model.graph.node if "blocks.0.refines.0" in "".join(n.input))
    assert equalize(model, [{model.graph.input[0].name: soft_batch(32, 32, 0)}]) == 6
    after = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert np.array_equal(weights[conv.input[1]], after[conv.input[1]])
