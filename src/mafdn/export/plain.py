"""Export a network to a plain ONNX file, for programs that know nothing of this one.

The graph has one input, `input` (1, 3, H, W) float32 RGB in [0, 1], and one output, `output` (1, 3, scale*H, scale*W),
not clipped. Dimensions are fixed, or free and named `height` and `width`.

Such programs cut large pictures into tiles themselves. A channel attention would compute other gates for each tile,
which shows at their borders, so its gates are held at typical ones (`mafdn.networks.held`); `docs/hosts.md` has the
measurements.
"""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch

from mafdn._support.atomic import replacing
from mafdn._support.memory import explain_memory
from mafdn._support.progress import ignore
from mafdn.errors import WeightsError
from mafdn.export.onnx import MEMORY_ADVICE, TOLERANCE, checked_pictures, differences, header_of, traced
from mafdn.inference import ENGINES
from mafdn.inference.engines import HEADER
from mafdn.networks import MAFDN, Network, save_network, weights_digest
from mafdn.networks.exported import exported_form
from mafdn.networks.gated import is_gated
from mafdn.networks.held import held
from mafdn.weights.header import Card

INPUT, OUTPUT = "input", "output"
HEIGHT, WIDTH = "height", "width"
"""Names of the free dimensions of the input; darktable knows these."""


def export_plain(
    network: Network,
    path: Path,
    *,
    gates: torch.Tensor | None = None,
    size: int | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> float:
    """Export `network` to a plain ONNX file, and check it in every engine at two sizes.

    Args:
        network: In training or folded form.
        path: The file, which is replaced on success only.
        gates: The gates at which its channel attention is held, (blocks, 2n) in (0, 1), for a MAFDN that has one;
            `None` lets every network compute its own from each input.
        size: Height and width of the input, fixed; any by default.
        on_progress: As in `mafdn.export.onnx.export_onnx`.

    Returns:
        The largest difference between any engine and the network with these gates, as a share of white.

    Raises:
        WeightsError: The difference exceeds the tolerance, an engine crashes, or the file cannot be written.
        OutOfMemoryError: Memory ran out.
    """
    on_stage = on_progress or ignore
    stages = 2 + len(ENGINES)
    with explain_memory(f"exporting to {path}", MEMORY_ADVICE):
        on_stage("building the graph", 0, stages)
        folded = network.fold().cpu()
        if gates is not None:
            assert isinstance(folded, MAFDN)
            folded = held(folded, gates)
        model = _graph(folded, weights_digest(network))
        fixed = _fixed(model, size, folded.settings.scale) if size else model
        try:
            with replacing(path) as temporary:
                onnx.save(model, temporary)
                found = differences(
                    temporary,
                    checked_pictures(folded),
                    lambda number, name: on_stage(f"checking in {name}", 1 + number, stages),
                )
                worst = float(np.max(found)) if found else math.nan  # NaN if any is NaN
                if not worst <= TOLERANCE:
                    raise WeightsError(f"the exported file differs from the network by {worst:.2g}: no file written")
                onnx.save(fixed, temporary)  # the checked graph, with other dimensions
                onnx.checker.check_model(str(temporary), full_check=True)
                on_stage("checked", stages, stages)
        except OSError as error:
            raise WeightsError.from_os_error(f"cannot write {path}", error) from None
    return worst


def save_plain(network: Network, path: Path, *, gates: torch.Tensor | None, card: Card) -> None:
    """Write the network of a plain file as a weights file, for programs that load weights with spandrel.

    Args:
        network: In training or folded form.
        path: The `.safetensors` file to write.
        gates: As for `export_plain`.
        card: What is known about the weights.

    Raises:
        WeightsError: The file cannot be written.
    """
    folded = network.fold()
    if gates is not None:
        assert isinstance(folded, MAFDN)
        folded = held(folded, gates)
        card = card | {"channel_gates": "held at typical values"}
    save_network(folded, path, card=card)


def _graph(folded: Network, digest: str) -> onnx.ModelProto:
    model = traced(exported_form(folded), names=((INPUT,), (OUTPUT,)))
    header = header_of(folded, digest) | {"plain": True}
    if is_gated(folded):
        header["gates"] = "computed from each input"
    onnx.helper.set_model_props(model, {HEADER: json.dumps(header)})
    _set_size(model, (HEIGHT, WIDTH), ("output_height", "output_width"))
    return model


def _fixed(model: onnx.ModelProto, size: int, scale: int) -> onnx.ModelProto:
    fixed = copy.deepcopy(model)
    _set_size(fixed, (size, size), (scale * size, scale * size))
    return onnx.shape_inference.infer_shapes(fixed, strict_mode=True)


def _set_size(model: onnx.ModelProto, size: tuple[int | str, ...], output: tuple[int | str, ...]) -> None:
    """Set height and width of input and output, numbers or names, and drop the shapes between them."""
    del model.graph.value_info[:]
    for value, (height, width) in ((model.graph.input[0], size), (model.graph.output[0], output)):
        element = value.type.tensor_type.elem_type
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, element, [1, 3, height, width]))
