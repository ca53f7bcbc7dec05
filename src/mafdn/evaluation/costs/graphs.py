"""Count the parameters and Multi-Adds of an ONNX file from its graph, whichever program wrote it.

The counts follow `mafdn.networks.counting`: *conv MACs* are one multiply-add per weight and output pixel of every
convolution; *thop-style* adds n + 1 for every mean of n pixels, 1 for every result of other average pooling, and the
multiplications of linear layers. Batch norms are not counted: exporters merge them with convolutions. Constants with a
single element, such as the slope of a leaky ReLU, are not counted as parameters unless they are the bias of a
convolution.
"""

import math
from pathlib import Path
from typing import Any

from mafdn.errors import WeightsError
from mafdn.inference.engines.openvino import read_onnx
from mafdn.weights.counts import Count

CONVOLUTIONS = ("Convolution", "GroupConvolution")
TRANSPOSED = ("ConvolutionBackpropData", "GroupConvolutionBackpropData")
ELEMENTWISE = ("Add", "Subtract", "Multiply", "Divide", "PRelu")
"""Operations whose constant operand is learned: biases, scales, slopes."""
MEANS = ("ReduceMean", "AvgPool", "AdaptiveAvgPool")
SQUARES = ("Power", "SquaredDifference")
"""Operations whose mean is a variance, which thop does not count."""
PASSED = (
    "Reshape",
    "Unsqueeze",
    "Squeeze",
    "Convert",
    "Transpose",
    "Broadcast",
    "Multiply",
    "Subtract",
    "FakeQuantize",
)
"""Operations between stored weights and their use, in quantized files too."""


def count_graph(path: Path, size: tuple[int, int]) -> Count:
    """Count an ONNX file for an input of `size` (height, width), as a whole.

    Raises:
        WeightsError: The file cannot be read, or does not accept an input of this size.
        ImportError: OpenVINO is not installed.
    """
    model = read_onnx(path)
    try:
        model.reshape({model.inputs[0]: [1, 3, *size]})
    except Exception as error:  # OpenVINO's own classes differ between versions
        if not type(error).__module__.startswith("openvino") and not isinstance(error, RuntimeError):
            raise
        raise WeightsError(
            f"{path} cannot be counted for a {size[1]}x{size[0]} input: its input size is fixed"
        ) from None
    learned: dict[str, int] = {}
    conv = extra = 0
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        inputs: list[Any] = [node.input_value(i).get_node() for i in range(node.get_input_size())]
        stored = [_stored(source) for source in inputs]
        if kind in (*CONVOLUTIONS, *TRANSPOSED):
            conv += convolution_macs(node)
            learned |= _named(stored[1])
        elif kind == "MatMul":
            for constant in filter(None, stored):
                outputs = _elements(node.output(0))
                extra += outputs * _elements(constant.output(0)) // list(node.output(0).get_shape())[-1]
                learned |= _named(constant)
        elif kind in ELEMENTWISE and any(stored) and not all(stored):
            for constant, other in zip(stored, reversed(inputs), strict=True):
                if constant and (_elements(constant.output(0)) > 1 or other.get_type_name() in CONVOLUTIONS):
                    learned |= _named(constant)
        elif kind in MEANS and inputs[0].get_type_name() not in SQUARES:
            given, pooled = list(node.input_value(0).get_shape()), list(node.output(0).get_shape())
            if pooled[:2] == given[:2]:  # over pixels, not over channels
                local = kind == "AvgPool" and math.prod(pooled[2:]) > 1
                extra += math.prod(pooled) + (0 if local else math.prod(given))
    return Count.of_one_form(parameters=sum(learned.values()), conv_macs=conv, thop_macs=conv + extra)


def convolution_macs(node: Any) -> int:
    """The multiply-adds of a convolution in a graph: one per weight and output pixel, without biases."""
    kind = node.get_type_name()
    weights = list(node.input_value(1).get_shape())  # (n, m, k, l), preceded by the number of groups, if any
    pixels = node.output(0) if kind in CONVOLUTIONS else node.input_value(0)  # transposed: every input pixel
    return _elements(pixels) * math.prod(weights[2:] if kind.startswith("Group") else weights[1:])


def _stored(node: Any) -> Any | None:
    """The constant that a node only reshapes or dequantizes; `None` if it depends on the picture."""
    while node.get_type_name() in PASSED:
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "Constant" else None


def _named(constant: Any | None) -> dict[str, int]:
    return {constant.get_friendly_name(): _elements(constant.output(0))} if constant else {}


def _elements(value: Any) -> int:
    return math.prod(value.get_shape())
