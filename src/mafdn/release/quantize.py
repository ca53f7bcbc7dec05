"""Quantize an exported network to int8.

Post-training quantization by nncf: weights per output channel, activations per tensor, ranges of channels equalized
(`mafdn.release.equalize`) and calibrated on crops of training pictures, biases corrected for the rounding error.
Weights use half the range of int8, so that every processor computes the network correctly
(`mafdn.inference.engines.base.HALF_RANGE`). Which parts stay in float was chosen by measurement (`docs/int8.md`). The
file has the inputs and outputs of the exported one, gates included. It stores rounding as pairs of QuantizeLinear and
DequantizeLinear, which OpenVINO runs as integer convolutions; onnxruntime runs them correctly, though not faster.
"""

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from mafdn._support.atomic import replacing, sha256
from mafdn._support.extras import pip_install
from mafdn._support.machine import installed_version
from mafdn._support.telemetry import hidden
from mafdn.errors import MissingPackageError, WeightsError
from mafdn.inference import ENGINES, EngineOptions, open_engine, preferred_engine
from mafdn.inference.engines import GATES, HEADER, Batch
from mafdn.inference.engines.base import HALF_RANGE
from mafdn.inference.engines.openvino import import_openvino
from mafdn.pixels import psnr
from mafdn.release.equalize import equalize
from mafdn.training.data.bank import Bank
from mafdn.training.data.patches import PatchSampler
from mafdn.weights.header import reject_unreadable

PHOTOS, DRAWN = 320, 80
"""Numbers of unchanged and of binarized calibration crops. With ranges from photographs alone, text and line art lose
several times as much."""
SIDE = 64
"""Side of a crop, in LR pixels."""
SEED = 0
EVERY = 4
"""One of so many crops is used to equalize the ranges of channels."""
MIN_AGREEMENT = 40.0
"""Least PSNR in dB between engines on a quantized network. They differ where a different order of float sums crosses a
rounding threshold; 47 to 55 dB were measured. A faulty kernel gives less than 30."""
KEPT_FLOAT = ("ends", "sums", "gates", "products", "branches")
"""Parts that stay in float, as named by `parts`."""


def read_onnx_header(path: Path) -> dict[str, Any]:
    """The header of an ONNX file; empty for files from other programs.

    Raises:
        WeightsError: The file is missing, too large, damaged or not an ONNX file.
    """
    reject_unreadable(path)
    try:
        model = onnx.load(path, load_external_data=False)
        header = {entry.key: entry.value for entry in model.metadata_props}.get(HEADER, "{}")
        return dict(json.loads(header))
    except OSError as error:
        raise WeightsError.from_os_error(f"cannot read {path}", error) from None
    except (DecodeError, TypeError, ValueError, RecursionError):
        raise WeightsError(f"{path} is not a readable ONNX file; export it again") from None


def read_source_header(path: Path) -> dict[str, Any]:
    """The header of a network that can be quantized; raises `WeightsError` for any other."""
    header = read_onnx_header(path)
    if header.get("architecture") != "mafdn" or "stencil" not in header or header.get("precision"):
        raise WeightsError(f"{path} is not a float MAFDN with gates, as 'mafdn export' writes it")
    return header


def calibration_crops(bank: Bank, *, scale: int) -> list[Batch]:
    """The calibration crops of a bank's LR pictures, (1, 3, SIDE, SIDE) RGB in [0, 1]; always the same ones.

    Raises:
        ConfigError: No picture is large enough.
    """
    sampler = PatchSampler(bank, range(len(bank.pictures)), scale=scale, patch=SIDE, seed=SEED)
    crops = sampler.batch(0, range(PHOTOS + DRAWN)).lr.transpose(0, 3, 1, 2) / np.float32(255)
    crops[PHOTOS:] = crops[PHOTOS:] > np.median(crops[PHOTOS:], axis=(2, 3), keepdims=True)  # eight colors
    crops[PHOTOS::2] = crops[PHOTOS::2, :1]  # black and white
    return list(np.ascontiguousarray(crops[:, None], np.float32))


