"""From a trained network to an ONNX file that needs no torch.

Public names: :func:`export_onnx`.
"""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxslim
import torch

from mafdn.errors import WeightsError
from mafdn.files import replacing
from mafdn.inference import ENGINES, open_engine
from mafdn.inference.engines import GATES, HEADER, Batch
from mafdn.networks import Network, architecture
from mafdn.networks.exported import exported_form
from mafdn.networks.gated import Gated, influence, is_gated, receptive_radius
from mafdn.pixels import imresize

OPSET = 18
CHECKED_SIZES = ((48, 40), (37, 65))
"""Heights and widths at which every exported file is compared with the network."""
TOLERANCE = 1e-4
"""Largest difference allowed, where white is 1: a fortieth of an 8-bit level."""
NEGLIGIBLE = 1e-6
"""The halo is so wide that what lies beyond changes test pictures by less, where white is 1: a fifteenth of a 16-bit
level."""


def export_onnx(network: Network, path: Path) -> float:
    """Write ``network`` in its exported form as ONNX: ``lr`` (1, 3, H, W) to ``sr``, any H and W; settings in a header.

    Where the gates can be held (:mod:`mafdn.networks.gated`), they are an optional input, NaN by default, and a second
    output, and the header has the stencil's radius and halo. The file is run by every engine at two sizes, with own and
    with given gates, and compared with the network; returns the largest difference. Raises
    :class:`WeightsError` when it is over :data:`TOLERANCE` or the file cannot be written;
    ``path`` is then what it was.
    """
    folded = network.fold().cpu()
    try:
        with replacing(path) as temporary:
            onnx.save(_graph(folded), temporary)
            worst = float(np.max([_difference(folded, temporary, name) for name in ENGINES]))  # NaN stays NaN
            if not worst <= TOLERANCE:
                raise WeightsError(f"the exported file differs from the network by {worst:.2g}: {path} was not written")
    except OSError as error:
        raise WeightsError(f"cannot write {path}: {error.strerror or error}") from None
    return worst


def _graph(folded: Network) -> onnx.ModelProto:
    header: dict[str, Any] = {"architecture": architecture(folded.settings), "settings": asdict(folded.settings)}
    if is_gated(folded):
        gated = Gated(exported_form(folded))
        model = _traced(gated, (torch.full(gated.shape, torch.nan),))
        # A default is given last: onnxslim would take it for a constant.
        nan = np.full(gated.shape, np.nan, np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(nan, GATES))
        radius = receptive_radius(folded)
        header["stencil"] = {"radius": radius, "halo": _halo(folded, radius)}
    else:
        model = _traced(exported_form(folded), ())
    onnx.helper.set_model_props(model, {HEADER: json.dumps(header)})
    return model


def _traced(network: torch.nn.Module, gates: tuple[torch.Tensor, ...]) -> onnx.ModelProto:
    """The graph from ``lr`` to ``sr``, and from ``gates`` to ``gates_used`` where these are given."""
    dynamic = torch.export.Dim.DYNAMIC
    # Several windows of one picture come at once where there are gates to find.
    free = {0: dynamic, 2: dynamic, 3: dynamic} if gates else {2: dynamic, 3: dynamic}
    with _quiet():
        program = torch.onnx.export(
            network,
            (torch.zeros(2 if gates else 1, 3, *CHECKED_SIZES[0]), *gates),
            dynamo=True,
            dynamic_shapes=(free, *(None for _ in gates)),
            input_names=["lr", GATES][: 1 + len(gates)],
            output_names=["sr", f"{GATES}_used"][: 1 + len(gates)],
            opset_version=OPSET,
        )
        assert program is not None
        model = cast(onnx.ModelProto, onnxslim.slim(program.model_proto))
    for node in model.graph.node:  # source lines of the exporting machine
        del node.metadata_props[:]
        node.doc_string = ""
    return model


def _halo(folded: Network, radius: int) -> int:
    """The least even width, but at most ``radius``, beyond which soft and harsh test pictures make no difference."""
    side = 2 * radius + 2
    harsh = np.random.default_rng(0).integers(0, 2, (1, 3, side, side)).astype(np.float32)
    changes = [influence(folded, torch.from_numpy(x), radius) for x in (_picture(side, side), harsh)]
    wide = [distance for distance in range(radius) if not max(change[distance] for change in changes) < NEGLIGIBLE]
    return min(radius, 2 * (max(wide, default=0) // 2 + 1))


def _difference(folded: Network, path: Path, engine_name: str) -> float:
    engine = open_engine(path, name=engine_name)
    worst: list[float] = []
    for height, width in CHECKED_SIZES:
        x = _picture(height, width)
        with torch.inference_mode():
            expected: Any = folded(torch.from_numpy(x)).numpy()
        if not np.isfinite(expected).all():
            return float("nan")
        worst.append(float(np.abs(engine.run(x) - expected).max()))
        if engine.stencil:
            given = engine.stencil.run(x, engine.stencil.gates(x))
            worst.append(float(np.abs(given - expected).max()))
    return float(np.max(worst))


def _picture(height: int, width: int) -> Batch:
    """Soft spots under a little noise, (1, 3, H, W) in [0, 1]; on noise alone a peer's released weights overflow."""
    rng = np.random.default_rng(height * width)
    spots = imresize(rng.random((-(-height // 4), -(-width // 4), 3)), size=(height, width))
    picture = 0.9 * spots + 0.1 * rng.random((height, width, 3))
    return np.ascontiguousarray(picture.clip(0, 1).transpose(2, 0, 1)[None], np.float32)


@contextmanager
def _quiet() -> Generator[None]:
    """Keep the exporter's progress and its notes on packages it does not find off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
