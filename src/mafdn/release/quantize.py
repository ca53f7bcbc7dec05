"""From an exported network to one whose convolutions compute with 8-bit integers.

Public names: :func:`quantize_onnx`, :func:`calibration_crops`, :func:`read_onnx_header`, :func:`read_source_header`,
:func:`parts`, :func:`largest_weight`, :data:`KEPT_FLOAT`, :data:`PHOTOS`, :data:`DRAWN`.

Post-training quantization by nncf: weights per output channel, activations per tensor, ranges found on crops of
training pictures, biases corrected for what rounding moves. Weights take half the range of int8, so that the network is
computed correctly on every processor (:data:`mafdn.inference.engines.base.HALF_RANGE`). Which parts stay float was
measured (``docs/int8.md``). The file has the form of the exported one, gates included, and holds its rounding as pairs
of QuantizeLinear and DequantizeLinear, which OpenVINO runs as integer convolutions and onnxruntime at least correctly.
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
from mafdn._support.machine import installed_version
from mafdn._support.telemetry import hidden
from mafdn.errors import MissingPackageError, WeightsError
from mafdn.inference import ENGINES, EngineOptions, open_engine, preferred_engine
from mafdn.inference.engines import GATES, HEADER, Batch
from mafdn.inference.engines.base import HALF_RANGE
from mafdn.inference.engines.openvino import import_openvino
from mafdn.pixels import psnr
from mafdn.training.data.bank import Bank
from mafdn.training.data.patches import PatchSampler
from mafdn.weights.header import refuse_at_sight

PHOTOS, DRAWN = 360, 40
"""Crops that are taken as they are, and crops that are made two-valued: ranges found on photographs alone cost several
times as much on text and line art."""
SIDE = 64
"""Of a crop, in LR pixels."""
SEED = 0
ALIKE = 40.0
"""PSNR in dB that engines must reach against each other on a quantized network: where another order of float sums
crosses a rounding they differ, and 47 to 55 dB were found. A kernel that computes wrongly gives less than 30."""
KEPT_FLOAT = ("ends", "sums", "gates", "products")
"""What stays float, by the names of :func:`parts`."""


def read_onnx_header(path: Path) -> dict[str, Any]:
    """What an ONNX file of this program says of itself; empty for another's.

    Raises :class:`WeightsError` when the file is missing, too large, damaged or no ONNX file at all.
    """
    refuse_at_sight(path)
    try:
        model = onnx.load(path, load_external_data=False)
        said = {entry.key: entry.value for entry in model.metadata_props}.get(HEADER, "{}")
        return dict(json.loads(said))
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
    except (DecodeError, TypeError, ValueError, RecursionError):
        raise WeightsError(f"{path} is not a readable ONNX file; export it again") from None


def read_source_header(path: Path) -> dict[str, Any]:
    """The header of a network that can be quantized; raises :class:`WeightsError` for another."""
    header = read_onnx_header(path)
    if header.get("architecture") != "mafdn" or "stencil" not in header or header.get("precision"):
        raise WeightsError(f"{path} is not a MAFDN in float with gates; give what 'mafdn export' writes")
    return header


def calibration_crops(bank: Bank, *, scale: int) -> list[Batch]:
    """Crops (1, 3, SIDE, SIDE) RGB in [0, 1] of the LR pictures of ``bank``, always the same.

    Raises :class:`ConfigError` when no picture holds one.
    """
    sampler = PatchSampler(bank, range(len(bank.pictures)), scale=scale, patch=SIDE, seed=SEED)
    crops = sampler.batch(0, range(PHOTOS + DRAWN)).lr.transpose(0, 3, 1, 2) / np.float32(255)
    crops[PHOTOS:] = crops[PHOTOS:] > np.median(crops[PHOTOS:], axis=(2, 3), keepdims=True)  # eight colors
    crops[PHOTOS::2] = crops[PHOTOS::2, :1]  # black and white
    return list(np.ascontiguousarray(crops[:, None], np.float32))


def quantize_onnx(
    source: Path, target: Path, crops: Sequence[Batch], *, kept_float: Collection[str] = KEPT_FLOAT
) -> float:
    """Write the network ``source``, exported from a MAFDN, in int8; ranges are found on ``crops``.

    The header is that of ``source``, with ``precision``, ``weight_range``, the SHA-256 of ``source`` and how it was
    quantized. Every engine runs the result on two crops, one of them two-valued; returns the least PSNR in dB of one
    against another. Raises :class:`WeightsError` when it is below :data:`ALIKE`, a weight is beyond half range,
    ``source`` is no such network or ``target`` cannot be written; it is then what it was. Raises
    :class:`MissingPackageError` without nncf.
    """
    made_by = installed_version("nncf")
    if made_by is None:
        raise MissingPackageError("quantizing needs nncf: pip install 'mafdn[quantize]'")
    header = read_source_header(source)
    model = _quantized(source, crops, kept_float)
    _make_unsigned(model.graph)
    _merge_doubles(model.graph)
    largest = largest_weight(model.graph)
    if largest > HALF_RANGE:
        raise WeightsError(f"nncf {made_by} left int8 weights up to {largest} in {target}: it was not written")
    header |= {
        "precision": "int8",
        "weight_range": "half",
        "source_sha256": sha256(source),
        "quantized": {"by": f"nncf {made_by}", "crops": len(crops), "float": sorted(kept_float)},
    }
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {HEADER: json.dumps(header)})
    try:
        with replacing(target) as temporary:
            onnx.save(model, temporary)
            alike = _agreement(temporary, (crops[0], crops[-1]))
            if not alike >= ALIKE:
                raise WeightsError(f"engines differ on {target} in int8 by {alike:.1f} dB: it was not written")
    except OSError as error:
        raise WeightsError(f"cannot write {target}: {error.strerror or error}") from None
    return alike


def parts(graph: onnx.GraphProto) -> dict[str, list[str]]:
    """The nodes of an exported MAFDN that may stay float, by part.

    ``ends``: the first and the last two convolutions. ``sums``: what adds to the stream of blocks. ``gates``: the
    statistics over a picture and the gates made from them. ``products``: a convolution's result, not activated, times
    a gate, as at the end of a block and in its first branch. ``spatial``: what spatial gates are made from. ``fuse``:
    the convolution of all blocks' results. ``pixel``: the pixel attentions.
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
    """The largest magnitude of all int8 weights in ``graph``."""
    weights = [numpy_helper.to_array(t) for t in graph.initializer if t.data_type == onnx.TensorProto.INT8]
    return max((int(np.abs(weight.astype(np.int16)).max()) for weight in weights), default=0)