def quantize_onnx(
    source: Path,
    target: Path,
    crops: Sequence[Batch],
    *,
    kept_float: Collection[str] = KEPT_FLOAT,
    equalized: bool = True,
) -> float:
    """Quantize an exported MAFDN to int8, and compare all engines on the result.

    The header is that of the source plus `precision`, `weight_range`, the SHA-256 of the source and the parameters of
    the quantization.

    Args:
        source: An ONNX file from `mafdn export`.
        target: The int8 file, which is replaced on success only.
        crops: Calibration pictures (1, 3, H, W) in [0, 1]; the last one is binarized.
        kept_float: Parts that stay in float, as named by `parts`.
        equalized: Whether the ranges of channels are made similar before (`mafdn.release.equalize`).

    Returns:
        The least PSNR in dB between two engines, on the first and the last crop.

    Raises:
        WeightsError: The engines agree less than `MIN_AGREEMENT`, a weight exceeds half range, `source` cannot be
            quantized, or `target` cannot be written.
        MissingPackageError: nncf is not installed.
    """
    made_by = installed_version("nncf")
    if made_by is None:
        raise MissingPackageError(f"quantizing needs nncf: {pip_install('quantize')}")
    header = read_source_header(source)
    model = _quantized(source, crops, kept_float, equalized=equalized)
    _make_unsigned(model.graph)
    _merge_doubles(model.graph)
    largest = largest_weight(model.graph)
    if largest > HALF_RANGE:
        raise WeightsError(f"nncf {made_by} left int8 weights up to {largest} in {target}: it was not written")
    header |= {
        "precision": "int8",
        "weight_range": "half",
        "source_sha256": sha256(source),
        "quantized": {
            "by": f"nncf {made_by}",
            "crops": len(crops),
            "float": sorted(kept_float),
            "equalized": equalized,
        },
    }
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {HEADER: json.dumps(header)})
    try:
        with replacing(target) as temporary:
            onnx.save(model, temporary)
            agreement = _agreement(temporary, (crops[0], crops[-1]))
            if not agreement >= MIN_AGREEMENT:
                raise WeightsError(f"engines agree to only {agreement:.1f} dB on {target} in int8: it was not written")
    except OSError as error:
        raise WeightsError.from_os_error(f"cannot write {target}", error) from None
    return agreement


def parts(graph: onnx.GraphProto) -> dict[str, list[str]]:
    """Names of the nodes of an exported MAFDN that may stay in float, by part.

    - `ends`: the first and the last two convolutions
    - `sums`: additions to the stream from block to block
    - `gates`: statistics over a picture, and the channel gates computed from them
    - `products`: a convolution's result, before activation, times a gate: at the end of a block and in its first branch
    - `branches`: the concatenated branches of a block times the channel gates
    - `spatial`: the inputs of spatial gates
    - `fuse`: the convolution of the results of all blocks
    - `pixel`: the pixel attentions
    - the empty name: all other nodes
    """
    wide = {tensor.name for tensor in graph.initializer if int(np.prod(tensor.dims)) > 1}
    made_by = {output: node for node in graph.node for output in node.output}
    found: dict[str, list[str]] = {}
    for node in graph.node:
        read = {made_by[name].op_type for name in node.input if name in made_by}
        found.setdefault(_part(node, read, over_picture=any(name in wide for name in node.input[1:])), []).append(
            node.name
        )
    return found


def largest_weight(graph: onnx.GraphProto) -> int:
    """The largest magnitude of the int8 weights in `graph`."""
    weights = [numpy_helper.to_array(t) for t in graph.initializer if t.data_type == onnx.TensorProto.INT8]
    return max((int(np.abs(weight.astype(np.int16)).max()) for weight in weights), default=0)


def _part(node: onnx.NodeProto, read: Collection[str], *, over_picture: bool) -> str:
    """The part of `node`, whose inputs come from operations of the types `read`; empty for other nodes."""
    kind, weight = node.op_type, node.input[1] if node.op_type == "Conv" else ""
    if any(f".{end}.weight" in weight for end in ("head", "smooth", "tail")):
        return "ends"
    if kind == "Add":
        return "sums"
    if ".channel." in weight or kind in ("Sub", "Pow", "Sqrt", "Relu", "Where", "IsNaN"):
        return "gates"
    if kind == "ReduceMean":
        return "gates" if over_picture else "spatial"
    if kind == "ReduceMax" or ".spatial." in weight:
        return "spatial"
    if kind == "Mul" and "Conv" in read:
        return "products"
    if kind == "Mul" and "Concat" in read:
        return "branches"
    if ".attention." in weight or (kind == "Mul" and "Sigmoid" in read):
        return "pixel"
    return "fuse" if ".fuse." in weight else ""


def _quantized(
    source: Path, crops: Sequence[Batch], kept_float: Collection[str], *, equalized: bool
) -> onnx.ModelProto:
    model = onnx.load(source)
    ignored = [name for part, names in parts(model.graph).items() if part in kept_float for name in names]
    # Ranges cannot be calibrated with gates of NaN, so the gates become an ordinary input here.
    default = next(tensor for tensor in model.graph.initializer if tensor.name == GATES)
    model.graph.initializer.remove(default)
    stencil = open_engine(source, EngineOptions(engine=preferred_engine(), device="cpu")).stencil
    assert stencil
    samples = [{model.graph.input[0].name: crop, GATES: stencil.gates(crop)} for crop in crops]
    if equalized:
        equalize(model, samples[::EVERY])
    with _quiet():
        import_openvino()  # before nncf imports it together with its telemetry
        with hidden("openvino_telemetry"):  # nncf works without it
            import nncf  # pyright: ignore[reportMissingTypeStubs]

        nncf.set_log_level(logging.ERROR)
        quantized = nncf.quantize(
            model,
            nncf.Dataset(samples),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(samples),
            ignored_scope=nncf.IgnoredScope(names=ignored),
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
        )
    quantized.graph.initializer.append(default)
    return quantized


def _make_unsigned(graph: onnx.GraphProto) -> None:
    """Turn int8 activations into uint8 by moving the zero point; OpenVINO computes signed ones incorrectly.

    (Version 2026.4.1 is off by 12 dB. Weights stay signed, for which both engines have kernels.)
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    zeros = {
        node.input[2]
        for node in graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[0] not in constants
    }
    for name in zeros:
        zero = numpy_helper.to_array(constants[name])
        if zero.dtype == np.int8:
            moved = (zero.astype(np.int16) + 128).astype(np.uint8)
            constants[name].CopyFrom(numpy_helper.from_array(np.asarray(moved), name))
    del graph.value_info[:]  # holds the old types


def _merge_doubles(graph: onnx.GraphProto) -> None:
    """Remove duplicates of the rounding of a value; nncf writes one for every consumer."""
    constants = {tensor.name: numpy_helper.to_array(tensor).tobytes() for tensor in graph.initializer}
    first: dict[tuple[str, str, bytes, bytes], str] = {}
    replacement: dict[str, str] = {}
    for node in list(graph.node):
        for position, name in enumerate(node.input):
            node.input[position] = replacement.get(name, name)
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[0] not in constants:
            key = (node.op_type, node.input[0], constants[node.input[1]], constants[node.input[2]])
            if key in first:
                replacement[node.output[0]] = first[key]
                graph.node.remove(node)
            else:
                first[key] = node.output[0]
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def _agreement(path: Path, crops: Sequence[Batch]) -> float:
    """The least PSNR in dB between the first engine and another, with their own gates and with gates passed in."""
    worst = float("inf")
    for crop in crops:
        results: list[NDArray[Any]] = []
        gates: Any = None
        for name in ENGINES:
            engine = open_engine(path, EngineOptions(engine=name))
            assert engine.stencil
            gates = engine.stencil.gates(crop) if gates is None else gates
            results += [engine.run(crop), engine.stencil.run(crop, gates)]
        worst = min(worst, *(psnr(results[0], other, peak=1.0) for other in results[1:]))
    return worst


@contextmanager
def _quiet() -> Generator[None]:
    """Suppress the progress and remarks of nncf, and its telemetry."""
    os.environ["NNCF_CI"] = "1"
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