def _part(node: onnx.NodeProto, read: Collection[str], *, over_picture: bool) -> str:
    """The part that ``node`` belongs to, which reads what operations ``read`` made; empty for the rest."""
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
    if ".attention." in weight or (kind == "Mul" and "Sigmoid" in read):
        return "pixel"
    return "fuse" if ".fuse." in weight else ""


def _quantized(source: Path, crops: Sequence[Batch], kept_float: Collection[str]) -> onnx.ModelProto:
    model = onnx.load(source)
    ignored = [name for part, names in parts(model.graph).items() if part in kept_float for name in names]
    # Ranges cannot be found where gates are NaN, so here they are an input like any other.
    default = next(tensor for tensor in model.graph.initializer if tensor.name == GATES)
    model.graph.initializer.remove(default)
    stencil = open_engine(source, EngineOptions(engine=preferred_engine(), device="cpu")).stencil
    assert stencil
    samples = [{model.graph.input[0].name: crop, GATES: stencil.gates(crop)} for crop in crops]
    with _quiet():
        import_openvino()  # which nncf does too, with all that reports its use
        with hidden("openvino_telemetry"):  # which nncf would use, and does well without
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
    """Turn the int8 of activations into uint8 by moving its zero; OpenVINO computes wrongly with signed ones.

    (2026.4.1: the picture is 12 dB off. Weights stay signed, which is what both engines have kernels for.)
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
    del graph.value_info[:]  # has the old types


def _merge_doubles(graph: onnx.GraphProto) -> None:
    """Leave one of the roundings of a value that are the same; nncf writes one for every reader."""
    constants = {tensor.name: numpy_helper.to_array(tensor).tobytes() for tensor in graph.initializer}
    first: dict[tuple[str, str, bytes, bytes], str] = {}
    instead: dict[str, str] = {}
    for node in list(graph.node):
        for position, name in enumerate(node.input):
            node.input[position] = instead.get(name, name)
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[0] not in constants:
            key = (node.op_type, node.input[0], constants[node.input[1]], constants[node.input[2]])
            if key in first:
                instead[node.output[0]] = first[key]
                graph.node.remove(node)
            else:
                first[key] = node.output[0]
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def _agreement(path: Path, crops: Sequence[Batch]) -> float:
    """The least PSNR in dB of one engine against the first, with own and with given gates."""
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
    """Keep nncf's progress and notes off the terminal, and what it would report to its makers on this machine."""
    os.environ["NNCF_CI"] = "1"
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
